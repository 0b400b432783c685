"""What becomes of a job, by the way in which its block ends."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

import schedy
from schedy.worker import signals
from tests.unit.job_support import NotingSession, held_job
from tests.unit.test_user_text import Divides, Exits, Interrupts, Nameless, NoText, Recurses, ReprRecurses


@pytest.fixture
def session() -> NotingSession:
    return NotingSession()


def leave(session: NotingSession, error: BaseException | None) -> schedy.Job:
    """Leave a job's block in this way; the exception must come out as it is."""
    job = held_job(session)
    if error is None:
        with job:
            pass
    else:
        with pytest.raises(type(error)), job:
            raise error
    return job


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (Divides(), "Divides"),
        (NoText(), "NoText"),
        (Recurses(), "Recurses"),
        (Exits(), "Exits"),
        (Interrupts(), "Interrupts"),
        (Nameless(), "Nameless"),
        (ValueError(ReprRecurses()), "ValueError"),
    ],
)
def test_any_exception_crashes_the_job_and_counts(session: NotingSession, error: Exception, text: str) -> None:
    assert leave(session, error).status == "CRASHED"
    leave(session, error)
    assert session.ended == [("CRASHED", {}, 0.0, text)] * 2
    assert session.released == []
    with pytest.raises(schedy.UnhealthyWorkerError, match=text):
        session.crash_loop.check()


class OwnStop(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), OwnStop(), SystemExit(), SystemExit(0)],
    ids=repr,
)
def test_an_interruption_gives_the_job_back(session: NotingSession, error: BaseException) -> None:
    assert leave(session, error).status == "QUEUED"
    assert session.ended == []
    assert len(session.released) == 1


@pytest.mark.parametrize("code", [1, 137, "out of memory", 0.5, ()], ids=repr)
def test_a_program_that_ends_itself_with_a_failure_crashes_the_job(session: NotingSession, code: object) -> None:
    assert leave(session, SystemExit(code)).status == "CRASHED"
    assert [(status, error) for status, _, _, error in session.ended] == [("CRASHED", f"SystemExit: {code}")]
    assert session.released == []


def test_a_restart_loop_of_failing_programs_is_noticed_like_one_of_exceptions(session: NotingSession) -> None:
    leave(session, SystemExit(1))
    leave(session, SystemExit(1))
    with pytest.raises(schedy.UnhealthyWorkerError, match="SystemExit: 1"):
        session.crash_loop.check()


STOP_SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]


@pytest.fixture
def handlers() -> Iterator[None]:
    """Python's own handlers before the test and after it, and no signal that has come."""
    before = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, signal.SIGUSR1)}
    for number in before:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    signals._stop_signals.came.clear()
    signals._stop_signals.is_told = False


def swallow(session: NotingSession, number: signal.Signals) -> None:
    """Run a job whose code catches the exception of a stop signal."""
    with held_job(session):
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            signal.raise_signal(number)


@pytest.mark.usefixtures("handlers")
class TestStopSignals:
    @pytest.mark.parametrize("number", STOP_SIGNALS)
    def test_one_gives_the_job_of_a_block_back(self, session: NotingSession, number: signal.Signals) -> None:
        with pytest.raises((SystemExit, KeyboardInterrupt)) as raised, held_job(session):
            signal.raise_signal(number)
        if number != signal.SIGINT:
            assert raised.value.code == 128 + number  # type: ignore[attr-defined]
        assert session.ended == []
        assert len(session.released) == 1

    @pytest.mark.parametrize("number", STOP_SIGNALS)
    def test_a_trainer_that_swallows_one_does_not_make_the_job_done(
        self, session: NotingSession, number: signal.Signals, caplog: pytest.LogCaptureFixture
    ) -> None:
        with held_job(session) as job:
            try:
                signal.raise_signal(number)
            except BaseException:
                job.results["half"] = 1
        assert job.status == "QUEUED"
        assert session.ended == []
        assert f"Job job001 is given back: {number.name} came while it ran" in caplog.text

    def test_a_trainer_that_turns_it_into_another_end_does_not_fail_the_job(
        self, session: NotingSession, caplog: pytest.LogCaptureFixture
    ) -> None:
        for end in (SystemExit(1), RuntimeError("interrupted")):
            with pytest.raises(type(end)), held_job(session):
                try:
                    signal.raise_signal(signal.SIGINT)
                except KeyboardInterrupt:
                    raise end from None
        assert session.ended == []
        assert len(session.released) == 2
        assert "its block ended with RuntimeError: interrupted" in caplog.text

    def test_a_job_that_is_finished_or_pruned_is_not_given_back(self, session: NotingSession) -> None:
        with pytest.raises(KeyboardInterrupt), held_job(session) as job:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                job.results["loss"] = 1
                job.finish()
                raise
        assert job.status == "DONE"
        with held_job(session):
            try:
                signal.raise_signal(signal.SIGTERM)
            except SystemExit:
                raise schedy.Pruned from None
        assert [(status, dict(results)) for status, results, _, _ in session.ended] == [
            ("DONE", {"loss": 1}),
            ("PRUNED", {}),
        ]
        assert session.released == []

    def test_one_that_came_before_the_block_means_nothing_for_it(self, session: NotingSession) -> None:
        with held_job(session):
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with held_job(session) as job:
            pass
        assert job.status == "DONE"

    def test_one_means_nothing_for_the_job_of_another_thread(self, session: NotingSession) -> None:
        """Its exception is raised in the main thread alone, so the other one has run to its end."""
        entered, stopped = threading.Event(), threading.Event()

        def _work() -> None:
            with held_job(session):
                entered.set()
                stopped.wait(10)

        thread = threading.Thread(target=_work)
        thread.start()
        entered.wait(10)
        with pytest.raises(KeyboardInterrupt), held_job(session):
            signal.raise_signal(signal.SIGINT)
        stopped.set()
        thread.join(10)
        assert [status for status, *_ in session.ended] == ["DONE"]
        assert len(session.released) == 1

    @pytest.mark.parametrize("number", STOP_SIGNALS)
    def test_no_job_is_claimed_after_one(
        self, session: NotingSession, number: signal.Signals, caplog: pytest.LogCaptureFixture
    ) -> None:
        swallow(session, number)
        in_thread: list[BaseException] = []

        def _claim() -> None:
            try:
                signals.end_if_stopped()
            except SystemExit as error:
                in_thread.append(error)

        for _ in range(2):
            with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as raised:
                signals.end_if_stopped()
            thread = threading.Thread(target=_claim)
            thread.start()
            thread.join(10)
        codes = [error.code for error in in_thread if isinstance(error, SystemExit)]
        assert codes == [128 + number] * 2
        if number != signal.SIGINT:
            assert raised.value.code == 128 + number  # type: ignore[attr-defined]
        assert caplog.text.count(f"{number.name} came before: this process takes no more jobs.") == 1

    def test_ctrl_c_at_a_prompt_ends_nothing_more(
        self, session: NotingSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
        swallow(session, signal.SIGINT)
        signals.end_if_stopped()
        swallow(session, signal.SIGTERM)
        swallow(session, signal.SIGINT)
        with pytest.raises(SystemExit):
            signals.end_if_stopped()

    def test_a_forked_child_takes_jobs_whatever_came_to_its_parent(self, session: NotingSession) -> None:
        swallow(session, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(_in_child(signals.end_if_stopped)) == 0

    def test_the_setting_names_further_ones(self, session: NotingSession) -> None:
        session.settings = session.settings.model_copy(update={"stop_signals": "USR1"})
        with pytest.raises(SystemExit) as raised, held_job(session):
            signal.raise_signal(signal.SIGUSR1)
        assert raised.value.code == 128 + signal.SIGUSR1
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def test_a_handler_of_the_users_stays(self, session: NotingSession) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        own = lambda *_arguments: None  # noqa: E731
        signal.signal(signal.SIGINT, own)
        with held_job(session) as job:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is own
        assert job.status == "DONE"

    def test_a_forked_child_ends_as_by_default_unless_it_works_itself(self, session: NotingSession) -> None:
        with held_job(session):
            assert os.waitstatus_to_exitcode(_in_child(lambda: signal.raise_signal(signal.SIGTERM))) == -signal.SIGTERM

        def _works() -> None:
            with pytest.raises(SystemExit), held_job(session):
                signal.raise_signal(signal.SIGTERM)

        assert os.waitstatus_to_exitcode(_in_child(_works)) == 0


def _in_child(action: Callable[[], None]) -> int:
    """Return the wait status of a forked child that does this."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def test_a_job_without_a_block_is_finished(session: NotingSession) -> None:
    job = held_job(session)
    job.results["loss"] = 2
    job.finish()
    assert (job.status, session.ended) == ("DONE", [("DONE", {"loss": 2}, 0.0, None)])
    with pytest.raises(schedy.UnsafeUpdateError, match="not held by this worker"):
        job.finish()
