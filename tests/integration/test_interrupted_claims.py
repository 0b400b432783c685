"""Ctrl-C while a job is claimed: at every line of ours, and in a notebook, which keeps the last traceback."""

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import schedy
from schedy import Job
from tests.support import wait_until

FOLDER = str(Path(schedy.__file__).parent)


class InterruptAtNewLine:
    """Raises KeyboardInterrupt once, before the first line of ours that this thread comes to and that is not `seen`."""

    def __init__(self, seen: set[str]) -> None:
        self._seen = seen
        self.fired = ""

    def __enter__(self) -> "InterruptAtNewLine":
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(FOLDER) else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if event == "line" and place not in self._seen and not _is_in_finaliser(frame):
            self._seen.add(place)
            sys.settrace(None)
            self.fired = place
            raise KeyboardInterrupt
        return self._line


def _is_in_finaliser(frame: FrameType | None) -> bool:
    """Python ignores what is raised there, Ctrl-C too: the job is then lost after its lease."""
    while frame is not None and frame.f_code.co_name != "release_soon":
        frame = frame.f_back
    return frame is not None


def held_tokens(experiment: schedy.Experiment) -> list[str]:
    return list(experiment._session.leases._presence.holds)


def interrupted(claim: Callable[[], object]) -> Iterator[str]:
    """Interrupt a claim at its first line, then at its next, and so on to its last; yield where."""
    seen: set[str] = set()
    while True:
        kept: KeyboardInterrupt | None = None
        begun = time.monotonic()
        with InterruptAtNewLine(seen) as interrupt:
            try:
                claim()
            except KeyboardInterrupt as error:
                kept = error  # as IPython keeps the last error, with its frames
        if not interrupt.fired or kept is None:
            return
        assert time.monotonic() - begun < 8, "the ticket was used up, and is missed by the service in the end"
        ours = [frame for frame in traceback.extract_tb(kept.__traceback__) if frame.filename.startswith(FOLDER)]
        assert len(ours) == 1
        assert kept.__context__ is None
        yield interrupt.fired


def checked_places(experiment: schedy.Experiment, job: Job, claim: Callable[[], object]) -> Iterator[str]:
    for place in interrupted(claim):
        wait_until(lambda: not held_tokens(experiment), seconds=5, what=f"the end of what was held at {place}")
        wait_until(
            lambda: experiment.get_job(job.job_id).status == Job.QUEUED, seconds=5, what=f"a job given back at {place}"
        )
        yield place


@pytest.mark.timeout(600)
def test_next_job_gives_back_what_it_has_wherever_it_is_interrupted(experiment: schedy.ManualSearch) -> None:
    job = experiment.add_job({"x": 1})
    experiment.next_job()  # the first one connects, and makes handlers
    places = list(checked_places(experiment, job, lambda: experiment.next_job(timeout=10)))
    assert len(set(places)) > 60
    for module in ("experiments", "working", "held_job", "worker/pulling", "worker/taker"):
        assert any(f"{FOLDER}/{module}.py" in place for place in places), module


@pytest.mark.timeout(600)
def test_try_run_gives_back_what_it_has_wherever_it_is_interrupted(experiment: schedy.ManualSearch) -> None:
    job = experiment.add_job({"x": 1})
    assert len(list(checked_places(experiment, job, lambda: experiment.get_job(job.job_id).try_run()))) > 20
