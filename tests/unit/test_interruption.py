"""A command that ends early says what was done, what may yet be done, and how to find out."""

import contextlib
import functools
import itertools
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from schedy.errors import (
    BrokerUnreachableError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExistsError,
    SchedyError,
    ServiceUnavailableError,
    TopologyMissingError,
)
from schedy.wire.answers import JobOutcome, JobsChangedAnswer, PushAnswer, Refusal
from schedy.wire.changes import CancelJobs
from schedy.wire.records import JobRecord
from schedy.worker.worker_name import this_worker
from schedy_cli import pushing
from schedy_cli.commands import add, cancel, rm
from schedy_cli.main import run

NOW = datetime(2026, 1, 2, tzinfo=UTC)
UID = "0" * 32
Effect = Callable[[Any], Any]


class Calls:
    """The calls of a session whose broker answers by `effect`."""

    def __init__(self, effect: Effect, *, could_send: bool) -> None:
        self._effect = effect
        self.could_send = could_send

    def call(self, message: Any, **_options: object) -> Any:
        stored: Future[None] = Future()
        stored.set_result(None)
        answer = functools.cache(lambda: self._effect(message))
        waiting = types.SimpleNamespace(result=lambda _seconds: answer())
        return types.SimpleNamespace(stored=stored, answer=waiting, times_sent=int(self.could_send))

    def cancel(self, _call: object) -> None:
        """Nothing waits."""


class Session:
    worker = this_worker()

    def __init__(self, effect: Effect, *, could_send: bool = True, at_close: BaseException | None = None) -> None:
        self.at_close = at_close
        self.calls = Calls(effect, could_send=could_send)
        self.settings = types.SimpleNamespace(service_wait_seconds=1.0, store_wait_seconds=1.0)
        self.change = lambda change, **_options: effect(change)

    def read(self, _request: object, **_options: object) -> Any:
        raise ServiceUnavailableError("No results service answers.")


def close(session: Session) -> None:
    if session.at_close is not None:
        raise session.at_close


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Session], None]:
    """Put a session in the place of the one that commands open."""

    def _use(session: Session) -> None:
        experiment = types.SimpleNamespace(name="E", uid=UID, job_counts={"DONE": 5000})
        reader = types.SimpleNamespace(ask=lambda _request: types.SimpleNamespace(experiments=[experiment]))

        @contextlib.contextmanager
        def _session(_settings: object) -> Iterator[Session]:
            yield session
            close(session)

        @contextlib.contextmanager
        def _both(_settings: object) -> Iterator[tuple[Session, Any]]:
            yield session, reader
            close(session)

        for command in (add, pushing):
            monkeypatch.setattr(command, "session_for", _session)
        for command in (cancel, rm):
            monkeypatch.setattr(command, "session_and_reader", _both)

    return _use


def raising(error: BaseException, *, after: int = 0, answer: Effect = lambda _message: None) -> Effect:
    """Return what answers some times, then raises."""
    numbers = itertools.count()

    def _effect(message: Any) -> Any:
        if next(numbers) >= after:
            raise error
        return answer(message)

    return _effect


def stored(message: Any) -> PushAnswer:
    fields = {"position": 1, "job_id": "fVKGjg", "revision": 1, "status": "QUEUED", "quality": 0.0, "created_at": NOW}
    job = JobRecord.model_validate({**fields, "hyperparameters": {"x": 1}, "results": {}})
    return PushAnswer(experiment_uid=UID, lease_seconds=30.0, jobs=[job] * len(message.jobs))


def cancelled(message: CancelJobs) -> JobsChangedAnswer:
    outcomes = [JobOutcome(job_id=job_id, changed=True, detail="") for job_id in message.job_ids]
    return JobsChangedAnswer(outcomes=outcomes)


def file_of(folder: Path, count: int) -> str:
    path = folder / "jobs"
    path.write_text('{"hyperparameters": {"x": 1}}\n' * count)
    return str(path)


LOST = BrokerUnreachableError("Cannot reach RabbitMQ at mq:5672.")
UNREACHED = "Cannot reach RabbitMQ at mq:5672."


def test_ctrl_c_in_a_push_of_many(
    use: Callable[[Session], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(Session(raising(KeyboardInterrupt(), after=2, answer=stored)))
    assert run(["push", "E", "--from", file_of(tmp_path, 2000)]) == 130
    printed = capsys.readouterr()
    assert len(printed.out.split()) == 400
    assert "Interrupted. 400 of 2000 job(s) are stored. 600 more may be stored" in printed.err
    assert "`schedy list E -d --limit 600`" in printed.err
    assert "nothing was done" not in printed.err.lower()


@pytest.fixture
def file(use: Callable[[Session], None], tmp_path: Path) -> str:
    """A file of 2,000 jobs, and a service that stores them."""
    use(Session(stored))
    return file_of(tmp_path, 2000)


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 1)], ids=["ctrl-c", "head"]
)
def test_an_end_while_ids_are_printed(
    error: BaseException,
    code: int,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As in `schedy push E --from FILE | head`."""
    monkeypatch.setattr(pushing, "click", types.SimpleNamespace(**{**vars(click), "echo": raising(error)}))
    monkeypatch.setattr("schedy_cli.main._leave_quietly", lambda: 1)
    assert run(["push", "E", "--from", file]) == code
    assert "200 of 2000 job(s) are stored. 400 more may be stored" in capsys.readouterr().err


def test_a_push_of_many_that_loses_the_broker(
    use: Callable[[Session], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(Session(raising(LOST, after=2, answer=stored)))
    assert run(["push", "E", "--from", file_of(tmp_path, 500)]) == 1
    error = capsys.readouterr().err
    assert "400 of 500 job(s) are stored. 100 more may be stored" in error
    assert error.endswith(f"Error: {UNREACHED}\n")


def test_a_refused_push_says_which_jobs_may_be_stored(
    use: Callable[[Session], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = Refusal(code="invalid", reason="The job lacks 'x'.")
    use(Session(lambda _message: refusal))
    assert run(["push", "E", "-p", "y", "1"]) == 2
    assert capsys.readouterr().err == "Error: The job lacks 'x'.\n"
    answers = iter([None, refusal])
    use(Session(lambda message: next(answers, None) or stored(message)))
    assert run(["push", "E", "--from", file_of(tmp_path, 1000)]) == 2
    error = capsys.readouterr().err
    assert "200 of 1000 job(s) are stored. 400 more may be stored" in error
    assert error.endswith("Error: The job lacks 'x'.\n")


def test_a_push_that_never_reached_the_broker_has_only_the_error(
    use: Callable[[Session], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(Session(raising(LOST), could_send=False))
    assert run(["push", "E", "--from", file_of(tmp_path, 500)]) == 1
    assert capsys.readouterr().err == f"Error: {UNREACHED}\n"


@pytest.mark.parametrize("kind", [NotFoundError, PermissionDeniedError, TopologyMissingError])
def test_of_a_refused_push_nothing_may_be_stored_later(
    kind: type[SchedyError], use: Callable[[Session], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(Session(raising(kind("No."))))
    assert run(["push", "E", "--from", file_of(tmp_path, 2000)]) == 1
    assert capsys.readouterr().err == "Error: No.\n"


def test_a_push_that_is_refused_in_the_middle(
    use: Callable[[Session], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(Session(raising(NotFoundError("No."), after=2, answer=stored)))
    assert run(["push", "E", "--from", file_of(tmp_path, 2000)]) == 1
    assert capsys.readouterr().err == "400 of 2000 job(s) are stored. No other will be.\nError: No.\n"


def test_ctrl_c_in_the_push_of_one_job(use: Callable[[Session], None], capsys: pytest.CaptureFixture[str]) -> None:
    use(Session(raising(KeyboardInterrupt())))
    assert run(["push", "E", "-p", "x", "1"]) == 130
    assert "0 of 1 job(s) are stored. 1 more may be stored" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (LOST, 1)], ids=["ctrl-c", "lost"])
def test_many_jobs_are_cancelled_and_then_no_more(
    error: BaseException, code: int, use: Callable[[Session], None], capsys: pytest.CaptureFixture[str]
) -> None:
    use(Session(raising(error, after=10, answer=cancelled)))
    assert run(["cancel", "E", *(f"jb{number:04}" for number in range(1200))]) == code
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1000
    assert "1000 job(s) were cancelled. 100 more may be cancelled, now or later: `schedy list E` shows" in printed.err


@pytest.mark.parametrize(
    ("command", "done", "check"),
    [
        (["add", "E", "manual"], "the experiment E was added", "schedy show E"),
        (["rm", "-f", "E"], "the experiment E was removed", "schedy show E"),
    ],
    ids=["add", "rm"],
)
class TestOneChange:
    def test_ctrl_c_after_it_was_sent(
        self,
        command: list[str],
        done: str,
        check: str,
        use: Callable[[Session], None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        use(Session(raising(KeyboardInterrupt())))
        assert run(command) == 130
        expected = f"It is unknown whether {done}: it may still be done. `{check}` shows it.\n"
        assert capsys.readouterr().err == f"\nInterrupted. {expected}"

    def test_ctrl_c_before_anything_could_be_sent(
        self,
        command: list[str],
        done: str,
        check: str,
        use: Callable[[Session], None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        use(Session(raising(KeyboardInterrupt()), could_send=False))
        assert run(command) == 130
        assert capsys.readouterr().err == "\nInterrupted. Nothing was done.\n"

    def test_ctrl_c_while_the_session_is_closed(
        self,
        command: list[str],
        done: str,
        check: str,
        use: Callable[[Session], None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        use(Session(lambda _change: None, at_close=KeyboardInterrupt()))
        assert run(command) == 130
        assert capsys.readouterr().err == f"\nInterrupted. But {done}.\n"

    def test_a_refusal_is_an_error_and_nothing_more(
        self,
        command: list[str],
        done: str,
        check: str,
        use: Callable[[Session], None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for kind in (ResourceExistsError, PermissionDeniedError):
            use(Session(raising(kind("No."))))
            assert run(command) == 1
            assert capsys.readouterr().err == "Error: No.\n"
