"""What the signs of life of many workers cost the results service."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future

import schedy
from benchmarks.figures import Figure
from benchmarks.sampling import watching
from benchmarks.servers import Servers
from schedy.wire.answers import ClaimAnswer
from schedy.wire.base import Answer, Worker
from schedy.wire.reports import Claim, Heartbeat, HeldJob

_BEAT_SECONDS = 10.0
"""A third of the default lease."""
_LONGEST_ANSWER_SECONDS = 60.0


def heartbeat_figures(where: Servers, *, workers: int, seconds: float) -> Iterator[Figure]:
    """Let so many workers hold a job each and beat as they do, and watch the service."""
    with where.connect() as db:
        beats = _claimed(where, db, workers)
        beating = _Beating(db, beats)
        beating.go_on(min(seconds, 3.0))
        with watching(where.pids()) as shares:
            beating.go_on(seconds)
        beating.check()
        yield Figure(f"heartbeats of {workers} workers", "% core", 100 * shares.cores["service"], None, shares.limit())


def _claimed(where: Servers, db: schedy.SchedyDB, workers: int) -> list[Heartbeat]:
    """Hold a job as each of `workers`; return the heartbeat of each."""
    experiment = schedy.ManualSearch(f"{where.name}-beats")
    db.add_experiment(experiment)
    jobs = experiment.add_jobs({"hyperparameters": {"x": number}} for number in range(workers))
    beats: list[Heartbeat] = []
    answers: list[Future[Answer]] = []
    for number, job in enumerate(jobs):
        worker = Worker(host=f"node{number}", pid=1, program="train.py", uid=uuid.uuid4().hex)
        token = uuid.uuid4().hex
        claim = Claim(experiment_uid=experiment.uid, job_id=job.job_id, token=token, worker=worker)
        answers.append(db.session.calls.call(claim).answer)
        held = HeldJob(experiment_uid=experiment.uid, job_id=job.job_id, token=token)
        beats.append(Heartbeat(worker=worker, held=[held]))
    for answer in answers:
        claimed = answer.result(_LONGEST_ANSWER_SECONDS)
        assert isinstance(claimed, ClaimAnswer)
        assert claimed.granted
    return beats


class _Beating:
    """Sends heartbeats evenly, over one connection: what the senders cost is not measured."""

    def __init__(self, db: schedy.SchedyDB, beats: list[Heartbeat]) -> None:
        self._calls = db.session.calls
        self._beats = beats
        self._sent: list[Future[Answer]] = []

    def go_on(self, seconds: float) -> None:
        started = time.perf_counter()
        pause = _BEAT_SECONDS / len(self._beats)
        for number in range(int(seconds / pause)):
            time.sleep(max(0.0, started + number * pause - time.perf_counter()))
            self._sent.append(self._calls.call(self._beats[len(self._sent) % len(self._beats)]).answer)

    def check(self) -> None:
        """All were answered."""
        for answer in self._sent:
            answer.result(_LONGEST_ANSWER_SECONDS)
