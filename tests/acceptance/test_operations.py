"""What a user does when things go wrong, through the real command line."""

import json

import pytest

from tests.acceptance.conftest import Machine
from tests.acceptance.test_workers import line_of
from tests.support import wait_until

PUTTING_WORKER = """
import schedy, threading
experiment = schedy.SchedyDB().get_experiment("E")
with experiment.next_job(timeout=None) as job:
    print("running", flush=True)
    while True:
        job.results["steps"] = job.results.get("steps", 0) + 1
        job.put()
        threading.Event().wait(0.2)
print("went on behind the block", job.status, flush=True)
"""


def pushed(machine: Machine, *statuses: str, name: str = "E") -> list[str]:
    """Add an experiment with a job of each status; return their ids."""
    machine.ok("add", name, "manual")
    lines = [
        json.dumps({"hyperparameters": {"x": x}, "status": status, "results": {} if status == "QUEUED" else {"r": x}})
        for x, status in enumerate(statuses)
    ]
    return machine.ok("push", name, "--from", "-", typed="\n".join(lines)).split() if lines else []


def statuses(machine: Machine, name: str = "E") -> list[str]:
    return [line.split("\t")[1] for line in machine.ok("list", name).splitlines()]


def test_pausing_keeps_jobs_back_and_is_no_error_twice(served: Machine) -> None:
    pushed(served, "QUEUED")
    for _ in range(2):
        assert served.ok("pause", "E") == ""
    assert "Status: RUNNING (paused)\n" in served.ok("show", "E")
    assert served.ok("list") == "E\tRUNNING\tpaused\n"
    worker = served.worker(PUTTING_WORKER)
    wait_until(lambda: served.ok("workers").count("\n") == 2, what="the worker to be seen")
    assert statuses(served) == ["QUEUED"]
    for _ in range(2):
        assert served.ok("resume", "E") == ""
    assert line_of(worker) == "running"
    for command in ("pause", "resume"):
        assert "There is no experiment 'Nope'." in served.fails(1, command, "Nope")
        assert "Missing argument 'NAME'" in served.fails(2, command)


def test_cancelling_reports_each_job(served: Machine) -> None:
    running, queued, done = pushed(served, "QUEUED", "QUEUED", "DONE")
    worker = served.worker(PUTTING_WORKER)
    assert line_of(worker) == "running"
    result = served.schedy("cancel", "E", running, queued, done, "nosuch", "x" * 40, queued)
    assert result.returncode == 1
    assert result.stdout == (
        f"{running}\tcancelled: its worker is told to stop.\n{queued}\tcancelled: it never runs.\n"
    )  # fmt: skip
    assert sorted(result.stderr.splitlines()) == sorted(
        [
            f"{done} was not cancelled: it is already DONE.",
            "nosuch was not cancelled: there is no such job.",
            f"{'x' * 40} was not cancelled: there is no such job.",
        ]
    )
    assert line_of(worker) == "went on behind the block PRUNED"
    assert statuses(served) == ["PRUNED", "PRUNED", "DONE"]
    assert json.loads(served.ok("show", "E", running, "--json"))["results"]["steps"] >= 1
    assert "Missing argument 'JOB...'" in served.fails(2, "cancel", "E")
    assert "There is no experiment 'Nope'." in served.fails(1, "cancel", "Nope", done)


def test_many_jobs_are_cancelled_and_retried(machine: Machine) -> None:
    """More than one message holds."""
    machine.environment["SCHEDY_LOG_LEVEL"] = "WARNING"  # a line for each job would fill the pipe that nobody reads
    machine.serve()
    ids = pushed(machine, *["QUEUED"] * 1101)
    assert [line.split("\t")[0] for line in machine.ok("cancel", "E", *ids).splitlines()] == ids
    assert set(statuses(machine)) == {"PRUNED"}
    assert machine.ok("retry", "E", "--status", "PRUNED").count("it is queued again.\n") == 1101
    assert set(statuses(machine)) == {"QUEUED"}


def test_retrying_queues_what_has_ended(served: Machine) -> None:
    crashed, done, pruned, queued = pushed(served, "CRASHED", "DONE", "PRUNED", "QUEUED")
    assert served.ok("retry", "E") == f"{crashed}\tit is queued again.\n"
    nothing = served.schedy("retry", "E")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr == "E has no job that is CRASHED; there is nothing to retry.\n"
    assert served.ok("retry", "E", "--status", "CRASHED", "--status", "PRUNED") == f"{pruned}\tit is queued again.\n"
    partly = served.schedy("retry", "E", done, queued, "nosuch")
    assert (partly.returncode, partly.stdout) == (1, f"{done}\tit is queued again.\n")
    assert f"{queued} was not queued again: it is QUEUED" in partly.stderr
    assert "nosuch was not queued again: there is no such job." in partly.stderr
    assert "not both" in served.fails(2, "retry", "E", done, "--status", "DONE")
    assert "'RUNNING' is not one of" in served.fails(2, "retry", "E", "--status", "RUNNING")


@pytest.mark.parametrize(
    ("closing", "words"),
    [
        (["pause", "E"], "E is paused: nothing runs until `schedy resume E`.\n"),
        (["set", "E", "-s", "DONE"], "E is DONE: nothing runs until `schedy set E -s RUNNING`.\n"),
    ],
)
def test_retrying_in_a_closed_experiment_says_that_nothing_runs(
    served: Machine, closing: list[str], words: str
) -> None:
    (job_id,) = pushed(served, "CRASHED")
    served.ok(*closing)
    result = served.schedy("retry", "E")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{job_id}\tit is queued again.\n", words)


def test_limits_are_set_changed_and_taken_away(served: Machine) -> None:
    served.ok("add", "E", "manual", "--max-attempts", "5", "--stall-timeout", "2.5")

    def _limits() -> list[str]:
        return served.ok("show", "E").partition("Limits:\n")[2].splitlines()

    assert _limits() == [" - max_attempts: 5", " - stall_timeout: 2.5"]
    assert served.ok("set", "E", "--job-timeout", "3600", "--retry-timeouts") == ""
    assert _limits() == [
        " - max_attempts: 5",
        " - job_timeout: 3600",
        " - stall_timeout: 2.5",
        " - retry_timeouts: true",
    ]
    served.ok("set", "E", "--stall-timeout", "none", "--max-attempts", "none", "--no-retry-timeouts", "-s", "DONE")
    assert _limits() == [" - job_timeout: 3600"]
    assert served.ok("list") == "E\tDONE\n"
    for command in (["set", "E"], ["add", "F", "manual"]):
        for wrong in (["--job-timeout", "0"], ["--stall-timeout", "nan"], ["--max-attempts", "1.5"]):
            assert f"Invalid value for '{wrong[0]}': '{wrong[1]}' is not a" in served.fails(2, *command, *wrong)
    assert "Say what to change" in served.fails(2, "set", "E")
    assert "There is no experiment 'F'." in served.fails(1, "set", "F", "-s", "DONE")
