"""What `schedy run` costs: the time of a job, and the processor's time to read output."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from schedy_cli.running.attempt import Attempt
from schedy_cli.running.findings import Findings
from schedy_cli.running.output_file import OutputFile
from schedy_cli.running.programs import Programs
from tests.acceptance.conftest import Machine

JOBS = 40
MOST_SECONDS_A_JOB = 0.020
MOST_LOOPS_A_JOB = 3.0
"""What a job may cost on a slow machine, in jobs of a loop that does nothing: the broker and the store are in both."""
MOST_OF_A_CORE = 0.10

PRINTER = """
import sys, time
started = time.monotonic()
for number in range(30_000):
    print("line", number, "of a log that says a little, with numbers such as 0.3 in it")
    if number % 100 == 0:
        print(f"step {number} loss 0.3123 val_acc {number / 30_000:.4f}")
        time.sleep(max(0.0, started + number / 10_000 - time.monotonic()))
"""


LOOP = """
import time, schedy
begun = [time.monotonic() for job in schedy.SchedyDB().get_experiment("Quick").jobs(timeout=0)]
print((begun[-1] - begun[0]) / (len(begun) - 1))
"""


@pytest.mark.alone
@pytest.mark.xdist_group("timed")
def test_a_job_takes_little_longer_than_its_program_by_hand(served: Machine, tmp_path: Path) -> None:
    served.ok("add", "Quick", "manual")
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"hyperparameters": {}}\n' * JOBS)

    def _seconds() -> float:
        started = time.monotonic()
        served.ok("run", "Quick", "--until-empty", "--", "true")
        return time.monotonic() - started

    parts_of_the_limit = []
    for _ in range(3):
        served.ok("push", "Quick", "--from", str(jobs))
        added = (_seconds() - _seconds()) / JOBS - _seconds_to_start(["true"])
        served.ok("push", "Quick", "--from", str(jobs))
        of_a_loop = float(served.worker(LOOP).communicate(timeout=60)[0])
        parts_of_the_limit.append(added / max(MOST_SECONDS_A_JOB, MOST_LOOPS_A_JOB * of_a_loop))
    assert min(parts_of_the_limit) < 1.0, parts_of_the_limit


def _seconds_to_start(command: Sequence[str]) -> float:
    """The time to start and end a program by hand, in the mean: what a job has to be compared with."""
    started = time.monotonic()
    for _ in range(JOBS):
        subprocess.run(command, check=True)
    return (time.monotonic() - started) / JOBS


class _Ignoring:
    def points(self, points: Mapping[int, Mapping[str, float]]) -> None:
        """Nothing is reported."""

    def output(self, text: str, end: int) -> None:
        """Nothing is stored."""

    def lines(self, lines: Sequence[bytes]) -> None:
        """Nothing is printed."""

    def must_end(self) -> bool:
        return False


@pytest.mark.alone
@pytest.mark.xdist_group("timed")
def test_ten_thousand_lines_a_second_take_little_of_a_core(tmp_path: Path) -> None:
    programs, findings = Programs(), Findings(["val_acc"])
    file = OutputFile(tmp_path / "log", complain=pytest.fail)
    attempt = Attempt(programs, findings, _Ignoring(), file, grace=lambda: 1.0)
    used = time.process_time()
    ended = attempt.run([sys.executable, "-c", PRINTER], {}, slot=0)
    used = time.process_time() - used
    programs.close()
    assert ended.code == 0, ended.last_output
    assert findings.results == {"loss": 0.3123, "val_acc": pytest.approx(29_900 / 30_000, abs=1e-4)}
    assert used / 3.0 < MOST_OF_A_CORE
