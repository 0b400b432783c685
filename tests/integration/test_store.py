"""One suite for every database: the schema, its constraints, and what reports, changes, reads and tickets do to it."""

import json
import math
import random
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from schedy.errors import StoreError
from schedy.settings import load_settings
from schedy.wire.answers import (
    ClaimAnswer,
    ExperimentChangedAnswer,
    ExperimentsAnswer,
    FieldsAnswer,
    HeartbeatAnswer,
    HistoryAnswer,
    JobAmendedAnswer,
    JobOrderAnswer,
    JobsAnswer,
    PushAnswer,
    Refusal,
    ReportAnswer,
)
from schedy.wire.base import Answer, Worker
from schedy.wire.changes import (
    AddExperiment,
    AmendJob,
    Change,
    DeleteExperiment,
    DeleteJob,
    NewJob,
    Push,
    RetryJobs,
    UpdateExperiment,
)
from schedy.wire.records import ExperimentRecord, JobRecord, Limits, Point
from schedy.wire.reports import Claim, Curve, Finish, Heartbeat, HeldJob, Output, Progress, Release, Report
from schedy.wire.requests import GetExperiments, GetFields, GetHistory, GetJobOrder, GetJobs, Request, SortField
from schedy_broker_setup.doctor.check import Status
from schedy_cli.commands.doctor import given_back_check
from schedy_cli.main import run
from schedy_store.lifecycle.changes import Changes
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.leases import Leases
from schedy_store.lifecycle.pieces import Sweep
from schedy_store.lifecycle.removals import RemovedRows, removed_experiments
from schedy_store.lifecycle.reports import Reports
from schedy_store.lifecycle.retention import Retention
from schedy_store.lifecycle.tickets import TicketDispatcher, TicketKey
from schedy_store.reads import answer_request
from schedy_store.reads.given_back import given_back_often
from schedy_store.schema.engine import SCHEMA_REVISION, Store, Transaction, network_file_system
from schedy_store.schema.stored import METADATA
from schedy_store.schema.tables import AppliedChange, Event, Experiment, Job, JobValue, Removal
from schedy_store.search.wire import PruneAnswer
from schedy_store.service.searches.held_reports import store_pruner_state

LEASE_SECONDS = 30.0
MAX_RELEASES = 3
WORKER = Worker(host="node", pid=7, program="train.py", uid="7" * 32)
A = TypeVar("A", bound=Answer)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store.open(store_url)
    yield opened
    opened.close()


class Desk:
    """Applies messages, each in a transaction of its own, as the service does; the clock can be put forward."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ahead = timedelta()

    def pass_seconds(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)

    def later(self, transaction: Transaction) -> Transaction:
        return transaction.at(transaction.now + self.ahead)

    def report(self, report: Report[Any], user: str | None = None) -> Effects:
        with self.store.transaction() as transaction:
            reports = Reports(self.later(transaction), lease_seconds=LEASE_SECONDS, max_releases=MAX_RELEASES)
            return reports.apply(report, user)

    def change(self, change: Change[Any]) -> Effects:
        with self.store.transaction() as transaction:
            return Changes(self.later(transaction), lease_seconds=LEASE_SECONDS, max_attempts=2).apply(change)

    def tick(self) -> Effects:
        with self.store.transaction() as transaction:
            return Leases(self.later(transaction), lease_seconds=LEASE_SECONDS).expire(1000)

    def renew(self, unmeasured: timedelta = timedelta()) -> None:
        with self.store.transaction() as transaction:
            Leases(self.later(transaction), lease_seconds=LEASE_SECONDS).renew(unmeasured=unmeasured)

    def do_chores(self, **days: float) -> list[str]:
        """Sweep, piece by piece; return what there is to say."""
        kept = {"events_days": 0.0, "curves_days": 0.0, "outputs_days": 0.0, **days}
        with self.store.transaction() as transaction:
            sweeps: list[Sweep] = [RemovedRows(pk, name) for pk, name in removed_experiments(transaction).items()]
            sweeps += Retention(**kept).sweeps(self.later(transaction))
        for sweep in sweeps:
            while self._does_piece(sweep):
                pass
        return [line for sweep in sweeps if (line := sweep.summary())]

    def _does_piece(self, sweep: Sweep) -> bool:
        with self.store.transaction() as transaction:
            return sweep.piece(self.later(transaction))

    def read(self, request: Request[Any]) -> Answer:
        with self.store.transaction() as transaction:
            return answer_request(transaction, request)

    def rows(self, statement: sa.Select[*tuple[Any, ...]]) -> list[Any]:
        with self.store.transaction() as transaction:
            return list(transaction.sql.execute(statement))

    def add(self, name: str = "E", **more: Any) -> ExperimentRecord:
        change = AddExperiment(request_id=fresh(), name=name, scheduler="manual", **more)
        return told(self.change(change), ExperimentChangedAnswer).experiment

    def push(self, experiment: ExperimentRecord, *jobs: NewJob) -> list[str]:
        change = Push(
            request_id=fresh(),
            experiment_name=experiment.name,
            jobs=list(jobs) or [NewJob(hyperparameters={"x": 1})],
            worker=WORKER,
        )
        return [job.job_id for job in told(self.change(change), PushAnswer).jobs]

    def claim(self, experiment: ExperimentRecord, job_id: str, token: str, *, behind: str | None = None) -> ClaimAnswer:
        message = Claim(experiment_uid=experiment.uid, job_id=job_id, token=token, worker=WORKER, behind=behind)
        return told(self.report(message), ClaimAnswer)

    def job(self, experiment: ExperimentRecord, job_id: str) -> JobRecord:
        answer = self.read(GetJobs(experiment_uid=experiment.uid, job_id=job_id))
        assert isinstance(answer, JobsAnswer)
        return answer.jobs[0]

    def events(self, experiment: ExperimentRecord, job_id: str) -> list[str]:
        answer = self.read(GetJobs(experiment_uid=experiment.uid, job_id=job_id))
        assert isinstance(answer, JobsAnswer)
        return [event.kind for event in answer.events]


def fresh() -> str:
    return uuid.uuid4().hex


def told(outcome: Effects, kind: type[A]) -> A:
    assert isinstance(outcome.answer, kind), outcome.answer
    return outcome.answer


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


@pytest.fixture
def experiment(desk: Desk) -> ExperimentRecord:
    return desk.add()


class TestSchema:
    def test_migrations_give_the_schema_of_the_models(self, store: Store) -> None:
        with store.engine.connect() as sql:
            context = MigrationContext.configure(sql, opts={"compare_type": True, "compare_server_default": True})
            assert compare_metadata(context, METADATA) == []

    def test_migrations_make_the_checks_and_partial_indexes_of_the_models(self, store: Store, store_url: str) -> None:
        made = _checks_and_indexes(store.engine)
        for table in METADATA.tables.values():  # what the models leave out, since it imports a dialect
            for index in (each for each in table.indexes if "where" in each.info):
                index.dialect_kwargs["postgresql_where"] = text(index.info["where"])
        with store.engine.begin() as sql:
            METADATA.drop_all(sql)
            METADATA.create_all(sql)
        assert _checks_and_indexes(store.engine) == made

    def test_migrating_again_changes_nothing(self, desk: Desk, experiment: ExperimentRecord) -> None:
        desk.store.migrate(from_older=True)
        desk.store.check_schema()
        assert desk.read(GetExperiments(name=experiment.name)) == ExperimentsAnswer(experiments=[experiment])

    @pytest.mark.parametrize(
        ("revision", "words"),
        [
            ("0000", r"is older .*pgrade it with `schedy up --migrate` \(or `schedy serve --migrate`\)"),
            ("9999", "is newer .*Upgrade Schedy"),
        ],
    )
    def test_another_version_is_refused_with_words(self, store: Store, revision: str, words: str) -> None:
        with store.transaction() as transaction:
            transaction.sql.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
        with pytest.raises(StoreError, match=words):
            store.check_schema()
        with pytest.raises(StoreError, match=words):
            store.migrate(from_older=False)

    def test_an_empty_database_is_told_from_an_old_one(self, empty_store_url: str) -> None:
        store = Store.open(empty_store_url)
        assert store.schema_revision() is None
        with pytest.raises(StoreError, match="is empty: no results service has used it"):
            store.check_schema()
        store.migrate(from_older=False)
        assert store.schema_revision() == SCHEMA_REVISION
        store.close()

    def test_a_reader_cannot_write(self, desk: Desk, experiment: ExperimentRecord, store_url: str) -> None:
        reader = Store.open(store_url, read_only=True)
        with reader.transaction() as transaction:
            assert transaction.sql.scalar(select(Experiment.uid)) == experiment.uid
        with pytest.raises(StoreError, match="read-only"):
            with reader.transaction() as transaction:
                transaction.sql.execute(update(Experiment).values(status="DONE"))
        reader.close()

    def test_the_clock_is_aware_and_goes_on(self, store: Store) -> None:
        with store.transaction() as first:
            pass
        with store.transaction() as second:
            pass
        assert first.now.utcoffset() == timedelta()
        assert first.now <= second.now < first.now + timedelta(seconds=60)

    def test_a_failed_transaction_leaves_nothing(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError):
            with store.transaction() as transaction:
                Changes(transaction, lease_seconds=1, max_attempts=1).apply(
                    AddExperiment(request_id=fresh(), name="E", scheduler="manual")
                )
                _ = 1 / 0
        with store.transaction() as transaction:
            assert transaction.sql.scalar(select(sa.func.count()).select_from(Experiment)) == 0


def _checks_and_indexes(engine: sa.Engine) -> dict[str, Any]:
    found = sa.inspect(engine)
    return {
        table: (
            sorted((check["name"], check["sqltext"]) for check in found.get_check_constraints(table)),
            sorted((index["name"], _conditions(index.get("dialect_options"))) for index in found.get_indexes(table)),
            sorted(str(key["options"]) for key in found.get_foreign_keys(table)),
        )
        for table in METADATA.tables
    }


def _conditions(options: Any) -> str:
    return str({name: str(condition) for name, condition in (options or {}).items()})


class TestConstraints:
    """Constraints of the database, whoever writes."""

    @pytest.mark.parametrize(
        ("statement", "constraint"),
        [
            ("UPDATE job SET status = 'SLEEPING'", "ck_job_status"),
            ("UPDATE job SET attempt = -1", "ck_job_attempt"),
            ("UPDATE job SET status = 'RUNNING', attempt = 1, token = 't'", "ck_job_running_under_lease"),
            ("UPDATE job SET lease_until = created_at", "ck_job_running_under_lease"),
            ("UPDATE job SET status = 'RUNNING', attempt = 1, lease_until = created_at", "ck_job_running_under_lease"),
            ("UPDATE job SET status = 'RUNNING', token = 't', lease_until = created_at", "ck_job_running_attempt"),
            ("UPDATE job SET status = 'DONE'", "ck_job_final_when_finished"),
            ("UPDATE job SET finished_at = created_at", "ck_job_final_when_finished"),
        ],
    )
    def test_of_a_job(self, desk: Desk, experiment: ExperimentRecord, statement: str, constraint: str) -> None:
        desk.push(experiment)
        with pytest.raises(IntegrityError, match=constraint):
            with desk.store.transaction() as transaction:
                transaction.sql.execute(text(statement))

    @pytest.mark.parametrize(
        ("statement", "constraint"),
        [
            ("UPDATE experiment SET status = 'QUEUED'", "ck_experiment_status"),
            ("UPDATE experiment SET max_attempts = 0", "ck_experiment_max_attempts"),
            ("UPDATE job_value SET source = 'guess'", "ck_job_value_source"),
            ("INSERT INTO service (pk, epoch, instance) VALUES (2, 0, '')", "ck_service_one_row"),
        ],
    )
    def test_of_the_rest(self, desk: Desk, experiment: ExperimentRecord, statement: str, constraint: str) -> None:
        desk.push(experiment)
        with pytest.raises(IntegrityError, match=constraint):
            with desk.store.transaction() as transaction:
                transaction.sql.execute(text(statement))

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO job_value (job_pk, source, name, experiment_pk) VALUES (99, 'result', 'x', 99)",
            "UPDATE job_count SET experiment_pk = 99",
        ],
    )
    def test_nothing_hangs_in_the_air(self, desk: Desk, experiment: ExperimentRecord, statement: str) -> None:
        desk.push(experiment)
        with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
            with desk.store.transaction() as transaction:
                transaction.sql.execute(text(statement))

    @pytest.mark.parametrize("statement", ["UPDATE job SET job_id = 'abcdef'", "UPDATE experiment SET name = 'same'"])
    def test_names_and_ids_are_unique(self, desk: Desk, experiment: ExperimentRecord, statement: str) -> None:
        desk.add("F")
        desk.push(experiment, *[NewJob(hyperparameters={})] * 2)
        with pytest.raises(IntegrityError, match=r"(?i)unique"):
            with desk.store.transaction() as transaction:
                transaction.sql.execute(text(statement))


class TestChanges:
    @pytest.mark.parametrize("jobs", [3, 200])
    def test_a_push_that_arrives_twice_is_stored_once_and_answered_the_same(
        self, desk: Desk, experiment: ExperimentRecord, jobs: int
    ) -> None:
        push = Push(
            request_id=fresh(), experiment_name="E", jobs=[NewJob(hyperparameters={"x": i}) for i in range(jobs)],
            worker=WORKER,
        )  # fmt: skip
        first = told(desk.change(push), PushAnswer)
        desk.pass_seconds(60)
        again = desk.change(push)
        assert again.answer == first
        assert sorted(again.tickets_awaited) == [row.pk for row in desk.rows(select(Job.pk).order_by(Job.pk))]
        assert len(desk.rows(select(Job.pk))) == jobs
        assert max(len(row.answer) for row in desk.rows(select(AppliedChange.answer))) < 6000

    def test_ids_come_in_the_order_of_the_jobs(self, desk: Desk, experiment: ExperimentRecord) -> None:
        ids = desk.push(experiment, *(NewJob(hyperparameters={"x": place}) for place in range(600)))
        assert [desk.job(experiment, job_id).hyperparameters["x"] for job_id in ids[::97]] == list(range(600))[::97]
        assert len(set(ids)) == 600
        assert not any(job_id.startswith("-") for job_id in ids)

    def test_a_push_into_nothing_names_what_is_close(self, desk: Desk) -> None:
        push = Push(
            request_id=fresh(), experiment_name="MinimiseManual", jobs=[NewJob(hyperparameters={})], worker=WORKER
        )
        assert "`schedy add NAME manual` makes one" in told(desk.change(push), Refusal).reason
        desk.add("MinimizeManual")
        desk.add("Other")
        assert "`schedy add NAME manual` makes one" in told(desk.change(push), Refusal).reason, "a no stays a no"
        refusal = told(desk.change(push.model_copy(update={"request_id": fresh()})), Refusal)
        assert refusal.code == "not_found"
        assert refusal.reason == "There is no experiment 'MinimiseManual'. Did you mean 'MinimizeManual'?"
        log = desk.read(GetHistory())
        assert isinstance(log, HistoryAnswer)
        assert [event.kind for event in log.events] == ["refused", "refused"], "its sender may not wait any more"

    def test_a_push_that_a_search_cannot_use_is_refused_and_recorded(self, desk: Desk) -> None:
        space = {
            "lr": {"loguniform": {"low": 1e-5, "high": 1.0}},
            "opt": {"choice": {"values": ["adam", "sgd"], "then": {"sgd": {"momentum": {"const": 0.9}}}}},
        }
        add = AddExperiment(request_id=fresh(), name="S", scheduler="random", settings={"hyperparameters": space})
        search = told(desk.change(add), ExperimentChangedAnswer).experiment

        def push(*jobs: dict[str, Any]) -> Effects:
            new = [NewJob(hyperparameters=job) for job in jobs]
            return desk.change(Push(request_id=fresh(), experiment_name="S", jobs=new, worker=WORKER))

        good = {"lr": 0.1, "opt": "adam"}
        for bad, words in (
            ({}, "has no hyperparameters. A job of this search needs 'lr', 'opt'."),
            ({"lr": 0.1}, """with {"lr": 0.1} lacks 'opt', which"""),
            ({"lr": 0.1, "optt": "adam"}, "search has. 'optt' is unknown. Did you mean 'opt'?"),
            ({"lr": 0.1, "opt": "sgd"}, "lacks 'momentum',"),
        ):
            assert words in told(push(good, bad), Refusal).reason
        assert desk.rows(sa.select(Job.pk)) == []
        history = desk.read(GetHistory(experiment_uid=search.uid))
        assert isinstance(history, HistoryAnswer)
        assert [event.kind for event in history.events] == ["refused"] * 4

        odd = [{**good, "lr": 7}, {**good, "lr": 8}, {**good, "momentum": 0.9}, {**good, "note": "x"}, good]
        answer = told(push(*odd), PushAnswer)
        ids = [job.job_id for job in answer.jobs]
        assert answer.warnings == [
            f"The search does not learn from 2 jobs, {ids[0]} and others: 'lr' lies outside of its loguniform.",
            f"The search does not learn from job {ids[2]}: 'momentum' does not exist with the other values.",
            f"The search does not learn from job {ids[3]}: 'note' is unknown. There are: lr, opt, momentum.",
        ]

    def test_a_name_is_given_once(self, desk: Desk, experiment: ExperimentRecord) -> None:
        refusal = told(desk.change(AddExperiment(request_id=fresh(), name="E", scheduler="manual")), Refusal)
        assert refusal.code == "exists"
        assert "`schedy rm E`" in refusal.reason

    @pytest.mark.parametrize("name", ["x" * 200, "é" * 100, "😀" * 50, "a b/c#%?'\"", "Robert'); DROP TABLE job;--"])
    def test_any_name_that_is_allowed_is_kept(self, desk: Desk, name: str) -> None:
        record = desk.add(name)
        desk.push(record)
        answer = desk.read(GetExperiments(name=name))
        assert isinstance(answer, ExperimentsAnswer)
        assert [found.name for found in answer.experiments] == [name]
        assert answer.experiments[0].job_counts == {"QUEUED": 1}

    @pytest.mark.parametrize("name", ["\x00", "\udcff", "a\x00b"], ids=ascii)
    def test_a_name_that_no_experiment_can_have_is_not_found(
        self, desk: Desk, experiment: ExperimentRecord, name: str
    ) -> None:
        push = Push(request_id=fresh(), experiment_name=name, jobs=[NewJob(hyperparameters={})], worker=WORKER)
        assert told(desk.change(push), Refusal).code == "not_found"
        for request in (GetExperiments(name=name), GetJobs(experiment_uid=experiment.uid, job_id=name)):
            answer = desk.read(request)
            assert isinstance(answer, Refusal)
            assert answer.code == "not_found"

    def test_a_job_pushed_as_running_is_held_under_a_lease(self, desk: Desk, experiment: ExperimentRecord) -> None:
        token = fresh()
        (job_id,) = desk.push(experiment, NewJob(hyperparameters={}, status="RUNNING", token=token))
        record = desk.job(experiment, job_id)
        assert (record.status, record.attempt, record.worker) == ("RUNNING", 1, str(WORKER))
        desk.pass_seconds(LEASE_SECONDS + 1)
        desk.tick()
        assert desk.job(experiment, job_id).status == "QUEUED"

    def test_values_of_all_kinds_come_back(self, desk: Desk, experiment: ExperimentRecord) -> None:
        values: dict[str, Any] = {
            "b": 1,
            "a": math.inf,
            "c": -math.inf,
            "nul\x00": "\x00",
            "\ud800": "\udfff",
            "z": "é" * 999,
            "big": 10**400,
            "tiny": 5e-324,
            "list": [None, True, {"": []}],
            "😀" * 200: 1,
        }
        (job_id,) = desk.push(
            experiment,
            NewJob(hyperparameters={**values, "nan": math.nan}, results=values, status="DONE", quality=math.nan),
        )
        record = desk.job(experiment, job_id)
        assert math.isnan(record.hyperparameters.pop("nan"))
        assert (record.hyperparameters, record.results) == (values, values)
        assert list(record.results) == list(values)
        assert math.isnan(record.quality)
        fields = desk.read(GetFields(experiment_uid=experiment.uid))
        assert isinstance(fields, FieldsAnswer)
        assert set(fields.results) == set(values)
        assert set(fields.hyperparameters) == {*values, "nan"}

    @pytest.mark.parametrize("quality", [math.inf, -math.inf, 0.1, 5e-324, 1e308])
    def test_qualities_come_back(self, desk: Desk, experiment: ExperimentRecord, quality: float) -> None:
        (job_id,) = desk.push(experiment, NewJob(hyperparameters={}, quality=quality))
        assert repr(desk.job(experiment, job_id).quality) == repr(quality)

    def test_deleting_an_experiment_takes_all_of_it(self, desk: Desk, experiment: ExperimentRecord) -> None:
        (job_id,) = desk.push(experiment)
        desk.claim(experiment, job_id, token := fresh())
        desk.report(Release(experiment_uid=experiment.uid, job_id=job_id, token=token, sequence=1))
        outcome = desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=experiment.uid))
        assert outcome.queues == [("gone", "E")]
        assert len(desk.rows(select(Experiment))) == 0
        desk.do_chores()
        for table in (Job, JobValue, Removal):
            assert desk.rows(select(table)) == []
        assert [row.kind for row in desk.rows(select(Event.kind))] == ["deleted"]
        again = desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=experiment.uid))
        assert told(again, Refusal).code == "not_found"

    def test_deleting_a_job_takes_its_values_and_leaves_its_history(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        gone, kept = desk.push(experiment, *[NewJob(hyperparameters={"x": 1}, results={"y": 2})] * 2)
        for job_id in (gone, kept):
            desk.claim(experiment, job_id, fresh())
            desk.claim(experiment, job_id, fresh())
        desk.change(DeleteJob(request_id=fresh(), experiment_uid=experiment.uid, job_id=gone))
        assert [row.job_id for row in desk.rows(select(Job.job_id))] == [kept]
        kinds = desk.rows(select(Event.kind).where(Event.job_id == gone).order_by(Event.pk))
        assert [row.kind for row in kinds] == ["claimed", "denied", "deleted"]
        assert desk.events(experiment, kept) == ["claimed", "denied"]
        assert len(desk.rows(select(JobValue.name))) == 2

    def test_a_report_on_a_deleted_job_is_refused(self, desk: Desk, experiment: ExperimentRecord) -> None:
        (job_id,) = desk.push(experiment)
        desk.claim(experiment, job_id, token := fresh())
        desk.change(DeleteJob(request_id=fresh(), experiment_uid=experiment.uid, job_id=job_id))
        held: dict[str, Any] = {"experiment_uid": experiment.uid, "job_id": job_id, "token": token}
        outcome = desk.report(Finish(**held, sequence=1, status="DONE", results={}, quality=0.0))
        assert outcome.answer == ReportAnswer(accepted=False, reason="it was deleted.")
        assert outcome.log
        lost = told(desk.report(Heartbeat(worker=WORKER, held=[HeldJob(**held)])), HeartbeatAnswer).lost
        assert [(job.token, job.reason) for job in lost] == [(token, "it was deleted.")]
        assert not desk.claim(experiment, job_id, fresh()).granted

    def test_amending_needs_a_final_job_and_the_revision_that_was_read(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        queued, done = desk.push(
            experiment, NewJob(hyperparameters={}), NewJob(hyperparameters={}, status="DONE", results={"a": 1, "b": 2})
        )
        revision = desk.job(experiment, done).revision

        def amend(job_id: str, revision: int | None, results: dict[str, Any]) -> Answer | None:
            change = AmendJob(
                request_id=fresh(), experiment_uid=experiment.uid, job_id=job_id, results=results, quality=2.0,
                revision=revision,
            )  # fmt: skip
            return desk.change(change).answer

        assert amend(done, revision, {"b": 3}) == JobAmendedAnswer(revision=revision + 1)
        record = desk.job(experiment, done)
        assert (record.results, record.quality, record.status) == ({"b": 3}, 2.0, "DONE")
        stale = amend(done, revision, {"b": 4})
        assert isinstance(stale, Refusal)
        assert (stale.code, "was changed since you read it" in stale.reason) == ("unsafe", True)
        assert isinstance(amend(done, None, {"b": 5}), JobAmendedAnswer)
        assert isinstance(amend(queued, None, {}), Refusal)
        assert desk.job(experiment, done).results == {"b": 5}
        assert [(row.name, row.number) for row in desk.rows(select(JobValue.name, JobValue.number))] == [("b", 5.0)]
        assert desk.events(experiment, done) == ["amended", "amended"]

    def test_a_change_that_arrives_twice_looks_after_its_queue_again(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        """The first instance may have died between its commit and the broker."""
        finish = UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, status="DONE")
        assert desk.change(finish).queues == desk.change(finish).queues == [("gone", "E")]
        remove = DeleteExperiment(request_id=fresh(), experiment_uid=experiment.uid)
        assert desk.change(remove).queues == desk.change(remove).queues == [("gone", "E")]
        desk.add("E")
        assert desk.change(remove).queues == [("wanted", "E")]

    @pytest.mark.parametrize("status", ["RUNNING", "DONE"])
    def test_an_old_addition_that_arrives_twice_makes_no_queue_for_what_is_gone(self, desk: Desk, status: str) -> None:
        add = AddExperiment.model_validate(
            {"request_id": fresh(), "name": "E", "scheduler": "manual", "status": status}
        )
        record = told(desk.change(add), ExperimentChangedAnswer).experiment
        assert record is not None
        desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=record.uid))
        assert desk.change(add).queues == [("gone", "E")]

    def test_answers_are_forgotten_after_a_month(self, desk: Desk, experiment: ExperimentRecord) -> None:
        desk.pass_seconds(29 * 86_400)
        desk.do_chores()
        assert len(desk.rows(select(AppliedChange.request_id))) == 1
        desk.pass_seconds(2 * 86_400)
        desk.do_chores()
        assert desk.rows(select(AppliedChange.request_id)) == []


class Held:
    """A job that was claimed, and the reports of its holder."""

    def __init__(self, desk: Desk, experiment: ExperimentRecord, job_id: str, *, behind: "Held | None" = None) -> None:
        self.desk = desk
        self.token = fresh()
        self.sequence = 0
        self.naming: dict[str, Any] = {"experiment_uid": experiment.uid, "job_id": job_id, "token": self.token}
        front = None if behind is None else behind.token
        assert desk.claim(experiment, job_id, self.token, behind=front).granted

    def progress(self, results: dict[str, Any], sequence: int) -> ReportAnswer:
        message = Progress(**self.naming, sequence=sequence, results=results, quality=1.5)
        return told(self.desk.report(message), ReportAnswer)

    def finish(self, results: dict[str, Any], sequence: int = 9, **more: Any) -> ReportAnswer:
        message = Finish(
            **self.naming, sequence=sequence, **{"status": "DONE", "quality": 2.5, "results": results, **more}
        )
        return told(self.desk.report(message), ReportAnswer)

    def curve(self, losses: dict[int, float]) -> None:
        self.sequence += 1
        points = [Point(step=step, values={"loss": loss}) for step, loss in losses.items()]
        message = Curve(**self.naming, sequence=self.sequence, points=points)
        assert told(self.desk.report(message), ReportAnswer).accepted

    def release(self) -> ReportAnswer:
        return told(self.desk.report(Release(**self.naming, sequence=9)), ReportAnswer)

    def heartbeat(self) -> list[str]:
        answer = told(self.desk.report(Heartbeat(worker=WORKER, held=[HeldJob(**self.naming)])), HeartbeatAnswer)
        return [lost.reason for lost in answer.lost]


@pytest.fixture
def job_id(desk: Desk, experiment: ExperimentRecord) -> str:
    return desk.push(experiment, NewJob(hyperparameters={"x": 1}, results={"prior": 0}, quality=0.25))[0]


class TestReports:
    def test_a_claim_is_granted_once_and_answered_the_same_when_asked_again(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        token = fresh()
        first, again = (desk.claim(experiment, job_id, token) for _ in range(2))
        assert first.granted
        assert again.granted
        assert first.job is not None
        assert again.job is not None
        fields = {"status", "attempt", "hyperparameters", "results", "quality", "started_at", "worker"}
        assert first.job.model_dump(include=fields) == again.job.model_dump(include=fields)
        assert (first.job.status, first.job.attempt, first.job.results) == ("RUNNING", 1, {"prior": 0})
        assert desk.claim(experiment, job_id, fresh()).reason == "another worker is running it."
        assert desk.events(experiment, job_id) == ["claimed", "denied"]

    def test_reports_of_the_holder_are_stored(self, desk: Desk, experiment: ExperimentRecord, job_id: str) -> None:
        held = Held(desk, experiment, job_id)
        assert held.progress({"loss": 3, "prior": 0}, 2).accepted
        assert held.progress({"loss": 4}, 1).accepted
        assert desk.job(experiment, job_id).results == {"loss": 3, "prior": 0}
        assert held.finish({"loss": 1}, status="CRASHED", error="no").accepted
        record = desk.job(experiment, job_id)
        assert (record.status, record.results, record.quality, record.error) == ("CRASHED", {"loss": 1}, 2.5, "no")
        assert record.started_at is not None
        assert record.finished_at is not None
        assert record.started_at <= record.finished_at
        assert {row.name for row in desk.rows(select(JobValue.name).where(JobValue.source == "result"))} == {"loss"}

    @pytest.mark.parametrize("kind", ["progress", "finish", "release", "heartbeat"])
    def test_a_report_that_arrives_twice_changes_nothing(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str, kind: str
    ) -> None:
        held = Held(desk, experiment, job_id)
        reports = {
            "progress": lambda: held.progress({"loss": 3}, 1),
            "finish": lambda: held.finish({"loss": 3}),
            "release": held.release,
            "heartbeat": held.heartbeat,
        }
        reports[kind]()
        columns = (Job.status, Job.token, Job.attempt, Job.sequence, Job.results, Job.ticket, Job.finished_at)
        before = desk.rows(select(*columns))
        desk.pass_seconds(1)
        reports[kind]()
        assert desk.rows(select(*columns)) == before

    def test_a_late_finish_of_a_fenced_worker_is_refused_and_recorded(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        lost = Held(desk, experiment, job_id)
        lost.progress({"half": 1}, 1)
        desk.pass_seconds(LEASE_SECONDS + 1)
        second = Held(desk, experiment, job_id)
        begun = desk.job(experiment, job_id)
        assert (begun.results, begun.quality) == ({"prior": 0}, 0.25)
        assert not lost.finish({"late": 1}).accepted
        assert lost.heartbeat() == ["its lease ran out and another worker has taken it."]
        assert second.finish({"loss": 1}).accepted
        record = desk.job(experiment, job_id)
        assert (record.status, record.results, record.attempt) == ("DONE", {"loss": 1}, 2)
        assert desk.events(experiment, job_id) == [
            *("claimed", "reported", "lost", "kept", "claimed", "refused", "ended"),
        ]
        assert lost.finish({"late": 1}).reason == "another attempt ended it as DONE."

    def test_what_a_job_over_its_time_has_put_in_ending_is_not_sorted_by_when_it_runs_again(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        limits = Limits(job_timeout=5.0, retry_timeouts=True)
        desk.change(UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, limits=limits))
        held = Held(desk, experiment, job_id)
        desk.pass_seconds(6)
        with desk.store.transaction() as transaction:
            Leases(desk.later(transaction), lease_seconds=LEASE_SECONDS).stop_overdue(10)
        assert held.finish({"loss": 9}).status == "QUEUED"
        assert desk.job(experiment, job_id).results == {"prior": 0}
        names = desk.rows(select(JobValue.name).where(JobValue.source == "result"))
        assert [row.name for row in names] == ["prior"]

    def test_a_release_gives_the_job_back_and_does_not_count(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        held = Held(desk, experiment, job_id)
        held.progress({"half": 1}, 1)
        assert held.release().accepted
        record = desk.job(experiment, job_id)
        assert (record.status, record.attempt, record.worker, record.started_at) == ("QUEUED", 0, None, None)
        assert not held.finish({"late": 1}).accepted
        answer = desk.claim(experiment, job_id, fresh())
        assert answer.job is not None
        assert (answer.job.attempt, answer.job.results, answer.job.quality) == (1, {"prior": 0}, 0.25)

    def test_a_job_that_is_only_given_back_is_crashed_in_the_end(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        """One that has reported something in between is not."""
        Held(desk, experiment, job_id).release()
        Held(desk, experiment, job_id).release()
        assert desk.job(experiment, job_id).releases == MAX_RELEASES - 1
        preempted = Held(desk, experiment, job_id)
        preempted.curve({0: 1.0})
        assert preempted.release().status == "QUEUED"
        assert (desk.job(experiment, job_id).releases, desk.job(experiment, job_id).attempt) == (1, 0)
        Held(desk, experiment, job_id).release()
        last = Held(desk, experiment, job_id)
        desk.report(Output(**last.naming, sequence=1, text="it says something and ends itself", end=33))
        assert last.release().status == "CRASHED"
        assert last.release().accepted  # it comes twice
        record = desk.job(experiment, job_id)
        text = "given back 3 times in a row without a report"
        assert (record.status, record.attempt, record.error) == ("CRASHED", 1, text)
        happened = desk.rows(select(Event.kind, Event.detail).where(Event.kind != "claimed", Event.job_id == job_id))
        assert [tuple(event) for event in happened] == [
            ("released", "The worker gave the job back."),
            ("released", "The worker gave the job back (2 times in a row without a report)."),
            ("reported", "step 0  loss 1"),
            ("released", "The worker gave the job back."),
            ("released", "The worker gave the job back (2 times in a row without a report)."),
            ("ended", f"CRASHED: {text}"),
        ]

    def test_jobs_that_are_given_back_often_are_found(self, desk: Desk, experiment: ExperimentRecord) -> None:
        rare, often, most, over = desk.push(experiment, *[NewJob(hyperparameters={})] * 4)
        for job_id, releases in ((rare, 9), (often, 10), (most, 99), (over, 100)):
            with desk.store.transaction() as transaction:
                ended = {"status": "CRASHED", "finished_at": transaction.now} if job_id == over else {}
                change = update(Job).where(Job.job_id == job_id).values(releases=releases, **ended)
                transaction.sql.execute(change)
        with desk.store.transaction() as transaction:
            found = given_back_often(transaction)
        assert found == [(experiment.name, most, 99), (experiment.name, often, 10)]
        check = given_back_check([*found, *found])
        assert check.status is Status.WARNING
        assert f"{experiment.name} {most} (99 times), {experiment.name} {often} (10 times), " in check.detail
        assert check.detail.endswith(" and 1 more.")
        assert f"`schedy cancel {experiment.name} {most}`" in check.remedy

    def test_the_points_of_a_job_that_was_given_back_do_not_mix_with_those_of_its_next_attempt(
        self, desk: Desk
    ) -> None:
        """Both attempts have the number 1: the first does not count."""
        minimizes = {"objectives": [{"result": "loss", "direction": "minimize"}], "pruner": {"median": {}}}
        experiment = desk.add("Curves", settings=minimizes)
        (job_id,) = desk.push(experiment)
        given_back = Held(desk, experiment, job_id)
        given_back.curve({0: 100.0, 50: 150.0})
        (before,) = desk.rows(select(Experiment.rewritten).where(Experiment.uid == experiment.uid))
        assert given_back.release().accepted
        (after,) = desk.rows(select(Experiment.rewritten).where(Experiment.uid == experiment.uid))
        assert after.rewritten == before.rewritten + 1  # its pruner has read the points, and reads all again
        held = Held(desk, experiment, job_id)
        held.curve({0: 1.0, 1: 0.5})
        assert held.finish({}, status="PRUNED", quality=0.0).accepted
        record = desk.job(experiment, job_id)
        assert (record.attempt, record.quality) == (1, 0.5)

    def test_what_the_pruner_keeps_ends_with_the_attempt(self, desk: Desk) -> None:
        minimizes = {"objectives": [{"result": "loss", "direction": "minimize"}], "pruner": {"asha": {}}}
        experiment = desk.add("Rungs", settings=minimizes)
        (job_id,) = desk.push(experiment)
        kept = {"tpe": {"a": 1}, "pruner": {"completed_rung_0": 0.5}}

        def state() -> Any:
            ((found,),) = desk.rows(select(Job.search_state).where(Job.job_id == job_id))
            return json.loads(found)

        def judged(held: Held) -> None:
            verdict = PruneAnswer(question=1, job_pk=job_pk, token=held.token, prune=False, state=kept)
            with desk.store.transaction() as transaction:
                store_pruner_state(transaction, verdict)

        ((job_pk,),) = desk.rows(select(Job.pk).where(Job.job_id == job_id))
        first = Held(desk, experiment, job_id)
        judged(first)
        assert state() == kept
        first.release()
        assert state() == {"tpe": {"a": 1}}
        second = Held(desk, experiment, job_id)  # it has the number of the first
        judged(first)
        assert state() == {"tpe": {"a": 1}}
        judged(second)
        desk.pass_seconds(LEASE_SECONDS + 1)
        desk.tick()
        assert state() == kept  # the silent worker may still go on
        third = Held(desk, experiment, job_id)
        assert state() == {"tpe": {"a": 1}}
        judged(third)
        third.finish({"loss": 1.0})
        assert state() == kept
        desk.change(RetryJobs(request_id=fresh(), experiment_uid=experiment.uid, job_ids=[job_id]))
        assert state() == {"tpe": {"a": 1}}

    def test_a_heartbeat_keeps_the_lease(self, desk: Desk, experiment: ExperimentRecord, job_id: str) -> None:
        held = Held(desk, experiment, job_id)
        for _ in range(3):
            desk.pass_seconds(LEASE_SECONDS * 0.9)
            assert held.heartbeat() == []
            desk.tick()
        assert desk.job(experiment, job_id).status == "RUNNING"

    def test_a_lease_that_is_over_queues_the_job_and_its_last_holder_may_go_on(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        held = Held(desk, experiment, job_id)
        desk.pass_seconds(LEASE_SECONDS + 1)
        outcome = desk.tick()
        assert outcome.tickets_wanted == {experiment.position}
        assert desk.job(experiment, job_id).status == "QUEUED"
        assert held.heartbeat() == []
        assert desk.job(experiment, job_id).status == "RUNNING"
        assert held.finish({}).accepted

    def test_of_what_a_lost_worker_held_only_what_it_had_begun_has_lost_an_attempt(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        ids = [desk.push(experiment)[0] for _ in range(4)]
        held = [Held(desk, experiment, ids[0])]
        for job_id in ids[1:3]:
            held.append(Held(desk, experiment, job_id, behind=held[-1]))
        held[0].finish({})
        desk.pass_seconds(LEASE_SECONDS / 2)
        held.append(Held(desk, experiment, ids[3], behind=held[-1]))
        desk.pass_seconds(LEASE_SECONDS / 2)
        outcome = desk.tick()
        assert [(job.status, job.attempt) for job in (desk.job(experiment, each) for each in ids)] == [
            ("DONE", 1),
            ("QUEUED", 1),
            ("QUEUED", 0),
            ("RUNNING", 1),
        ]
        assert outcome.tickets_wanted == {experiment.position}
        assert desk.events(experiment, ids[2])[-1] == "lost"
        others = [Held(desk, experiment, job_id) for job_id in ids[1:3]]
        desk.pass_seconds(LEASE_SECONDS / 2)
        others.append(Held(desk, experiment, ids[3]))  # which judges the lease before the claim
        assert all(other.finish({}).accepted for other in others)
        assert [desk.job(experiment, job_id).attempt for job_id in ids] == [1, 2, 1, 1]

    def test_a_job_that_a_lost_worker_had_not_begun_is_its_no_more(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        first, second = [desk.push(experiment)[0] for _ in range(2)]
        front = Held(desk, experiment, first)
        ahead = Held(desk, experiment, second, behind=front)
        desk.pass_seconds(LEASE_SECONDS)
        desk.tick()
        assert ahead.heartbeat() == ["it was given back and is queued again."]
        assert not ahead.finish({}).accepted
        assert front.finish({}).accepted

    def test_a_job_whose_last_attempt_is_lost_crashes_and_tells_its_holder(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        for _ in range(2):
            held = Held(desk, experiment, job_id)
            desk.pass_seconds(LEASE_SECONDS + 1)
            desk.tick()
        record = desk.job(experiment, job_id)
        assert (record.status, record.error, record.attempt) == (
            "CRASHED",
            "worker lost 2 times (on node, node)",
            2,
        )
        assert held.heartbeat() == ["it is CRASHED: its worker was silent for too long, or did not stop in time."]
        assert not held.finish({}).accepted
        assert desk.events(experiment, job_id) == ["claimed", "lost", "claimed", "lost", "ended", "refused"]

    def test_a_claim_that_comes_before_the_tick_crashes_it_too(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        for _ in range(2):
            Held(desk, experiment, job_id)
            desk.pass_seconds(LEASE_SECONDS + 1)
        assert desk.claim(experiment, job_id, fresh()).reason == "it is CRASHED."
        record = desk.job(experiment, job_id)
        assert (record.status, record.error) == ("CRASHED", "worker lost 2 times (on node, node)")
        assert record.finished_at is not None
        assert desk.events(experiment, job_id) == ["claimed", "lost", "claimed", "lost", "ended", "denied"]

    def test_a_claim_of_a_lost_job_in_a_paused_experiment_queues_it(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        Held(desk, experiment, job_id)
        desk.change(UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, paused=True))
        desk.pass_seconds(LEASE_SECONDS + 1)
        assert not desk.claim(experiment, job_id, fresh()).granted
        assert desk.job(experiment, job_id).status == "QUEUED"
        assert desk.events(experiment, job_id) == ["claimed", "lost", "denied"]

    @pytest.mark.parametrize("other", ["mallory", None])
    def test_a_claim_of_another_user_with_the_right_token_is_denied(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str, other: str | None
    ) -> None:
        claim = Claim(experiment_uid=experiment.uid, job_id=job_id, token=fresh(), worker=WORKER)
        assert told(desk.report(claim, "worker"), ClaimAnswer).granted
        before = desk.rows(select(Job.__table__))
        denied = told(desk.report(claim, other), ClaimAnswer)
        assert not denied.granted
        assert denied.reason == "it comes from another user of the broker than the first claim."
        assert denied.job is None, "the hyperparameters are not for everybody"
        assert desk.rows(select(Job.__table__)) == before
        assert desk.events(experiment, job_id) == ["claimed", "denied"]
        assert told(desk.report(claim, "worker"), ClaimAnswer).granted, "asked again, as after a lost answer"
        desk.pass_seconds(LEASE_SECONDS + 1)
        desk.tick()
        assert not told(desk.report(claim, other), ClaimAnswer).granted, "nor once its lease is over"

    def test_the_holder_of_a_job_goes_on_in_a_paused_experiment(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        held = Held(desk, experiment, job_id)
        desk.change(UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, paused=True))
        assert held.progress({"x": 1}, 1).accepted
        assert held.finish({"x": 2}).accepted

    def test_a_heartbeat_after_the_finish_tells_of_no_loss(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        held = Held(desk, experiment, job_id)
        held.finish({}, status="CRASHED")
        assert held.heartbeat() == []

    def test_renewed_leases_last_a_whole_lease(self, desk: Desk, experiment: ExperimentRecord, job_id: str) -> None:
        Held(desk, experiment, job_id)
        desk.pass_seconds(LEASE_SECONDS * 10)
        desk.renew()
        desk.pass_seconds(LEASE_SECONDS * 0.9)
        desk.tick()
        assert desk.job(experiment, job_id).status == "RUNNING"
        desk.pass_seconds(LEASE_SECONDS * 0.2)
        desk.tick()
        assert desk.job(experiment, job_id).status == "QUEUED"

    def test_a_report_of_an_experiment_with_a_name_taken_again_is_refused(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        held = Held(desk, experiment, job_id)
        desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=experiment.uid))
        desk.add(experiment.name)
        assert held.finish({}).reason == "it was deleted."

    def test_a_number_too_large_for_the_database_is_a_fault_of_the_message(
        self, desk: Desk, experiment: ExperimentRecord, job_id: str
    ) -> None:
        """The service buries such a message; a StoreError would make it try for ever."""
        held = Held(desk, experiment, job_id)
        with pytest.raises((sa.exc.DataError, OverflowError)):
            held.progress({}, 2**70)


class TestReads:
    VALUES = (3, "b", None, math.nan, -math.inf, 10, "a b", True, [1], "a", math.inf, 2.5, "", "\x00")

    @pytest.mark.parametrize("source", ["hyperparameter", "result"])
    @pytest.mark.parametrize("decreasing", [False, True])
    def test_numbers_and_texts_in_order_and_missing_values_last(
        self, desk: Desk, experiment: ExperimentRecord, source: Any, decreasing: bool
    ) -> None:
        jobs = [_new_job(source, {"v": value}) for value in self.VALUES]
        ids = desk.push(experiment, *jobs, _new_job(source, {"other": 1}))
        numbers = {row.job_id: row.pk for row in desk.rows(select(Job.job_id, Job.pk))}
        field = SortField(source=source, name="v")
        order_of = GetJobOrder(experiment_uid=experiment.uid, sort=[field], decreasing=decreasing)
        order = desk.read(order_of)
        assert isinstance(order, JobOrderAnswer)
        places = [[numbers[job_id] for job_id in ids].index(number) for number in order.positions]
        increasing = [-math.inf, True, 2.5, 3, 10, math.inf, "", "\x00", "a", "a b", "b"]
        wanted = [self.VALUES.index(value) for value in increasing]
        missing = [place for place in range(len(ids)) if place not in wanted]
        assert places == (wanted[::-1] if decreasing else wanted) + missing
        for limit, statuses in ((3, []), (len(wanted) + 2, []), (len(wanted) + 2, ["QUEUED"])):
            first = desk.read(order_of.model_copy(update={"limit": limit, "statuses": statuses}))
            assert isinstance(first, JobOrderAnswer)
            assert first.positions == order.positions[:limit]

    def test_all_columns_can_be_sorted_by(self, desk: Desk, experiment: ExperimentRecord) -> None:
        low, high, nan = desk.push(
            experiment,
            NewJob(hyperparameters={}, quality=-1.0),
            NewJob(hyperparameters={}, quality=2.0, status="DONE"),
            NewJob(hyperparameters={}, quality=math.nan),
        )
        numbers = {row.pk: row.job_id for row in desk.rows(select(Job.job_id, Job.pk))}
        for name, increasing, decreasing in (
            ("quality", [low, high, nan], [high, low, nan]),
            ("finished_at", [high, low, nan], [high, low, nan]),
            ("status", [high, low, nan], [low, nan, high]),
            ("error", [low, high, nan], [low, high, nan]),
            ("id", sorted([low, high, nan]), sorted([low, high, nan], reverse=True)),
        ):
            for is_decreasing, wanted in ((False, increasing), (True, decreasing)):
                for limit in (None, 2):
                    order = desk.read(
                        GetJobOrder(
                            experiment_uid=experiment.uid,
                            sort=[SortField(source="column", name=name)],
                            decreasing=is_decreasing,
                            limit=limit,
                        )
                    )
                    assert isinstance(order, JobOrderAnswer)
                    found = [numbers[number] for number in order.positions]
                    assert found == wanted[:limit], (name, is_decreasing, limit)

    def test_several_fields_statuses_and_a_limit(self, desk: Desk, experiment: ExperimentRecord) -> None:
        source = random.Random(5)  # noqa: S311 - repeatable, not secret
        pairs = [(source.randint(0, 3), source.choice("xyz")) for _ in range(40)]
        desk.push(
            experiment,
            *(
                NewJob(hyperparameters={"a": a, "b": b}, status="DONE" if place % 2 else "QUEUED")
                for place, (a, b) in enumerate(pairs)
            ),
        )
        order = desk.read(
            GetJobOrder(
                experiment_uid=experiment.uid,
                sort=[SortField(source="hyperparameter", name=name) for name in "ba"],
                statuses=["DONE"],
                limit=7,
            )
        )
        assert isinstance(order, JobOrderAnswer)
        answer = desk.read(GetJobs(experiment_uid=experiment.uid, positions=order.positions))
        assert isinstance(answer, JobsAnswer)
        found = [(job.hyperparameters["b"], job.hyperparameters["a"]) for job in answer.jobs]
        assert found == sorted((b, a) for a, b in pairs[1::2])[:7]

    @pytest.mark.parametrize("limit", [1, 3, 7, 100])
    def test_pages_have_no_gaps_and_no_doubles(self, desk: Desk, experiment: ExperimentRecord, limit: int) -> None:
        other = desk.add("other")
        ids: list[str] = []
        for _ in range(7):
            ids += desk.push(experiment)
            desk.push(other)
        pages = list(_pages(desk, experiment, limit))
        assert [job.job_id for page in pages for job in page.jobs] == ids
        assert [len(page.jobs) for page in pages] == [min(limit, 7 - start) for start in range(0, 7, limit)]

    def test_pages_of_large_jobs_are_cut_by_size(self, desk: Desk, experiment: ExperimentRecord) -> None:
        ids = [desk.push(experiment, NewJob(hyperparameters={"x": "a" * 900_000}))[0] for _ in range(12)]
        pages = list(_pages(desk, experiment, 100))
        assert [job.job_id for page in pages for job in page.jobs] == ids
        assert max(len(page.jobs) for page in pages) <= 6
        numbers = [job.position for page in pages for job in page.jobs][::-1]
        found: list[int] = []
        while left := numbers[len(found) :]:
            answer = desk.read(GetJobs(experiment_uid=experiment.uid, positions=[*left, 10**6]))
            assert isinstance(answer, JobsAnswer)
            assert 1 <= len(answer.jobs) <= 6
            found += [job.position for job in answer.jobs]
            assert answer.more == (found != numbers)
        assert found == numbers

    def test_a_sorted_list_of_large_jobs_is_whole(
        self,
        desk: Desk,
        experiment: ExperimentRecord,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("SCHEDY_STORE_URL", desk.store.url)
        large = "a" * 900_000
        ids = [desk.push(experiment, NewJob(hyperparameters={"n": n, "x": large}))[0] for n in range(12)]
        assert run(["list", "E", "-s", "n", "-d"]) == 0
        assert [line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()] == ids[::-1]

    def test_experiments_come_in_pages(self, desk: Desk) -> None:
        for name in "bac":
            desk.add(name)
        found: list[str] = []
        after = 0
        while isinstance(answer := desk.read(GetExperiments(after=after, limit=2)), ExperimentsAnswer):
            if not answer.experiments:
                break
            found += [record.name for record in answer.experiments]
            after = answer.experiments[-1].position
        assert found == ["b", "a", "c"]

    def test_reads_of_what_is_gone_are_refused(self, desk: Desk, experiment: ExperimentRecord) -> None:
        desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=experiment.uid))
        requests: list[Request[Any]] = [
            GetExperiments(name="E"),
            GetExperiments(uid=experiment.uid),
            GetJobs(experiment_uid=experiment.uid),
            GetJobOrder(experiment_uid=experiment.uid, sort=[]),
            GetFields(experiment_uid=experiment.uid),
        ]
        for request in requests:
            answer = desk.read(request)
            assert isinstance(answer, Refusal)
            assert answer.code == "not_found"


def _new_job(source: str, values: dict[str, Any]) -> NewJob:
    if source == "result":
        return NewJob(hyperparameters={}, results=values)
    return NewJob(hyperparameters=values)


def _pages(desk: Desk, experiment: ExperimentRecord, limit: int) -> Iterator[JobsAnswer]:
    after, more = 0, True
    while more:
        answer = desk.read(GetJobs(experiment_uid=experiment.uid, after=after, limit=limit))
        assert isinstance(answer, JobsAnswer)
        yield answer
        after, more = answer.jobs[-1].position, answer.more


class Counter:
    """A dispatcher of tickets and the transactions it works in."""

    def __init__(self, desk: Desk, *, window: int = 100, most_out: int = 100) -> None:
        self.desk = desk
        self.dispatcher = TicketDispatcher(window, LEASE_SECONDS, most_out, recount_seconds=0)
        with desk.store.transaction() as transaction:
            self.dispatcher.reset(transaction)

    def choose(self) -> list[TicketKey]:
        with self.desk.store.transaction() as transaction:
            return [wanted.key for wanted in self.dispatcher.choose(self.desk.later(transaction))]

    def land(self, keys: list[TicketKey]) -> None:
        with self.desk.store.transaction() as transaction:
            self.dispatcher.mark_dispatched(self.desk.later(transaction), keys)
        self.dispatcher.confirmed(keys)

    def want(self, outcome: Effects) -> None:
        self.dispatcher.wanting |= outcome.tickets_wanted
        with self.desk.store.transaction() as transaction:
            for withdrawn in outcome.tickets_withdrawn:
                self.dispatcher.withdraw(transaction, withdrawn)

    def dispatched(self) -> list[bool]:
        return [row[0] is not None for row in self.desk.rows(select(Job.dispatched_at).order_by(Job.pk))]


class TestTickets:
    def test_each_queued_job_gets_one(self, desk: Desk, experiment: ExperimentRecord) -> None:
        desk.push(experiment, *[NewJob(hyperparameters={})] * 3, NewJob(hyperparameters={}, status="DONE"))
        counter = Counter(desk)
        keys = counter.choose()
        assert len(keys) == 3
        assert counter.choose() == []
        counter.land(keys)
        assert counter.dispatched() == [True, True, True, False]
        assert counter.choose() == []
        assert Counter(desk).choose() == []

    def test_a_ticket_tells_people_what_the_job_is(self, desk: Desk, experiment: ExperimentRecord) -> None:
        small, large = desk.push(
            experiment, NewJob(hyperparameters={"x": math.inf}), NewJob(hyperparameters={"x": "a" * 5000})
        )
        dispatcher = TicketDispatcher(10, LEASE_SECONDS)
        with desk.store.transaction() as transaction:
            dispatcher.reset(transaction)
            tickets = [wanted.ticket for wanted in dispatcher.choose(transaction)]
        assert [(t.experiment, t.experiment_uid, t.job_id) for t in tickets] == [
            ("E", experiment.uid, small),
            ("E", experiment.uid, large),
        ]
        assert [ticket.hyperparameters for ticket in tickets] == [{"x": math.inf}, None]

    def test_no_more_than_the_window_are_in_flight(self, desk: Desk, experiment: ExperimentRecord) -> None:
        other = desk.add("other")
        desk.push(experiment, *[NewJob(hyperparameters={})] * 5)
        desk.push(other, *[NewJob(hyperparameters={})] * 5)
        counter = Counter(desk, window=3)
        landed: list[TicketKey] = []
        while keys := counter.choose():
            assert len(counter.dispatcher.in_flight) <= 3
            landed += keys
            counter.land(keys[:1])
            counter.dispatcher.not_published(keys[1:])
            landed = [key for key in landed if key not in keys[1:]]
        assert len(landed) == len(set(landed)) == 10
        assert all(counter.dispatched())

    def test_the_next_goes_out_when_one_was_confirmed(self, desk: Desk, experiment: ExperimentRecord) -> None:
        desk.push(experiment, *[NewJob(hyperparameters={})] * 5)
        counter = Counter(desk, window=3)
        first = counter.choose()
        counter.land(first[:1])
        assert len(counter.choose()) == 1
        assert len(counter.dispatcher.in_flight) == 3

    def test_of_an_experiment_only_so_many_are_out_however_many_jobs_wait(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        other = desk.add("other")
        first, *_rest = desk.push(experiment, *[NewJob(hyperparameters={})] * 6)
        desk.push(other)
        counter = Counter(desk, most_out=3)
        keys = counter.choose()
        assert len(keys) == 3 + 1
        assert counter.choose() == []  # those in flight are out, too
        counter.land(keys)
        assert counter.choose() == []
        Held(desk, experiment, first)
        (next_one,) = counter.choose()
        counter.land([next_one])
        assert counter.choose() == []
        assert counter.dispatched() == [True] * 4 + [False, False, True]
        pause = UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, paused=True)
        counter.want(desk.change(pause))
        assert counter.dispatched() == [True] + [False] * 5 + [True]  # the first one runs
        counter.want(desk.change(pause.model_copy(update={"request_id": fresh(), "paused": False})))
        assert len(counter.choose()) == 3

    def test_a_failed_ticket_is_published_again(self, desk: Desk, experiment: ExperimentRecord) -> None:
        desk.push(experiment)
        counter = Counter(desk)
        keys = counter.choose()
        counter.dispatcher.not_published(keys)
        assert counter.choose() == keys

    def test_a_job_released_while_its_ticket_is_in_flight_wants_a_new_one(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        (job_id,) = desk.push(experiment)
        counter = Counter(desk)
        (key,) = counter.choose()
        held = Held(desk, experiment, job_id)
        counter.want(desk.report(Release(**held.naming, sequence=1)))
        counter.land([key])
        assert counter.dispatched() == [False]
        (again,) = counter.choose()
        assert again[0] == key[0]
        assert again[1] > key[1]
        counter.land([again])
        assert counter.dispatched() == [True]

    def test_a_job_lost_while_its_ticket_is_in_flight_wants_a_new_one(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        (job_id,) = desk.push(experiment)
        counter = Counter(desk)
        (key,) = counter.choose()
        Held(desk, experiment, job_id)
        desk.pass_seconds(LEASE_SECONDS + 1)
        counter.want(desk.tick())
        counter.land([key])
        assert [number for _job, number in counter.choose()] == [key[1] + 1]

    def test_a_claim_before_the_confirm_keeps_the_mark(self, desk: Desk, experiment: ExperimentRecord) -> None:
        (job_id,) = desk.push(experiment)
        counter = Counter(desk)
        keys = counter.choose()
        Held(desk, experiment, job_id)
        counter.land(keys)
        assert counter.dispatched() == [True]

    @pytest.mark.parametrize("closed", [{"paused": True}, {"status": "DONE"}], ids=["paused", "done"])
    def test_a_closed_experiment_gets_none_until_it_is_open_again(
        self, desk: Desk, experiment: ExperimentRecord, closed: dict[str, Any]
    ) -> None:
        desk.push(experiment, *[NewJob(hyperparameters={})] * 2)
        counter = Counter(desk)
        first = counter.choose()
        counter.land(first[:1])
        close = UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, **closed)
        counter.want(desk.change(close))
        counter.land(first[1:])
        assert counter.dispatched() == [False, False]
        assert counter.choose() == []
        desk.push(experiment)
        assert counter.choose() == []
        opened = UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, status="RUNNING", paused=False)
        counter.want(desk.change(opened))
        again = counter.choose()
        assert len(again) == 3
        assert not set(again) & set(first)

    def test_a_claim_denied_by_a_pause_wants_a_new_ticket_afterwards(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        (job_id,) = desk.push(experiment)
        counter = Counter(desk)
        counter.land(counter.choose())
        with desk.store.transaction() as transaction:
            transaction.sql.execute(update(Experiment).values(paused=True))
        assert desk.claim(experiment, job_id, fresh()).reason == "its experiment is paused or done."
        assert counter.dispatched() == [False]

    @pytest.mark.parametrize(
        ("closed", "queues"),
        [
            ({"paused": True}, [("wanted", "E"), ("purged", "E")]),
            ({"paused": False}, [("wanted", "E")]),
            ({"status": "DONE"}, [("gone", "E")]),
        ],
        ids=str,
    )
    def test_what_a_change_means_for_the_queue(
        self, desk: Desk, experiment: ExperimentRecord, closed: dict[str, Any], queues: list[tuple[str, str]]
    ) -> None:
        change = UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, **closed)
        assert desk.change(change).queues == queues

    def test_awaited_are_only_those_under_way(self, desk: Desk, experiment: ExperimentRecord) -> None:
        desk.push(experiment, *[NewJob(hyperparameters={})] * 3)
        counter = Counter(desk, window=2)
        (first, second) = counter.choose()
        counter.land([first])
        assert counter.dispatcher.awaited([first[0], second[0], second[0] + 1]) == {second[0]}
        assert counter.dispatcher.awaited([]) == set()

    def test_a_ticket_that_later_ones_overtook_is_published_again(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        desk.push(experiment)
        counter = Counter(desk)
        counter.land(lost := counter.choose())
        desk.pass_seconds(1)
        (later,) = desk.push(experiment)
        counter.dispatcher.wanting.add(experiment.position)
        counter.land(counter.choose())
        claimed = desk.report(Claim(experiment_uid=experiment.uid, job_id=later, token=fresh(), worker=WORKER)).claimed
        assert claimed is not None
        with desk.store.transaction() as transaction:
            counter.dispatcher.note_claim(*claimed, desk.later(transaction).now)
        desk.pass_seconds(LEASE_SECONDS * 2.9)
        self._reclaim(desk, counter)
        assert counter.choose() == []
        desk.pass_seconds(LEASE_SECONDS * 0.2)
        self._reclaim(desk, counter)
        assert counter.choose() == [(lost[0][0], lost[0][1] + 1)]

    @staticmethod
    def _reclaim(desk: Desk, counter: Counter) -> None:
        with desk.store.transaction() as transaction:
            counter.dispatcher.reclaim_overtaken(desk.later(transaction))

    def test_tickets_of_a_queue_that_stays_empty_are_published_again(
        self, desk: Desk, experiment: ExperimentRecord
    ) -> None:
        desk.push(experiment)
        counter = Counter(desk)
        counter.land(lost := counter.choose())
        desk.pass_seconds(LEASE_SECONDS * 3.1)
        with desk.store.transaction() as transaction:
            assert counter.dispatcher.overdue_experiments(desk.later(transaction)) == {experiment.position: "E"}
            for ready in (0, 0, 5, 0, 0):
                counter.dispatcher.note_queue_lengths(desk.later(transaction), {experiment.position: ready})
        assert counter.choose() == []
        with desk.store.transaction() as transaction:
            counter.dispatcher.note_queue_lengths(desk.later(transaction), {experiment.position: 0})
        assert counter.choose() == [(lost[0][0], lost[0][1] + 1)]

    def test_a_young_ticket_is_no_suspect(self, desk: Desk, experiment: ExperimentRecord) -> None:
        desk.push(experiment)
        counter = Counter(desk)
        counter.land(counter.choose())
        with desk.store.transaction() as transaction:
            assert counter.dispatcher.overdue_experiments(transaction) == {}


class TestFiles:
    """Features of SQLite alone."""

    def test_a_reader_never_creates_a_store(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "store.sqlite"
        with pytest.raises(StoreError, match=r"There is no store at .*store\.sqlite\. Start the results service"):
            Store.open(f"sqlite:///{path}", read_only=True)
        assert list(tmp_path.iterdir()) == []

    def test_the_file_is_its_owners_alone(self, tmp_path: Path) -> None:
        settings = load_settings(override={"data_dir": tmp_path / "a b%20#?ä"}, environment={})
        path = settings.sqlite_path
        store = Store.open(settings.effective_store_url)
        store.migrate(from_older=False)
        files = list(path.parent.iterdir()) if path.exists() else []
        assert path in files
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        store.close()

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match=r"The store .*cannot be created: Not a directory\. Choose"):
            Store.open(f"sqlite:///{tmp_path}/file/folder/store.sqlite")

    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "store.sqlite").write_text("my notes, which are much too precious to lose\n" * 100)
        store = Store.open(f"sqlite:///{tmp_path}/store.sqlite")
        with pytest.raises(StoreError, match="is not an SQLite database"):
            store.migrate(from_older=True)
        assert (tmp_path / "store.sqlite").read_text().startswith("my notes")
        store.close()

    def test_a_folder_is_no_database(self, tmp_path: Path) -> None:
        store = Store.open(f"sqlite:///{tmp_path}")
        with pytest.raises(StoreError, match="cannot be opened"):
            store.schema_revision()
        store.close()

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
    def test_a_store_in_memory_is_refused(self, url: str) -> None:
        with pytest.raises(StoreError, match="in memory would be lost"):
            Store.open(url)

    @pytest.mark.parametrize(
        "url", ["nonsense", "mysql://u:secret@host/db", "://", "postgresql+psycopg://u:secret@host:port/db"]
    )
    def test_a_url_that_is_no_store_is_refused_without_its_password(self, url: str) -> None:
        with pytest.raises(StoreError) as caught:
            Store.open(url)
        assert "secret" not in str(caught.value)

    def test_a_server_that_is_away_is_named_without_its_password(self) -> None:
        store = Store.open("postgresql://u:sec/ret@127.0.0.1:1/db")
        with pytest.raises(StoreError, match="is not reachable") as caught:
            store.schema_revision()
        assert "ret" not in str(caught.value)
        store.close()

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("home/me/store.sqlite", "nfs4"),
            ("home/me/local/store.sqlite", None),
            ("home/me/sshfs dir/x", "fuse.sshfs"),
            ("homes/store.sqlite", None),
        ],
    )
    def test_a_network_file_system_is_recognised(self, tmp_path: Path, path: str, kind: str | None) -> None:
        (tmp_path / path).parent.mkdir(parents=True)
        mounts = tmp_path / "mounts"
        mounts.write_text(
            "/dev/sda1 / ext4 rw 0 0\n"
            f"server:/home {tmp_path}/home nfs4 rw 0 0\n"
            f"/dev/sdb1 {tmp_path}/home/me/local xfs rw 0 0\n"
            f"me@host: {tmp_path}/home/me/sshfs\\040dir fuse.sshfs rw 0 0\n"
        )
        assert network_file_system(tmp_path / path, mounts) == kind

    def test_where_the_system_does_not_tell_nothing_is_refused(self, tmp_path: Path) -> None:
        assert network_file_system(tmp_path, tmp_path / "no mounts") is None


def test_instances_may_make_the_tables_at_once(empty_store_url: str) -> None:
    """Processes, because Alembic keeps its context in globals."""
    source = (
        "import sys; from schedy_store.schema.engine import Store; Store.open(sys.argv[1]).migrate(from_older=False)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", source, empty_store_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    assert ends == [("", 0)] * 4
