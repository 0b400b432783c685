"""Searches whose service or search process dies, and algorithms of a user's own that fail, hang, or take their time."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import schedy
from schedy import Job
from schedy.errors import InvalidValueError
from schedy.settings import Settings
from schedy.wire import names
from schedy_broker_setup.connecting import open_connection
from tests.integration.searching import (
    SPACE,
    Workers,
    install_algorithms,
    is_done,
    job_numbers,
    kill_processes,
    record_of,
    service_process,
    squares,
    suggestions,
    work,
)
from tests.processes import search_processes_of
from tests.support import running_service, wait_until

_OWN = '''
import os
import pathlib
import random
import time
import warnings

from schedy.errors import InvalidValueError
from schedy_store.search.protocol import Exhausted, Suggestion, generator

FOLDER = pathlib.Path(__file__).parent


class Failing:
    """Raises as long as there is a file."""

    def __init__(self, definition):
        pass

    def suggest(self, number, history):
        if (FOLDER / "fails").exists():
            raise ZeroDivisionError("this one has a fault")
        return Suggestion({"x": number})


class Hanging(Failing):
    """Hangs as long as there is a file."""

    def suggest(self, number, history):
        while (FOLDER / "hangs").exists():
            time.sleep(0.01)
        return Suggestion({"x": number})


class Dying(Failing):
    """Takes its process with it as long as there is a file."""

    def suggest(self, number, history):
        import os

        if (FOLDER / "dies").exists():
            os._exit(7)
        return Suggestion({"x": number})


class Refusing(Failing):
    """Cannot use its definition as long as there is a file."""

    def __init__(self, definition):
        if (FOLDER / "refuses").exists():
            raise InvalidValueError("x must be a choice.")


class Slow(Failing):
    def suggest(self, number, history):
        time.sleep(2.0)
        return Suggestion({"x": number})


class Talking(Failing):
    """Prints, remembers, and ends."""

    def suggest(self, number, history):
        print("not a line of JSON\\r\\x1b[2J\\n2026-11-23 07:19:22,599 INFO forged \\ud800")
        warnings.warn("of a library", stacklevel=1)
        os.write(1, b"from below \\xff, without an end")
        if number == 3:
            return Exhausted("Three are enough.")
        seen = sorted(trial.state["seen"] for trial in history.ended)
        return Suggestion({"x": number}, state={"seen": number, "before": seen})


class Wrong(Failing):
    def suggest(self, number, history):
        return Suggestion({"x": object()})
'''
_NAMES = {kind.lower(): kind for kind in ("Failing", "Hanging", "Dying", "Refusing", "Slow", "Talking", "Wrong")}


@pytest.fixture
def db(settings: Settings) -> Iterator[schedy.SchedyDB]:
    """A connection; the service is a process of the test's."""
    with schedy.SchedyDB(config_override=settings.model_dump()) as connection:
        yield connection


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with algorithms of a user's own, and with the files that make them misbehave."""
    folder = tmp_path / "own"
    folder.mkdir()
    install_algorithms(folder, _OWN, _NAMES)
    return folder


def _nothing(_job: Job) -> None:
    """A job without results."""


def search_of(db: schedy.SchedyDB, scheduler: str, **settings: Any) -> schedy.Search:
    search = schedy.Search(scheduler, scheduler, SPACE, **{"max_jobs": 3, **settings})
    db.add_experiment(search)
    return search


def problem(search: schedy.Experiment) -> str:
    return record_of(search).problem or ""


class TestKilled:
    @pytest.mark.parametrize("what", ["service", "search"])
    def test_one_worker_gets_the_sequence_that_it_would_have_got(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path, what: str
    ) -> None:
        found = []
        with service_process(settings, tmp_path) as service:
            for name, is_killed in (("whole", False), ("broken", True)):
                search = schedy.TPESearch(name, SPACE, minimize="loss", max_jobs=12, seed=3, startup_jobs=3)
                db.add_experiment(search)
                ran: list[Any] = []

                def _play(job: Job, ran: list[Any] = ran) -> None:
                    ran.append(job.hyperparameters)
                    squares(job)

                for most in (3, 4, None):
                    work(search, most=most, timeout=20, play=_play)
                    if is_killed and what == "service" and most is not None:
                        service.kill()
                        service.start()
                    elif is_killed and most is not None:
                        kill_processes(wait_until(service.search_processes, what="the search process"))
                found.append(ran)
                assert job_numbers(search) == list(range(12))
        assert len(found[0]) == 12
        assert found[0] == found[1]

    def test_many_workers_get_each_job_once(self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path) -> None:
        with service_process(settings, tmp_path) as service:
            expected = schedy.RandomSearch("whole", SPACE, max_jobs=30, seed=9)
            db.add_experiment(expected)
            wait_until(lambda: len(job_numbers(expected)) == 10, what="the first jobs")
            search = schedy.RandomSearch("R", SPACE, max_jobs=30, seed=9, ready=2)
            db.add_experiment(search)
            workers = Workers(settings, "R", 3, timeout=None)
            for made in (5, 12, 20):
                wait_until(lambda made=made: len(job_numbers(search)) >= made, what="jobs")  # type: ignore[misc]
                if made == 12:
                    kill_processes(service.search_processes())
                else:
                    service.kill()
                    service.start()
            assert workers.join(seconds=60) == 30
            assert job_numbers(search) == list(range(30))
            assert suggestions(search)[:10] == suggestions(expected)
            wait_until(lambda: is_done(search), what="the end of the search")

    def test_a_worker_that_waits_meanwhile_gets_its_job(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path
    ) -> None:
        with service_process(settings, tmp_path) as service:
            search = schedy.RandomSearch("R", SPACE, max_jobs=2, ready=0)
            db.add_experiment(search)
            service.kill()
            workers = Workers(settings, "R", 1, timeout=30)
            service.start()
            assert workers.join(seconds=60) == 2

    def test_the_search_process_ends_with_a_killed_service(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path
    ) -> None:
        with service_process(settings, tmp_path) as service:
            db.add_experiment(schedy.RandomSearch("R", SPACE, max_jobs=2))
            children = wait_until(service.search_processes, what="the search process")
            service.kill()
            wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), what="its end")


def test_what_an_algorithm_of_ours_refuses_is_not_added(db: schedy.SchedyDB, settings: Settings) -> None:
    space = {name: schedy.random.Int(1, 300) for name in "abc"}
    with running_service(settings):
        with pytest.raises(InvalidValueError, match="The grid has 27,000,000 points, more than 10,000,000"):
            db.add_experiment(schedy.GridSearch("G", space))
        db.add_experiment(schedy.GridSearch("G", space, points=2))
        assert work(db.get_experiment("G"), play=_nothing) == 8


class TestTwoInstances:
    def test_no_job_is_made_twice(self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path) -> None:
        with service_process(settings, tmp_path) as first:
            search = schedy.RandomSearch("R", SPACE, max_jobs=24, seed=9, ready=3)
            db.add_experiment(search)
            second_folder = tmp_path / "second"
            second_folder.mkdir()
            with service_process(settings, second_folder, is_second=True):
                wait_until(lambda: consumers(settings, names.REQUESTS_QUEUE) == 2, what="the second instance")
                workers = Workers(settings, "R", 3, timeout=None)
                wait_until(lambda: len(job_numbers(search)) >= 8, what="jobs")
                first.kill()
                assert workers.join(seconds=60) == 24
                assert job_numbers(search) == list(range(24))


def consumers(settings: Settings, queue: str) -> int:
    with open_connection(settings.broker_url, purpose="test") as connection:
        return int(connection.channel().queue_declare(queue, passive=True).method.consumer_count)


class TestOwnAlgorithms:
    def test_one_that_raises_is_shown_and_tried_again(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path, own: Path
    ) -> None:
        (own / "fails").touch()
        with service_process(settings, tmp_path, PYTHONPATH=str(own)) as service:
            search = search_of(db, "failing")
            wait_until(lambda: "ZeroDivisionError: this one has a fault" in problem(search), what="the problem")
            with pytest.raises(schedy.NoJobError, match=r"experiment failing\. The search failed and is"):
                search.next_job()
            other = schedy.RandomSearch("R", SPACE, max_jobs=8, ready=1)
            db.add_experiment(other)
            assert work(other) == 8
            assert "in suggest" in service.log
            (own / "fails").unlink()
            service.kill()
            service.start()
            assert work(search, timeout=20, play=_nothing) == 3
            assert problem(search) == ""
            assert [values["x"] for _number, values in suggestions(search)] == [0, 1, 2]

    def test_workers_of_one_that_cannot_go_on_learn_why(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path, own: Path
    ) -> None:
        with service_process(settings, tmp_path, PYTHONPATH=str(own)) as service:
            search = search_of(db, "refusing", ready=0)
            service.kill()
            (own / "refuses").touch()
            service.start()
            for timeout in (None, 0):
                with pytest.raises(schedy.NoJobError) as raised:
                    search.next_job(timeout=timeout)
                text = "No job left for experiment refusing. The search failed: x must be a choice."
                assert str(raised.value) == text
            assert (is_done(search), record_of(search).made) == (True, 0)

    def test_one_that_cannot_use_its_definition_refuses_the_experiment(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path, own: Path
    ) -> None:
        (own / "refuses").touch()
        with service_process(settings, tmp_path, PYTHONPATH=str(own)) as service:
            for _ in range(2):
                with pytest.raises(InvalidValueError, match=r"^x must be a choice\.$"):
                    search_of(db, "refusing", ready=0)
            assert db.get_experiments() == []
            assert "refusing: the experiment was refused: x must be a choice." in service.log
            (own / "refuses").unlink()
            assert work(search_of(db, "refusing"), timeout=20, play=_nothing) == 3

    @pytest.mark.parametrize("scheduler", ["hanging", "dying"])
    def test_one_that_takes_its_process_along_harms_nobody_else(
        self, db: schedy.SchedyDB, settings: Settings, own: Path, scheduler: str
    ) -> None:
        tmp_path = own.parent
        (own / {"hanging": "hangs", "dying": "dies"}[scheduler]).touch()
        patient = settings.model_copy(update={"search_seconds": 15.0})  # the start of a process counts, too
        with service_process(patient, tmp_path, PYTHONPATH=str(own)):
            search = search_of(db, scheduler)
            other = schedy.RandomSearch("R", SPACE, max_jobs=8, ready=1)
            db.add_experiment(other)
            assert work(other, timeout=15) == 8
            assert problem(other) == ""
            if scheduler == "hanging":
                assert problem(search) == ""  # the other did not wait until it was ended
            wait_until(lambda: "The search process" in problem(search), seconds=30, what="the problem")
            assert problem(other) == ""

    def test_a_worker_that_waits_for_one_does_not_take_the_service_for_dead(
        self, settings: Settings, own: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (own / "hangs").touch()
        hasty = {**settings.model_dump(), "claim_patience_seconds": 5.0}
        with service_process(settings, own.parent, PYTHONPATH=str(own)), schedy.SchedyDB(config_override=hasty) as db:
            search = search_of(db, "hanging")
            with pytest.raises(schedy.NoJobError):
                search.next_job(timeout=8)
            assert "no results service answers" not in caplog.text

    def test_a_slow_one_delays_no_claims_of_others(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path, own: Path
    ) -> None:
        with service_process(settings, tmp_path, PYTHONPATH=str(own)):
            search_of(db, "slow", max_jobs=50, ready=50)
            other = schedy.RandomSearch("R", SPACE, max_jobs=8)
            manual = schedy.ManualSearch("M")
            db.add_experiment(manual)
            db.add_experiment(other)
            manual.add_jobs([{"hyperparameters": {"x": 1.0, "y": 2.0}}] * 8)
            began = time.monotonic()
            assert work(manual) == 8
            assert time.monotonic() - began < 20
            assert work(other, timeout=30) == 8
            assert time.monotonic() - began < 60  # the slow one takes 100 s

    def test_a_worker_begins_when_its_job_is_there(self, settings: Settings, tmp_path: Path, own: Path) -> None:
        """Its question whether there is one is answered then, and not when it is asked again."""
        patient = {**settings.model_dump(), "claim_retry_seconds": 60.0}
        with service_process(settings, tmp_path, PYTHONPATH=str(own)), schedy.SchedyDB(config_override=patient) as db:
            search = search_of(db, "slow", max_jobs=6, ready=0)
            began = time.monotonic()
            assert work(search, play=_nothing) == 6
            assert time.monotonic() - began < 28  # the search takes 12 s; an answer is waited for for 30 s

    def test_what_it_keeps_comes_back_and_what_it_prints_goes_to_the_log(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path, own: Path
    ) -> None:
        with service_process(settings, tmp_path, PYTHONPATH=str(own)) as service:
            search = search_of(db, "talking", max_jobs=None, ready=0)
            assert work(search, play=_nothing) == 3
            wait_until(lambda: is_done(search), what="the end of the search")
            assert (record_of(search).made, record_of(search).search_end) == (3, "Three are enough.")
        lines = service.log.splitlines()
        printed = [line.partition(" WARNING Search talking: ")[2] for line in lines if " WARNING Search " in line]
        assert printed[:2] == [r"not a line of JSON\r\x1b[2J", r"2026-11-23 07:19:22,599 INFO forged \ud800"]
        assert [line[-26:] for line in printed].count(" UserWarning: of a library") == 1
        assert r"from below \xff, without an end" in printed
        assert all(line.isprintable() for line in lines)
        assert states_of(settings) == [
            {"seen": 0, "before": []},
            {"seen": 1, "before": [0]},
            {"seen": 2, "before": [0, 1]},
        ]

    def test_a_suggestion_that_cannot_be_stored_is_a_problem_of_its_own(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path, own: Path
    ) -> None:
        with service_process(settings, tmp_path, PYTHONPATH=str(own)):
            search = search_of(db, "wrong")
            wait_until(lambda: "InvalidValueError" in problem(search), what="the problem")

    def test_one_that_is_not_installed_is_refused(
        self, db: schedy.SchedyDB, settings: Settings, tmp_path: Path
    ) -> None:
        with running_service(settings):
            with pytest.raises(InvalidValueError, match="There is no algorithm 'talking'"):
                search_of(db, "talking")


def states_of(settings: Settings) -> list[Any]:
    """Return the state that the algorithm keeps with each job."""
    from sqlalchemy import select

    from schedy_store.schema.engine import Store
    from schedy_store.schema.tables import Job as Row

    store = Store.open(settings.effective_store_url, read_only=True)
    with store.transaction() as transaction:
        found = [
            json.loads(state) for state in transaction.sql.scalars(select(Row.search_state).order_by(Row.suggestion))
        ]
    store.close()
    return found


def test_the_search_process_is_a_child_of_the_service(db: schedy.SchedyDB, settings: Settings) -> None:
    import os

    with running_service(settings):
        db.add_experiment(schedy.RandomSearch("R", SPACE, max_jobs=2))
        wait_until(lambda: search_processes_of(os.getpid()), what="the search process")
    wait_until(lambda: not search_processes_of(os.getpid()), what="its end")
