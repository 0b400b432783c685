"""What becomes of a job, by the way in which its block ends."""

import asyncio

import pytest

import schedy
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


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
def test_an_interruption_gives_the_job_back(session: NotingSession, error: BaseException) -> None:
    assert leave(session, error).status == "QUEUED"
    assert session.ended == []
    assert len(session.released) == 1
