"""What becomes of jobs whose programs are run: real programs, and a job that notes how it ended."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import schedy
from schedy_cli.running.command_line import CommandLine
from schedy_cli.running.programs import Programs
from schedy_cli.running.trials import Stopping, Trials, TrialSettings


class NotedJob:
    """A job of no broker. `ended` is how it ended, and whether its folder was there then."""

    job_id = "abcdef"
    attempt = 1

    def __init__(self, data_dir: Path, hyperparameters: Mapping[str, Any]) -> None:
        self.experiment = SimpleNamespace(name="E", definition=None)
        self.parent = None
        self.hyperparameters = hyperparameters
        self.results: dict[str, Any] = {}
        self.ended = ""
        self._folder = data_dir / "runs" / "E" / self.job_id

    def _end(self, how: str) -> None:
        self.ended = self.ended or f"{how} in its folder" if self._folder.exists() else self.ended or how

    def crash(self, error: str, _traceback: str | None = None) -> None:
        self._end(f"CRASHED: {error}")

    def finish(self) -> None:
        self._end("DONE")

    def should_prune(self) -> bool:
        return False

    def report(self, _step: int, /, **_values: float) -> None: ...

    def put_output(self, _text: str, _end: int, _path: str) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_error: object) -> None:
        self._end("given back")


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    made = Programs()
    yield made
    made.close()


Run = Callable[..., tuple[str, str, str]]


@pytest.fixture
def run(programs: Programs, tmp_path: Path) -> Run:
    """Run a program for a shell; return the outcome, its detail, and how the job ended."""

    def _run(
        text: str,
        *,
        x: object = 1,
        stopping: Stopping | None = None,
        echo: Callable[[str, bytes], None] | None = None,
    ) -> tuple[str, str, str]:
        settings = TrialSettings(
            command=CommandLine(["sh", "-c", text]),
            objectives=["loss"],
            patterns=[],
            data_dir=tmp_path,
            complain=pytest.fail,
            echo=echo,
        )
        job = NotedJob(tmp_path, {"x": x})
        try:
            end = Trials(programs, settings, stopping or Stopping(0.2)).run(cast("schedy.Job", job), 0)
        except OSError as error:
            return "raised", str(error), job.ended
        return end.outcome, end.detail, job.ended

    return _run


def test_the_folder_of_a_job_is_removed_before_another_worker_may_have_the_job(run: Run) -> None:
    assert run("echo loss 1") == ("DONE", "", "DONE")
    assert run("echo loss 1; touch $SCHEDY_DIR/checkpoint") == ("DONE", "", "DONE in its folder")


def test_a_signal_to_all_processes_gives_the_job_back_that_it_has_ended(run: Run) -> None:
    stopping = Stopping(0.2)
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: stopping.stop())
    try:
        ends = run(f"echo loss 1; kill -TERM {os.getpid()} $$; sleep 5", stopping=stopping)
        assert ends == ("given back", "", "given back")
    finally:
        signal.signal(signal.SIGTERM, before)
    alone = "killed by signal 15 (SIGTERM). Last line: loss 1"
    assert run("echo loss 1; kill -TERM $$") == ("CRASHED", alone, f"CRASHED: {alone}")


def test_values_that_no_program_takes_are_the_end_of_their_job_alone(run: Run) -> None:
    text = "The program was not started: a hyperparameter has a character that no argument of a program can have."
    assert run("echo loss 1", x="a\0b") == ("CRASHED", text, f"CRASHED: {text}")


def test_a_folder_that_cannot_be_made_stops_the_worker_and_says_which(run: Run, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    outcome, detail, ended = run("echo loss 1")
    assert (outcome, ended) == ("refused", "given back")
    assert detail == f"The folder {tmp_path}/runs/E/abcdef cannot be made: Not a directory."


def test_a_screen_that_is_gone_is_not_taken_for_a_program_that_cannot_start(run: Run) -> None:
    def _echo(_job_id: str, _line: bytes) -> None:
        raise BrokenPipeError("The screen is gone.")

    assert run("echo loss 1", echo=_echo) == ("raised", "The screen is gone.", "given back")
