"""The loops of workers as real programs: what ends them, what they go on after, and what they print."""

import json
import signal
import subprocess
import sys
from textwrap import indent
from typing import Any

import pytest

from tests.acceptance.conftest import Machine
from tests.support import wait_until

BEGIN = """
import schedy, sys, threading
experiment = schedy.SchedyDB().get_experiment("E")
"""
FAILS_SOMETIMES = (
    BEGIN
    + """
for job in experiment.jobs(timeout=TIMEOUT):
    with job:
        x = job.hyperparameters["x"]
        job.report(1, loss=x)
        if x == 1:
            raise ValueError(f"x = {x}")
        if x == 2:
            job.results["loss"] = {1, 2}  # no JSON
        if x == 3:
            job.delete()
            job.report(2, loss=x)
        if x == 4:
            raise schedy.Pruned
        if x == 5:
            job.finish()
            raise ValueError("after the end")
print("at the end", flush=True)
"""
)
TRAPS = {
    "print": """
while True:
    try:
        with experiment.next_job(timeout=None) as job:
            raise RuntimeError("no GPU")
    except Exception as e:
        print(e)
""",
    "jobs": """
for job in experiment.jobs():
    with job:
        raise RuntimeError("no GPU")
""",
    "results": """
experiment.work(lambda job: {"loss": {1, 2}})
""",
}
RUN = """
print(job.job_id, flush=True)
while not threading.Event().wait(0.1): pass
"""
RUNNING = [
    "for job in experiment.jobs():\n  with job:" + indent(RUN, "    "),
    "for job in experiment.jobs():" + indent(RUN, "    "),
    "def train(job):" + indent(RUN, "    ") + "experiment.work(train)",
]
WAITING = """
threading.Timer(0.5, lambda: print("waiting", flush=True)).start()
for job in experiment.jobs(): pass
"""


def pushed(machine: Machine, count: int, name: str = "E") -> list[str]:
    machine.ok("add", name, "manual")
    lines = "".join(json.dumps({"hyperparameters": {"x": x}}) + "\n" for x in range(count))
    machine.ok("push", name, "--from", "-", typed=lines)
    return [job["id"] for job in jobs_of(machine, name)]


def jobs_of(machine: Machine, name: str = "E") -> list[dict[str, Any]]:
    return [json.loads(line) for line in machine.ok("list", name, "--json").splitlines()]


def wait_for_statuses(machine: Machine, statuses: list[str], name: str = "E") -> None:
    """Wait until the store has what a loop said at its end, which is in the broker when its process has ended."""
    wait_until(lambda: [job["status"] for job in jobs_of(machine, name)] == statuses, what=f"the statuses {statuses}")


def said(process: "subprocess.Popen[str]") -> str:
    out, _ = process.communicate(timeout=40)
    return out


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_loop_goes_on_after_each_kind_of_failure_and_stores_its_traceback(served: Machine) -> None:
    ids = pushed(served, 7)
    worker = served.worker(FAILS_SOMETIMES.replace("TIMEOUT", "0"))
    out = said(worker)
    assert worker.returncode == 0, out
    assert out.endswith("at the end\n")
    crashed = f'Traceback (most recent call last):\n  File "{served.folder}/worker1.py", line 10, in <module>\n'
    crashed += '    raise ValueError(f"x = {x}")\nValueError: x = 1\n'
    assert f"Job {ids[1]} is CRASHED:\n{crashed}" in out
    assert "The value of 'loss' is not JSON" in out
    assert "ValueError: after the end" in out
    assert {job["id"]: job["status"] for job in jobs_of(served)} == {
        ids[0]: "DONE",
        ids[1]: "CRASHED",
        ids[2]: "CRASHED",
        ids[4]: "PRUNED",
        ids[5]: "DONE",
        ids[6]: "DONE",
    }
    assert served.ok("output", "E", ids[1]) == crashed


def test_five_quick_failures_end_every_loop_with_one_message(served: Machine) -> None:
    for trap in TRAPS:
        pushed(served, 7, trap)
    workers = {trap: served.worker(BEGIN.replace('"E"', repr(trap)) + source) for trap, source in TRAPS.items()}
    for trap, worker in workers.items():
        out = said(worker)
        assert worker.returncode == 1, out
        assert out.count("takes no more jobs: 5 jobs in a row crashed here") == 1
        assert out.count("no GPU") == {"print": 6, "jobs": 11}.get(trap, 0)
        wait_for_statuses(served, ["CRASHED"] * 5 + ["QUEUED"] * 2, trap)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_loop_without_a_traceback(served: Machine, number: signal.Signals) -> None:
    pushed(served, 3)
    workers = [served.worker(BEGIN + source) for source in RUNNING]
    job_ids = [line_of(worker) for worker in workers]
    waiting = served.worker(BEGIN + WAITING)
    assert line_of(waiting) == "waiting"
    for job_id, worker in zip([None, *job_ids], [waiting, *workers], strict=True):
        worker.send_signal(number)
        out = said(worker)
        assert worker.returncode == (-number if number == signal.SIGINT else 128 + number), out
        assert "Traceback" not in out
        assert ("Interrupted." in out) == (number == signal.SIGINT)
        assert (f"Job {job_id} is given back" in out) == (job_id is not None)
    wait_for_statuses(served, ["QUEUED"] * 3)
    assert [job["attempt"] for job in jobs_of(served)] == [0] * 3


def test_what_is_held_when_a_loop_ends_is_given_back(served: Machine) -> None:
    ids = pushed(served, 4)
    worker = served.worker(
        BEGIN
        + """
for job in experiment.jobs():
    if job.hyperparameters["x"] == 1:
        break
    job.results["seen"] = True
dropped = next(experiment.jobs())
left = experiment.jobs()
job = next(left)
left.close()
print("closed", job.status, flush=True)
for job in experiment.jobs():
    raise KeyError("no block")
"""
    )
    out = said(worker)
    assert worker.returncode == 1
    assert "closed QUEUED" in out
    assert out.count("is given back: the loop ended before it did.") == 4
    assert out.endswith("KeyError: 'no block'\n")
    wait_for_statuses(served, ["DONE", "QUEUED", "QUEUED", "QUEUED"])
    assert served.ok("show", "E", ids[0]).endswith("Results:\n - seen: true\n")


def test_work_in_threads_adds_what_is_returned_and_ends_with_the_search(served: Machine) -> None:
    served.ok("add", "E", "random", "--x", "uniform(0, 1)", "--minimize", "loss", "--max-jobs", "12")
    worker = served.worker(
        BEGIN
        + """
def train(job):
    if job.attempt != 1:
        return 0.5
    return {"loss": job.hyperparameters["x"]}
counts = []
threads = [threading.Thread(target=lambda: counts.append(experiment.work(train))) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("ended", sum(counts), flush=True)
"""
    )
    assert said(worker) == "ended 12\n"
    jobs = jobs_of(served)
    assert all(job["results"] == {"loss": job["hyperparameters"]["x"]} for job in jobs)
    assert [job["status"] for job in jobs] == ["DONE"] * 12


def test_the_output_of_a_running_job_is_followed_to_its_end(served: Machine) -> None:
    (job_id,) = pushed(served, 1)
    following = served.start(sys.executable, "-m", "schedy_cli.main", "output", "-f", "E", job_id)
    assert line_of(following) == f"Job {job_id} is QUEUED. Waiting for a worker to run it."
    go_on = served.folder / "go_on"
    worker = served.worker(
        BEGIN
        + f"""
from pathlib import Path
with experiment.next_job() as job:
    job.put_output("one\\n", 4)
    while not Path({str(go_on)!r}).exists() and not threading.Event().wait(0.1): pass
    job.put_output("two\\n", 8)
    raise ValueError("three")
"""
    )
    assert line_of(following) == "one"
    go_on.touch()
    rest = said(following)
    assert rest.startswith("two\nTraceback (most recent call last):\n")
    assert rest.endswith(f"ValueError: three\nAttempt 1 has ended; job {job_id} is CRASHED.\n")
    assert following.returncode == 0
    assert worker.wait(20) == 1
