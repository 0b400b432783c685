"""Loops that claim ahead: what they hold while a job runs, and what becomes of it when it is not begun."""

import contextlib
import sqlite3
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

import schedy
from schedy import Job
from schedy.errors import InvalidValueError
from schedy.settings import Settings
from schedy.wire.base import Sendable
from schedy.wire.reports import Claim, Finish
from schedy.wire.requests import GetHistory
from schedy.worker.call import Call
from schedy.worker.taker import Taker
from schedy_broker_setup.dead_letters import replay_dead_letters
from tests.forwarder import Forwarder
from tests.support import wait_until

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """No lease runs out, however slow the machine is."""
    return settings.model_copy(update={"lease_seconds": 60.0})


def held_tokens(experiment: schedy.Experiment) -> list[str]:
    return list(experiment._session.leases._presence.holds)


def events(db: schedy.SchedyDB, job: Job) -> list[str]:
    request = GetHistory(experiment_uid=job.experiment.uid, job_id=job.job_id)
    return [f"{event.kind}: {event.detail}" for event in db.session.read(request).events]


def states(jobs: list[Job]) -> list[tuple[str, int]]:
    return [(stored.status, stored.attempt) for stored in (job.experiment.get_job(job.job_id) for job in jobs)]


def test_the_end_of_a_job_claims_the_next_which_is_given_back_if_it_is_not_begun(
    db: schedy.SchedyDB, experiment: schedy.ManualSearch, capfd: pytest.CaptureFixture[str]
) -> None:
    pushed = [experiment.add_job({"x": x}) for x in range(4)]
    loop = experiment.jobs(timeout=5)
    with next(loop):
        assert held_tokens(experiment) != []
        assert states(pushed)[1] == ("QUEUED", 0)  # while a job runs none waits in this worker
    wait_until(
        lambda: any("before it began" in event for event in events(db, pushed[1])), what="the second, given back"
    )
    assert states(pushed)[:2] == [("DONE", 1), ("QUEUED", 0)]
    taken = [next(loop) for _ in range(2)]  # the first of which is DONE when the second is taken
    assert [job.hyperparameters["x"] for job in taken] == [2, 3]
    experiment.get_job(taken[1].job_id).delete()
    with taken[1]:
        pass
    assert taken[1].status == Job.RUNNING  # the end was refused
    assert f"Job {taken[1].job_id} is no longer this worker's: it was deleted" in capfd.readouterr().err
    loop.close()
    wait_until(lambda: states(pushed[:2]) == [("DONE", 1), ("QUEUED", 0)], what="the second, given back again")
    with experiment.next_job(timeout=5) as job:
        assert job.job_id == pushed[1].job_id


def test_a_loop_that_prefetches_holds_so_many_jobs_and_leaves_none_in_the_hands_of_a_long_one(
    settings: Settings, experiment: schedy.ManualSearch
) -> None:
    with pytest.raises(InvalidValueError, match="prefetch is a whole number from 1 to 1000, not 0"):
        experiment.jobs(prefetch=0)
    pushed = [experiment.add_job({"x": x}) for x in range(6)]
    short = settings.model_dump() | {"ticket_hold_seconds": 3.0}
    with schedy.SchedyDB(config_override=short) as other:
        mine = other.get_experiment("MinimizeManual")
        loop = mine.jobs(timeout=0.5, prefetch=3)
        with next(loop):
            wait_until(lambda: len(held_tokens(mine)) == 3, what="two jobs beside the one that runs")
            assert states(pushed[3:]) == [("QUEUED", 0)] * 3
            pushed[1].cancel()
            wait_until(lambda: len(held_tokens(mine)) == 1, what="what waits behind a long job to be given back")
            wait_until(lambda: states(pushed[1:3]) == [("PRUNED", 1), ("QUEUED", 0)], what="the store to know that")
        assert mine.work(lambda job: {"x": job.hyperparameters["x"]}, timeout=0.5, prefetch=3) == 4
        loop.close()
    assert states(pushed) == [("DONE", 1), ("PRUNED", 1), *[("DONE", 1)] * 4]


@pytest.fixture
def sent(experiment: schedy.ManualSearch, monkeypatch: pytest.MonkeyPatch) -> list[Sendable]:
    """What this process sends, as it sends it."""
    messages: list[Sendable] = []
    calls = experiment._session.calls
    call = calls.call

    def _noted(message: Sendable, **how: Any) -> Call:
        messages.append(message)
        return call(message, **how)

    monkeypatch.setattr(calls, "call", _noted)
    return messages


def claims_with_ends(sent: list[Sendable]) -> list[str]:
    return [message.then.job_id for message in sent if isinstance(message, Finish) and message.then is not None]


def has_spare(experiment: schedy.Experiment) -> bool:
    """Look, for a moment, whether a ticket is in hand that the end of the job will use."""
    takers = [user for user in experiment._session.tickets.users if isinstance(user, Taker)]
    soon = time.monotonic() + 0.01
    while time.monotonic() < soon:
        if any(taker._claims._spares for taker in takers):
            return True
    return False


def test_the_ends_of_short_jobs_bring_the_claims_of_the_next(
    experiment: schedy.ManualSearch, sent: list[Sendable]
) -> None:
    pushed = experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(60))
    done: list[int] = []
    assert experiment.work(lambda job: done.append(job.hyperparameters["x"]), timeout=0.5) == 60
    alone = [message.job_id for message in sent if isinstance(message, Claim)]
    assert done == list(range(60))
    assert claims_with_ends(sent)  # how many depends on how soon the tickets come
    assert sorted(alone + claims_with_ends(sent)) == sorted(job.job_id for job in pushed)
    assert states(pushed) == [("DONE", 1)] * 60


def test_a_loop_goes_on_waiting_when_a_job_was_longer_than_those_before(experiment: schedy.ManualSearch) -> None:
    loop = experiment.jobs(timeout=20)
    for seconds in (*[0.0] * 6, 0.021, 0.025, 0.03, 0.035, 0.04) * 3:  # some end just before the loop looks around
        later = threading.Timer(0.1, experiment.add_job)
        later.start()
        began = time.monotonic()
        job = next(loop)
        waited = time.monotonic() - began
        with job:
            time.sleep(seconds)
        later.join()
        assert waited < 10
    loop.close()


def test_a_long_job_after_short_ones_keeps_no_ticket_from_others(
    experiment: schedy.ManualSearch, sent: list[Sendable]
) -> None:
    pushed = experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(60))
    loop = experiment.jobs(timeout=5)
    ended = 0
    while not claims_with_ends(sent):
        with next(loop):
            ended += 1
    with next(loop) as long:
        others = [experiment.next_job(timeout=5) for _ in range(len(pushed) - ended - 1)]
        for job in others:
            job.finish()
    assert sorted(job.hyperparameters["x"] for job in [long, *others]) == list(range(ended, len(pushed)))
    loop.close()


def test_a_job_that_is_said_to_be_done_is_in_the_broker(
    settings: Settings, experiment: schedy.ManualSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedy.worker.reports._ANSWER_SECONDS", 0.1)
    port = urlsplit(settings.broker_url).port
    pushed = experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(4))
    said: list[str] = []

    def _say(job: Job) -> None:
        said.append(job.status)

    with Forwarder(int(port or 0)) as forwarder:
        url = settings.broker_url.replace(f":{port}/", f":{forwarder.port}/")
        own = settings.model_copy(update={"broker_url": url})
        with schedy.SchedyDB(config_override=own.model_dump()) as db:
            for job in db.get_experiment(experiment.name).jobs(timeout=1, prefetch=4):
                with job:
                    if job.hyperparameters["x"] == 2:
                        forwarder.cut(refuse=True)
                if job.hyperparameters["x"] == 2:
                    reader = threading.Thread(target=_say, args=[job])
                    reader.start()
                    reader.join(1.0)
                    assert said == []  # the broker cannot have it
                    forwarder.resume()
                    reader.join(30.0)
                    assert said == ["DONE"]
    assert states(pushed) == [("DONE", 1)] * 4


def test_a_claim_outlives_the_refusal_of_the_end_that_it_came_with(
    settings: Settings, experiment: schedy.ManualSearch, sent: list[Sendable], capfd: pytest.CaptureFixture[str]
) -> None:
    """A trigger of the database refuses the end of one job, as a constraint that somebody has made may do."""
    pushed = experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(60))
    refused = None
    with contextlib.closing(sqlite3.connect(str(settings.store_url).removeprefix("sqlite:///"))) as sql:
        sql.execute(
            "CREATE TRIGGER short BEFORE UPDATE ON job WHEN length(NEW.results) > 100"
            " BEGIN SELECT RAISE(ABORT, 'too long'); END"
        )
        loop = experiment.jobs(timeout=2)
        for _ in pushed:
            with next(loop) as job:
                is_refused = refused is None and has_spare(experiment)
                job.results["text"] = "a" * (200 if is_refused else 1)
                refused = job if is_refused else refused
        loop.close()
        assert refused is not None
        (with_claim,) = [m for m in sent if isinstance(m, Finish) and m.job_id == refused.job_id]
        assert with_claim.then is not None
        assert "The results service cannot handle this" in capfd.readouterr().err
        expected = [("RUNNING" if job.job_id == refused.job_id else "DONE", 1) for job in pushed]
        assert states(pushed) == expected
        sql.execute("DROP TRIGGER short")
    list(replay_dead_letters(settings.broker_url, None))
    wait_until(lambda: states(pushed) == [("DONE", 1)] * len(pushed), what="the result")
