"""Results that a worker could not deliver before it ended."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import schedy
from schedy.settings import Settings
from tests.forwarder import Forwarder
from tests.support import wait_until

WORKER = """
import json, os, sys, threading, time, schedy

def stop():  # as soon as the end of the job is on its way
    while not hold.finishing:
        time.sleep(0.01)
    os.kill(os.getpid(), int(sys.argv[2]))

db = schedy.SchedyDB(config_override=json.loads(sys.argv[1]))
with db.get_experiment("MinimizeManual").next_job(timeout=20) as job:
    hold = job._hold
    threading.Thread(target=stop).start()
    print("running", flush=True)
    sys.stdin.readline()
    job.report(1, result=5.0)
    job.results["result"] = 4
"""


@pytest.fixture
def forwarder(settings: Settings) -> Iterator[Forwarder]:
    with Forwarder(int(urlsplit(settings.broker_url).port or 0)) as running:
        yield running


@pytest.fixture
def worker_settings(settings: Settings, forwarder: Forwarder, tmp_path: Path) -> Settings:
    port = urlsplit(settings.broker_url).port
    url = settings.broker_url.replace(f":{port}/", f":{forwarder.port}/")
    return settings.model_copy(update={"broker_url": url, "data_dir": tmp_path / "worker", "close_seconds": 1.0})


def kept(settings: Settings) -> list[Path]:
    return list((settings.data_dir / "undelivered").glob("*.json"))


def stopped_worker(settings: Settings, forwarder: Forwarder, number: signal.Signals) -> str:
    """Run a worker whose broker goes away before its job ends; return what it said when it was stopped."""
    own = json.dumps(settings.model_dump(mode="json", exclude_none=True))
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, own, str(int(number))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as worker:
        try:
            assert worker.stdin is not None
            assert worker.stdout is not None
            assert worker.stderr is not None
            assert worker.stdout.readline() == "running\n"
            forwarder.cut(refuse=True)
            assert any("Trying again" in line for line in worker.stderr)
            print("go on", file=worker.stdin, flush=True)
            _output, said = worker.communicate(timeout=60)
            assert worker.returncode in {-number, 128 + number}
            return said
        finally:
            worker.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_next_worker_delivers_what_a_stopped_one_could_not(
    experiment: schedy.ManualSearch, worker_settings: Settings, forwarder: Forwarder, number: signal.Signals
) -> None:
    job = experiment.add_job({"x": 2})
    said = stopped_worker(worker_settings, forwarder, number)
    (file,) = kept(worker_settings)
    assert f"the results of job {job.job_id} are kept in {file}. The next worker here" in said
    assert experiment.get_job(job.job_id).status == "RUNNING"
    forwarder.resume()
    with schedy.SchedyDB(config_override=worker_settings.model_dump()) as db:
        with pytest.raises(schedy.NoJobError):
            db.get_experiment("MinimizeManual").next_job()
        wait_until(lambda: experiment.get_job(job.job_id).status == "DONE")
    assert experiment.get_job(job.job_id).results == {"result": 4}
    assert not kept(worker_settings)


def test_what_is_delivered_too_late_does_not_count(
    experiment: schedy.ManualSearch,
    worker_settings: Settings,
    forwarder: Forwarder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = experiment.add_job({"x": 2})
    stopped_worker(worker_settings, forwarder, signal.SIGINT)
    with experiment.next_job(timeout=20) as again:
        again.results["result"] = 7
    forwarder.resume()
    with schedy.SchedyDB(config_override=worker_settings.model_dump()) as db:
        with pytest.raises(schedy.NoJobError):
            db.get_experiment("MinimizeManual").next_job()
        wait_until(lambda: f"The results of job {job.job_id}, kept by an earlier worker, come too late" in caplog.text)
    assert experiment.get_job(job.job_id).results == {"result": 7}
    assert not kept(worker_settings)
