"""Ctrl-C while a job is claimed: at every line of ours, and in a notebook, which keeps the last traceback."""

import sys
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


class InterruptAt:
    """Raises KeyboardInterrupt once, before the given line of ours that this thread comes to."""

    def __init__(self, line: int) -> None:
        self.left = line
        self.fired = ""

    def __enter__(self) -> "InterruptAt":
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(FOLDER) else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self.fired = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._line


def held_tokens(experiment: schedy.Experiment) -> list[str]:
    return list(experiment._session.leases._presence.holds)


def interrupted(claim: Callable[[], object]) -> Iterator[str]:
    """Interrupt a claim at its first line, then at its second, and so on to its last; yield where."""
    line = 0
    while True:
        line += 1
        kept: KeyboardInterrupt | None = None
        with InterruptAt(line) as interrupt:
            try:
                claim()
            except KeyboardInterrupt as error:
                kept = error  # as IPython keeps the last error, with its frames
        if not interrupt.fired or kept is None:
            return
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
    for module in ("experiments", "jobs", "worker/pulling", "worker/tickets", "worker/claims", "worker/leases"):
        assert any(f"{FOLDER}/{module}.py" in place for place in places)


@pytest.mark.timeout(600)
def test_try_run_gives_back_what_it_has_wherever_it_is_interrupted(experiment: schedy.ManualSearch) -> None:
    job = experiment.add_job({"x": 1})
    assert len(list(checked_places(experiment, job, lambda: experiment.get_job(job.job_id).try_run()))) > 20
