"""Workers as real processes, with real signals."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Machine
from tests.support import wait_until

# A wait without end misses a signal that comes just before it blocks: Python handles it only after the wait.
SLOW_WORKER = """
import schedy, threading
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
with experiment.next_job(timeout=None) as job:
    job.results["partial"] = 1
    job.put()
    print("running", job.attempt, flush=True)
    while not threading.Event().wait(0.2): pass
"""

QUICK_WORKER = """
import schedy
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
with experiment.next_job(timeout=None) as job:
    print("running", job.attempt, job.results, flush=True)
    job.results["result"] = job.hyperparameters["x"] ** 2
"""


LOOP_WORKER = """
import os, schedy, signal
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
held = experiment._session.leases._presence.holds
ended = set()
for job in experiment.jobs(timeout=0.5, prefetch=8):
    with job:
        while job.hyperparameters["x"] == 20 and job.attempt == 1:
            are_stored = all(experiment.get_job(each).status == "DONE" for each in ended)
            if are_stored and len(held) > 3: os.kill(os.getpid(), signal.SIGKILL)
    ended.add(job.job_id)
"""


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def job_of(machine: Machine, job_id: str) -> dict[str, object]:
    shown: dict[str, object] = json.loads(machine.ok("show", "MinimizeManual", job_id, "--json"))
    return shown


def pushed(machine: Machine) -> str:
    machine.ok("add", "MinimizeManual", "manual")
    return machine.ok("push", "MinimizeManual", "-p", "x", "3").split()[1]


def wait_for_status(machine: Machine, job_id: str, status: str) -> dict[str, object]:
    wait_until(lambda: job_of(machine, job_id)["status"] == status, seconds=30, what=f"status {status}")
    return job_of(machine, job_id)


def wait_until_given_back(machine: Machine, job_id: str) -> None:
    """Wait until the store has what a worker said at its end: a lease does not run out meanwhile."""
    assert wait_for_status(machine, job_id, "QUEUED")["attempt"] == 0


def test_a_killed_loop_costs_what_it_had_not_begun_no_attempt(served: Machine) -> None:
    served.ok("add", "MinimizeManual", "manual")
    jobs = served.folder / "jobs.jsonl"
    jobs.write_text("".join(f'{{"hyperparameters": {{"x": {x}}}}}\n' for x in range(40)))
    served.ok("push", "MinimizeManual", "--from", str(jobs))
    assert served.worker(LOOP_WORKER).wait(60) == -signal.SIGKILL

    def _statuses() -> set[str]:
        lines = served.ok("list", "MinimizeManual", "--json").splitlines()
        records.update({record["id"]: record for record in map(json.loads, lines)})
        return {record["status"] for record in records.values()}

    records: dict[str, Any] = {}
    wait_until(lambda: "RUNNING" not in _statuses(), seconds=30, what="the end of all leases")
    assert served.worker(LOOP_WORKER).wait(60) == 0
    assert _statuses() == {"DONE"}
    attempts = {record["hyperparameters"]["x"]: record["attempt"] for record in records.values()}
    assert attempts == {**dict.fromkeys(range(40), 1), 20: 2}
    assert served.ok("history", "MinimizeManual").count(" lost ") > 3


def test_a_killed_workers_job_runs_elsewhere(served: Machine) -> None:
    job_id = pushed(served)
    first = served.worker(SLOW_WORKER)
    assert line_of(first) == "running 1"
    second = served.worker(QUICK_WORKER)
    first.kill()
    assert line_of(second) == "running 2 {}"
    job = wait_for_status(served, job_id, "DONE")
    assert job["results"] == {"result": 9}
    assert "lost" in [event["kind"] for event in job["events"]]  # type: ignore[attr-defined]


BY_ID_WORKER = """
import schedy, sys, threading
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
with experiment.get_job(next(experiment.all_jobs()).job_id) as job:
    print("running", job.attempt, flush=True)
    while not threading.Event().wait(0.2): pass
"""


@pytest.mark.parametrize(
    ("number", "worker"),
    [
        (signal.SIGTERM, SLOW_WORKER),
        (signal.SIGINT, SLOW_WORKER),
        (signal.SIGHUP, SLOW_WORKER),
        (signal.SIGTERM, BY_ID_WORKER),
    ],
)
def test_a_signal_gives_the_running_job_back_at_once(patient: Machine, number: signal.Signals, worker: str) -> None:
    job_id = pushed(patient)
    first = patient.worker(worker)
    assert line_of(first) == "running 1"
    first.send_signal(number)
    assert first.wait(20) == (-number if number == signal.SIGINT else 128 + number)
    wait_until_given_back(patient, job_id)
    second = patient.worker(QUICK_WORKER)
    assert line_of(second) == "running 1 {}"
    assert wait_for_status(patient, job_id, "DONE")["attempt"] == 1


def test_sigterm_ends_a_worker_that_waits(served: Machine) -> None:
    served.ok("add", "MinimizeManual", "manual")
    waiting = served.worker(
        """
import schedy, threading
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
threading.Timer(0.5, lambda: print("waiting", flush=True)).start()
experiment.next_job(timeout=None)
"""
    )
    assert line_of(waiting) == "waiting"
    waiting.terminate()
    assert waiting.wait(20) == 143


def test_a_stopped_worker_finds_its_job_taken(served: Machine) -> None:
    """A laptop lid: the process sleeps for longer than its lease."""
    job_id = pushed(served)
    first = served.worker(
        """
import schedy, threading
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
try:
    with experiment.next_job(timeout=None) as job:
        print("running", flush=True)
        threading.Event().wait(3)
        job.results["late"] = 1
        try:
            job.put()
        except schedy.UnsafeUpdateError as error:
            print("put:", error, flush=True)
except schedy.UnsafeUpdateError as error:
    print("exit:", error, flush=True)
try:
    experiment.next_job()
except schedy.NoJobError as error:
    print(error, flush=True)
"""
    )
    assert line_of(first) == "running"
    first.send_signal(signal.SIGSTOP)
    second = served.worker(QUICK_WORKER)
    assert line_of(second) == "running 2 {}"
    wait_for_status(served, job_id, "DONE")
    first.send_signal(signal.SIGCONT)
    rest, _ = first.communicate(timeout=30)
    assert "put: Job" in rest
    assert "exit: Job" in rest
    assert "No job left for experiment MinimizeManual." in rest
    assert job_of(served, job_id)["results"] == {"result": 9}


GIL_WORKER = """
import ctypes, schedy
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
try:
    with experiment.next_job(timeout=None) as job:
        print("running", job.attempt, flush=True)
        ctypes.PyDLL(None).sleep(SECONDS)  # unlike CDLL it keeps the GIL: no other thread of the process runs
        print("woken", flush=True)
        job.results["r"] = job.attempt
        job.put()
except schedy.UnsafeUpdateError as error:
    print(error, flush=True)
with experiment.next_job(timeout=20) as job:
    print("next", job.hyperparameters["x"], flush=True)
"""


def test_user_code_that_holds_the_gil_for_longer_than_a_heartbeat_keeps_its_job(machine: Machine) -> None:
    """The broker drops the connection meanwhile; the lease is longer."""
    machine.environment |= {"SCHEDY_LEASE_SECONDS": "20", "SCHEDY_AMQP_HEARTBEAT_SECONDS": "2"}
    machine.serve()
    job_id = pushed(machine)
    worker = machine.worker(GIL_WORKER.replace("SECONDS", "8"))
    assert line_of(worker) == "running 1"
    machine.ok("push", "MinimizeManual", "-p", "x", "4")
    said = worker.communicate(timeout=60)[0].splitlines()  # the library's warnings come between, as they happen
    assert [line for line in said if line in {"woken", "next 4"}] == ["woken", "next 4"]
    assert any(line.startswith("The connection to RabbitMQ") for line in said)
    job = wait_for_status(machine, job_id, "DONE")
    assert (job["attempt"], job["results"]) == (1, {"r": 1})


def test_user_code_that_holds_the_gil_for_longer_than_its_lease_loses_its_job_cleanly(served: Machine) -> None:
    job_id = pushed(served)
    first = served.worker(GIL_WORKER.replace("SECONDS", "9"))
    assert line_of(first) == "running 1"
    second = served.worker(QUICK_WORKER)
    assert line_of(second) == "running 2 {}"
    assert wait_for_status(served, job_id, "DONE")["results"] == {"result": 9}
    served.ok("push", "MinimizeManual", "-p", "x", "4")
    told, _ = first.communicate(timeout=40)
    assert f"Job {job_id} is no longer this worker's" in told
    assert told.splitlines()[-1] == "next 4"
    job = job_of(served, job_id)
    assert (job["attempt"], job["results"]) == (2, {"result": 9})


def test_a_forked_child_leaves_the_job_to_its_parent(served: Machine) -> None:
    job_id = pushed(served)
    parent = served.worker(
        """
import os, schedy, sys, signal
db = schedy.SchedyDB()
experiment = db.get_experiment("MinimizeManual")
with experiment.next_job(timeout=None) as job:
    child = os.fork()
    if child == 0:
        job.results["child"] = 1
        job.put()
    else:
        assert os.waitpid(child, 0)[1] == 0
        job.results["parent"] = 1
if child == 0:
    try:
        experiment.next_job()
    except schedy.NoJobError:
        print("the child has a connection of its own", flush=True)
    sys.exit(0)
print("done", flush=True)
"""
    )
    out, _ = parent.communicate(timeout=40)
    assert out.split("\n")[:2] == ["the child has a connection of its own", "done"]
    assert wait_for_status(served, job_id, "DONE")["results"] == {"parent": 1}


def test_a_living_child_does_not_keep_a_killed_workers_connection(served: Machine, tmp_path: Path) -> None:
    job_id = pushed(served)
    pid_file = tmp_path / "child"
    first = served.worker(
        f"""
import multiprocessing, os, schedy, threading, pathlib
def child():
    pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))
    while not threading.Event().wait(0.2): pass
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
with experiment.next_job(timeout=None) as job:
    multiprocessing.get_context("fork").Process(target=child).start()
    print("running", flush=True)
    while not threading.Event().wait(0.2): pass
"""
    )
    assert line_of(first) == "running"
    child = int(wait_until(lambda: pid_file.exists() and pid_file.read_text(), what="the child"))
    first.kill()
    first.wait()
    try:
        second = served.worker(QUICK_WORKER)
        assert line_of(second) == "running 2 {}"
        wait_for_status(served, job_id, "DONE")
    finally:
        subprocess.run(["kill", "-9", str(child)], check=True)


def test_a_process_that_ends_normally_releases_its_job(patient: Machine) -> None:
    job_id = pushed(patient)
    worker = patient.worker(
        """
import schedy
job = schedy.SchedyDB().get_experiment("MinimizeManual").next_job(timeout=None)
print("running", flush=True)
"""
    )
    worker.communicate(timeout=30)
    assert worker.returncode == 0
    wait_until_given_back(patient, job_id)


@pytest.mark.parametrize("keeps", ["db", ""], ids=["connection kept", "all dropped"])
def test_a_job_dropped_in_the_last_moment_is_given_back(patient: Machine, keeps: str) -> None:
    job_id = pushed(patient)
    worker = patient.worker(
        """
import schedy
def main():
    db = schedy.SchedyDB()
    db.get_experiment("MinimizeManual").next_job(timeout=None)
    return KEEPS
kept = main()
""".replace("KEEPS", keeps)
    )
    assert worker.wait(30) == 0
    wait_until_given_back(patient, job_id)


def test_the_service_is_killed_and_started_again(machine: Machine) -> None:
    service = machine.serve()
    job_id = pushed(machine)
    worker = machine.worker(SLOW_WORKER)
    assert line_of(worker) == "running 1"
    service.kill()
    service.wait()
    machine.serve()
    assert job_of(machine, job_id)["attempt"] == 1
    assert job_of(machine, job_id)["status"] == "RUNNING"
    worker.terminate()
    wait_for_status(machine, job_id, "QUEUED")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_service_stops_cleanly(machine: Machine, number: signal.Signals) -> None:
    service = machine.serve()
    pushed(machine)
    service.send_signal(number)
    out, _ = service.communicate(timeout=20)
    assert service.returncode == 0
    assert "has stopped" in out
    assert "ERROR" not in out


def test_the_seeds_worker_script_runs_as_it_stands(served: Machine) -> None:
    served.ok("add", "MinimizeManual", "manual")
    job_id = served.ok("push", "MinimizeManual", "-p", "x", "1", "y", "2").split()[1]
    worker = served.start(sys.executable, str(Path(__file__).parents[2] / "examples" / "tutorial.py"))
    assert line_of(worker) == "No job left for experiment MinimizeManual."
    assert served.ok("show", "MinimizeManual", job_id) == (
        f"Id: {job_id}\nStatus: DONE\nQuality: 0.0\nHyperparameters:\n - x: 1\n - y: 2\nResults:\n - result: 5\n"
    )
    assert served.ok("list", "-l", "MinimizeManual") == served.ok("show", "MinimizeManual", job_id)
