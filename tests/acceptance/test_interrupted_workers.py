"""Workers that are told to stop in the worst moment, or do not listen: real processes, real signals."""

import re
import signal
from pathlib import Path

import pytest

import schedy
from tests.acceptance.conftest import Machine
from tests.acceptance.test_workers import line_of, pushed, wait_until_given_back
from tests.forwarder import Forwarder

FOLDER = str(Path(schedy.__file__).parent)

SWALLOWING_WORKER = """
import schedy, threading
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
while True:
    with experiment.next_job() as job:
        try:
            print("running", flush=True)
            while not threading.Event().wait(0.2): pass
        except (KeyboardInterrupt, SystemExit):
            print("the trainer says that it is done", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_swallows_its_stop_signal_takes_no_other_job(served: Machine, number: signal.Signals) -> None:
    job_id = pushed(served)
    worker = served.worker(SWALLOWING_WORKER)
    assert line_of(worker) == "running"
    worker.send_signal(number)
    said, _ = worker.communicate(timeout=20)
    assert worker.returncode == (-number if number == signal.SIGINT else 128 + number)
    assert said.startswith("the trainer says that it is done\n")
    assert "running" not in said.splitlines()
    assert f"{number.name} came before: this process takes no more jobs." in said
    assert said.count(FOLDER) == (1 if number == signal.SIGINT else 0)
    wait_until_given_back(served, job_id)


STACK_OF = """
import schedy, signal, sys, threading, traceback
def stack_of(thread):
    return traceback.extract_stack(sys._current_frames()[thread.ident])
"""

WAITING_THREAD = """
experiment = schedy.SchedyDB().get_experiment("MinimizeManual")
with experiment.next_job() as job:  # so that the main thread handles signals
    pass
thread = threading.Thread(target=experiment.next_job, args=(None,))
thread.start()
try:
    while not any("worker/pulling.py" in frame.filename for frame in stack_of(thread)): threading.Event().wait(0.2)
    print("waits", flush=True)
    while not threading.Event().wait(0.2): pass
finally:
    print("the main thread ends", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_thread_that_waits_ends_at_a_stop_signal(served: Machine, number: signal.Signals) -> None:
    pushed(served)
    worker = served.worker(STACK_OF + WAITING_THREAD)
    assert line_of(worker) == "waits"
    worker.send_signal(number)
    said, _ = worker.communicate(timeout=20)  # no job comes
    assert "the main thread ends" in said
    assert f"{number.name} came before: this process takes no more jobs." in said
    assert worker.returncode == (-number if number == signal.SIGINT else 128 + number)


LEAVING_WORKER = """
def interrupt_wait_for_report():
    while True:
        threading.Event().wait(0.2)
        files = [frame.filename for frame in stack_of(threading.main_thread())]
        if files[-1].endswith("threading.py") and any("worker/reports.py" in file for file in files):
            return signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

experiment = schedy.SchedyDB(config_override={"close_seconds": 0.1}).get_experiment("MinimizeManual")
with experiment.next_job(timeout=None) as job:
    print("running", flush=True)
    input()
    threading.Thread(target=interrupt_wait_for_report, daemon=True).start()
"""


def test_ctrl_c_while_a_block_waits_for_its_report_shows_one_frame(machine: Machine) -> None:
    (port,) = re.findall(r":(\d+)/", machine.settings.broker_url)
    machine.serve()
    pushed(machine)
    with Forwarder(int(port)) as way:
        machine.environment["SCHEDY_BROKER_URL"] = machine.settings.broker_url.replace(f":{port}/", f":{way.port}/")
        worker = machine.worker(STACK_OF + LEAVING_WORKER)
        assert line_of(worker) == "running"
        way.hang()
        said, _ = worker.communicate("\n", timeout=20)
    assert worker.returncode == -signal.SIGINT
    assert said.count(FOLDER) == 1
    assert "\nKeyboardInterrupt\n" in said
