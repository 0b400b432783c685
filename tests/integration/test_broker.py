"""The connection's thread, when what it stands on fails."""

import socket
import threading

import pytest

import schedy
from schedy import Job
from schedy.settings import Settings
from tests.support import wait_until


def test_a_lack_of_file_descriptors_does_not_end_the_heartbeats(
    experiment: schedy.ManualSearch, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pika lets the error of a socket that cannot be made through to the event loop."""
    refused = threading.Event()
    make_socket = socket.socket.__init__

    def _no_descriptor(self: socket.socket, *arguments: int, **options: int) -> None:
        if threading.current_thread().name == "schedy-io" and "fileno" not in options and not refused.is_set():
            refused.set()
            raise OSError(24, "Too many open files")
        make_socket(self, *arguments, **options)

    with schedy.SchedyDB(config_override=settings.model_dump()) as worker:
        experiment.add_job({"x": 1})
        with worker.get_experiment("MinimizeManual").next_job() as job:
            monkeypatch.setattr(socket.socket, "__init__", _no_descriptor)
            worker.session.calls.connection.drop()
            wait_until(refused.is_set, what="the refused socket")
            job.results["r"] = 1
        assert experiment.get_job(job.job_id).status == Job.DONE
        assert experiment.get_job(job.job_id).attempt == 1
