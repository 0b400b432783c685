"""Values on every path that needs no broker: what goes in comes out, NaN, infinities and odd text included."""

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schedy.search.definition import read_definition
from schedy.wire.changes import NewJob, Push
from schedy.wire.codec import decode, encode
from schedy.wire.records import Point
from schedy.wire.reports import Curve, Finish, Progress
from schedy.wire.values import dump_values, load_values
from schedy_store.lifecycle.effects import PrunerCall
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Job
from schedy_store.search.runner import Runner
from schedy_store.search.wire import (
    MadeJob,
    PruneAnswer,
    PruneQuestion,
    SuggestAnswer,
    SuggestQuestion,
    WantedNumber,
    read_answer,
    read_question,
    write_line,
)
from schedy_store.service.searches.held_reports import store_pruner_state
from tests.integration.searching import install_algorithms
from tests.integration.simulation import Simulation, read_job, stored
from tests.integration.test_search_store import SearchDesk
from tests.integration.test_store import WORKER, Desk, fresh
from tests.odd_values import odd_text, odd_values, same

VALUES = [odd_values(random.Random(seed)) for seed in range(60)]  # noqa: S311
LOSS = [{"result": "loss", "direction": "minimize"}]
_OWN = '''
from schedy_store.search.protocol import Exhausted, Suggestion


class Echo:
    """Suggests the values of its option, and the state that the job before has kept."""

    def __init__(self, definition):
        self.values = definition.options["values"]

    def suggest(self, number, history):
        if number == len(self.values):
            return Exhausted(self.values[0].get("reason", ""))
        values = self.values[number]
        state = history.pending[-1].state if history.pending else values
        return Suggestion(values, results=values, state=values if number % 2 else state)
'''


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    """SQLite alone: the values are ASCII text in every database."""
    return sqlite_url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store.open(store_url)
    yield opened
    opened.close()


@pytest.fixture
def desk(store: Store) -> Iterator[SearchDesk]:
    made = SearchDesk(store)
    yield made
    made.end()


def test_lines_of_the_search_process_bring_values_back() -> None:
    for values in VALUES:
        made = MadeJob(number=1, hyperparameters=values, results=values, state=values)
        answer = read_answer(write_line(SuggestAnswer(question=1, experiment_pk=1, made=[made])))
        assert isinstance(answer, SuggestAnswer)
        assert same(answer.made[0].model_dump(), made.model_dump())
        verdict = read_answer(write_line(PruneAnswer(question=1, job_pk=1, token="a", prune=True, state=values)))
        assert isinstance(verdict, PruneAnswer)
        assert same(verdict.state or {}, values)


def test_lines_are_ascii_and_reasons_are_one_printable_line() -> None:
    for seed in range(60):
        text = odd_text(random.Random(seed), most=50)  # noqa: S311
        answer = SuggestAnswer(question=1, experiment_pk=1, made=[], end="failed", reason=text)
        line = write_line(answer)
        assert line.isascii()
        assert line.count("\n") == 1
        assert read_answer(line) == answer
        assert answer.reason.isprintable()


def test_questions_come_back() -> None:
    question = SuggestQuestion(question=1, experiment_pk=2, wanted=[WantedNumber(number=3, known=4)])
    assert read_question(write_line(question)) == question


def test_messages_and_records_bring_values_back(store: Store) -> None:
    desk = Desk(store)
    experiment = desk.add()
    jobs = [NewJob(hyperparameters=values, results=values) for values in VALUES]
    push = decode(encode(Push(request_id=fresh(), experiment_name="E", jobs=jobs, worker=WORKER)))
    assert isinstance(push, Push)
    for job_id, values in zip(desk.push(experiment, *push.jobs), VALUES, strict=True):
        job = read_job(desk, experiment, job_id)
        assert same(job.hyperparameters, values)
        assert same(job.results, values)


def test_results_of_an_attempt_become_previous_results(store: Store) -> None:
    desk = Desk(store)
    experiment = desk.add()
    for values in VALUES:
        (job_id,) = desk.push(experiment)
        token = fresh()
        desk.claim(experiment, job_id, token)
        held: Any = {"experiment_uid": experiment.uid, "job_id": job_id, "token": token, "sequence": 1}
        report = decode(encode(Progress(**held, results=values, quality=math.nan)))
        assert isinstance(report, Progress)
        desk.report(report)
        assert same(read_job(desk, experiment, job_id).results, values)
        desk.pass_seconds(100)
        desk.tick()
        desk.claim(experiment, job_id, fresh())
        assert same(read_job(desk, experiment, job_id).previous_results, values)


def test_a_definition_brings_values_back(store: Store) -> None:
    for values in VALUES:
        space = {f"{place}": {"const": value} for place, value in enumerate(values.values())}
        space["choice"] = {"choice": {"values": list(values.values())}}
        definition = read_definition({"hyperparameters": space, "options": values})
        again = read_definition(load_values(dump_values(definition.as_json())))
        assert same(again.as_json(), definition.as_json())


def test_a_search_process_brings_values_back(desk: SearchDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install_algorithms(tmp_path, _OWN, {"echo": "Echo"})
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(path)
    desk.add("echo", ready=len(VALUES), options={"values": VALUES})
    while len(desk.numbers()) < len(VALUES):
        assert desk.go_round()
    rows = stored(desk, Job.hyperparameters, Job.results, Job.search_state)
    for place, (hyperparameters, results, state) in enumerate(rows):
        assert same(load_values(hyperparameters), VALUES[place])
        assert same(load_values(results), VALUES[place])
        assert same(load_values(state), VALUES[place if place % 2 else max(place - 1, 0)])


def test_tpe_learns_that_infinity_is_the_worst_of_its_values(desk: SearchDesk) -> None:
    values = [math.inf, 1, 2, 3]
    search = Simulation(desk, "tpe", hyperparameters={"c": {"choice": {"values": values}}}, ready=1)
    made = [search.run().hyperparameters["c"] for _ in range(60)]
    assert set(made) <= set(values)
    assert made.count(math.inf) < 15, made
    assert made.count(1) > 20, made


def test_children_have_the_results_of_their_parents(desk: SearchDesk) -> None:
    options = {"population_size": 2, "max_generations": 12, "exploit": {"truncate": {"proportion": 0.5}}}
    search = Simulation(desk, "pbt", options=options, ready=1)
    results: dict[str | None, dict[str, Any]] = {}
    for place in range(24):
        results_of_this = {"loss": 1.0, "list": [math.nan, -math.inf, 0.5], **VALUES[place]}
        job = search.run(results_of_this)
        assert same(job.results, results[job.parent] if job.parent else {})
        results[job.job_id] = results_of_this
    assert len(results) == 24


def test_an_infinite_loss_does_not_switch_asha_off(desk: SearchDesk) -> None:
    search = Simulation(desk, "random", pruner={"asha": {"reduction_factor": 2}}, ready=1)
    pruned_at = [steps_until_pruned(search, loss) for loss in (math.inf, 1.0, 12.0, 11.0, 0.5)]
    assert pruned_at == [None, None, 1, 2, None]


def steps_until_pruned(search: Simulation, loss: float) -> int | None:
    """Report a loss at up to four steps; return the step at which the pruner ends the job, None if it does not."""
    _job, common = search.next_job()
    for step in range(1, 5):
        curve = Curve(**common, sequence=step, points=[Point(step=step, values={"loss": loss})])
        if is_pruned(search, search.reports.report(curve).pruning):
            search.reports.report(Finish(**common, sequence=5, status="PRUNED", results={}, quality=0.0))
            return step
    search.reports.report(Finish(**common, sequence=5, status="DONE", results={"loss": loss}, quality=0.0))
    return None


def is_pruned(search: Simulation, call: PrunerCall | None) -> bool:
    """Ask the pruner as the service does, by lines, and store what it keeps."""
    assert call is not None
    question = read_question(write_line(PruneQuestion(question=1, **call._asdict())))
    verdict = read_answer(write_line(Runner(search.desk.store).answer(question)))
    assert isinstance(verdict, PruneAnswer)
    with search.desk.store.transaction() as transaction:
        store_pruner_state(transaction, verdict)
    return verdict.prune
