"""What reports cost the results service: the signs of life of many workers, and those that have piled up."""

import os
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from urllib.parse import urlsplit

import pika
from sqlalchemy import bindparam, select, update

import schedy
from benchmarks.figures import Figure, Scale, median
from benchmarks.peers import raw_pika
from benchmarks.sampling import watching
from benchmarks.servers import Servers
from schedy.wire import names
from schedy.wire.answers import ClaimAnswer, ReportAnswer
from schedy.wire.base import Answer, Worker
from schedy.wire.codec import encode, routing_key
from schedy.wire.reports import Claim, Heartbeat, HeldJob, Progress
from schedy.wire.values import dump_values
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Experiment, Job

_BEAT_SECONDS = 10.0
"""A third of the default lease."""
_LONGEST_ANSWER_SECONDS = 60.0


def heartbeat_figures(where: Servers, *, workers: int, seconds: float) -> Iterator[Figure]:
    """Let so many workers hold a job each and beat as they do, and watch the service."""
    with where.connect() as db:
        beats = _claimed(where, db, "beats", workers)
        beating = _Beating(db, beats)
        beating.go_on(min(seconds, 3.0))
        with watching(where.pids()) as shares:
            beating.go_on(seconds)
        beating.check()
        yield Figure(f"heartbeats of {workers} workers", "% core", 100 * shares.cores["service"], None, shares.limit())


def _claimed(where: Servers, db: schedy.SchedyDB, name: str, workers: int) -> list[Heartbeat]:
    """Hold a job as each of `workers`; return the heartbeat of each."""
    experiment = schedy.ManualSearch(f"{where.name}-{name}")
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


_BACKLOG_JOBS = 500
_BATCH = 500
"""As many as the service applies in one transaction."""
_LONGEST_DRAIN_SECONDS = 600.0


def backlog_figures(where: Servers, scale: Scale) -> Iterator[Figure]:
    """Let reports pile up while the service is suspended, and look how fast it stores them.

    Beside it SQLAlchemy Core updates the same rows of the same store as often, in batches of the same size.
    """
    pairs: list[tuple[float, float]] = []
    for turn in range(scale.rounds):
        with where.connect() as db:
            backlog = _Backlog(where, db, f"backlog-{turn}", scale.backlog)
            pairs.append((backlog.drained_by_the_service(), backlog.written_by_core()))
            limit = backlog.limit
    ours, others = zip(*pairs, strict=True)
    name = f"reports of a backlog of {scale.backlog:,}"
    yield Figure(name, "reports/s", median(ours), median(others), limit)


class _Backlog:
    """Progress reports on jobs that are held, as many for each."""

    limit = ""

    def __init__(self, where: Servers, db: schedy.SchedyDB, name: str, reports: int) -> None:
        self._where = where
        self._db = db
        self._each = max(1, reports // _BACKLOG_JOBS)
        self._jobs = [beat.held[0] for beat in _claimed(where, db, name, _BACKLOG_JOBS)]

    def drained_by_the_service(self) -> float:
        """Return the reports per second that the service stores, from the first to its answer to the last."""
        user = urlsplit(self._where.broker_url).username
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2, user_id=user)
        messages = [
            (names.INBOX_EXCHANGE, routing_key(report), encode(report), properties)
            for sequence in range(1, self._each + 1)
            for report in (self._report(job, sequence) for job in self._jobs)
        ]
        assert self._where.service is not None
        os.kill(self._where.service.pid, signal.SIGSTOP)
        try:
            raw_pika.publish_pipelined(self._where.broker_url, messages)
        finally:
            os.kill(self._where.service.pid, signal.SIGCONT)
        with watching(self._where.pids()) as shares:
            started = time.perf_counter()
            last = self._db.session.calls.call(self._report(self._jobs[-1], self._each + 1))
            answer = last.answer.result(_LONGEST_DRAIN_SECONDS)
            seconds = time.perf_counter() - started
        assert isinstance(answer, ReportAnswer)
        assert answer.accepted, answer.reason
        self.limit = shares.limit()
        return len(messages) / seconds

    def _report(self, job: HeldJob, sequence: int) -> Progress:
        return Progress(
            experiment_uid=job.experiment_uid,
            job_id=job.job_id,
            token=job.token,
            sequence=sequence,
            results={"loss": 1 / sequence},
            quality=1 / sequence,
        )

    def written_by_core(self) -> float:
        """Return the rows per second that bare statements update."""
        store = Store.open(self._where.store_url)
        uid = self._jobs[0].experiment_uid
        with store.transaction() as transaction:
            of_experiment = select(Job.pk).join_from(Job, Experiment, Job.experiment_pk == Experiment.pk)
            keys = list(transaction.sql.scalars(of_experiment.where(Experiment.uid == uid)))
        changed = (
            update(Job)
            .where(Job.pk == bindparam("job"))
            .values(
                results=bindparam("results"),
                quality=bindparam("quality"),
                heard_at=bindparam("at"),
                revision=Job.revision + 1,
            )
        )
        rows = [
            {"job": key, "results": dump_values({"loss": 1 / sequence}), "quality": 1 / sequence}
            for sequence in range(1, self._each + 1)
            for key in keys
        ]
        started = time.perf_counter()
        for first in range(0, len(rows), _BATCH):
            with store.transaction() as transaction:
                batch = [{**row, "at": transaction.now} for row in rows[first : first + _BATCH]]
                transaction.sql.execute(changed, batch)
        seconds = time.perf_counter() - started
        store.close()
        return len(rows) / seconds
