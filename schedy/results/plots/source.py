"""What plots are made from: jobs of an experiment, their curves and attempts, as they are read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schedy.results.ask import Ask
from schedy.search.definition import Definition
from schedy.wire.base import FINAL_STATUSES, MOST_IN_A_MESSAGE
from schedy.wire.records import ExperimentRecord, JobEvent, JobRecord, Point
from schedy.wire.requests import GetCurves, GetHistory, GetJobOrder, GetJobs, GetSample, SortField

DRAWN = 2000
"""Jobs that are drawn of those that have ended; the best and those that were the best come on top."""
_POINTS = 20_000
"""Points of all curves together, about."""
_LATEST = 1000
"""Jobs of the timeline of a large experiment."""
_RETRIED = 100
"""Jobs whose earlier attempts are looked up."""
_AT_ONCE = 500
_ENDS = {"lost": "LOST", "released": "RELEASED"}


@dataclass(frozen=True)
class Attempt:
    """An attempt of a job; `status` is LOST or RELEASED where it did not end the job, RUNNING if it goes on."""

    job_id: str
    number: int
    worker: str
    start: datetime
    end: datetime
    status: str
    error: str | None = None


@dataclass(frozen=True)
class Source:
    """Jobs of an experiment, in the order in which they ended, as numbers `places` of `ended`; the running ones."""

    name: str
    definition: Definition
    jobs: list[JobRecord]
    places: list[int]
    ended: int
    running: list[JobRecord] = field(default_factory=list)
    curves: dict[str, list[Point]] = field(default_factory=dict)
    """By the id of the job."""
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def note(self) -> str:
        """Return a sentence if not all jobs are drawn."""
        if len(self.jobs) >= self.ended:
            return ""
        return (
            f"{len(self.jobs):,} of {self.ended:,} jobs that have ended are drawn: some at equal distances, the best,"
            " and all that were the best when they ended."
        )


def read_source(
    ask: Ask, experiment: ExperimentRecord, definition: Definition, *, curves: bool, attempts: bool, drawn: int = DRAWN
) -> Source:
    """Read what plots need; the curves and attempts only if they are wanted."""
    sample = ask(GetSample(experiment_uid=experiment.uid, limit=drawn))
    place_of = dict(zip(sample.positions, sample.places, strict=True))
    jobs = list(_jobs_at(ask, experiment.uid, sample.positions))
    is_whole = sample.ended == len(jobs)
    running = list(_jobs_at(ask, experiment.uid, sample.running))
    return Source(
        name=experiment.name,
        definition=definition,
        jobs=jobs,
        places=list(range(1, len(jobs) + 1)) if is_whole else [place_of[job.position] for job in jobs],
        ended=sample.ended,
        running=running,
        curves=_curves(ask, experiment.uid, [*jobs, *running]) if curves else {},
        attempts=_attempts(ask, experiment.uid, jobs if is_whole else None, running) if attempts else [],
    )


def _jobs_at(ask: Ask, uid: str, positions: Sequence[int]) -> Iterator[JobRecord]:
    start = 0
    while start < len(positions):
        page = list(positions[start : start + _AT_ONCE])
        answer = ask(GetJobs(experiment_uid=uid, positions=page))
        yield from answer.jobs
        start += page.index(answer.jobs[-1].position) + 1 if answer.more else len(page)


def _curves(ask: Ask, uid: str, jobs: Sequence[JobRecord]) -> dict[str, list[Point]]:
    positions = [job.position for job in jobs]
    steps = max(8, _POINTS // max(1, len(positions)))
    found: dict[str, list[Point]] = {}
    start = 0
    while start < len(positions):
        page = positions[start : start + MOST_IN_A_MESSAGE]
        answer = ask(GetCurves(experiment_uid=uid, positions=page, steps=min(steps, 1000)))
        found |= {curve.job_id: curve.points for curve in answer.curves if curve.points}
        start += page.index(answer.curves[-1].position) + 1 if answer.more else len(page)
    return found


def _attempts(ask: Ask, uid: str, jobs: list[JobRecord] | None, running: list[JobRecord]) -> list[Attempt]:
    """Return the attempts of these jobs, or of the latest if there are none."""
    if jobs is None:
        finished = SortField(source="column", name="finished_at")
        order = GetJobOrder(
            experiment_uid=uid, statuses=list(FINAL_STATUSES), sort=[finished], decreasing=True, limit=_LATEST
        )
        jobs = list(_jobs_at(ask, uid, ask(order).positions))
    every = [*jobs, *running]
    latest = [attempt for job in every for attempt in latest_attempt(job)]
    again = sorted((job for job in every if job.attempt > 1), key=lambda job: job.position)[-_RETRIED:]
    earlier = [attempt for job in again for attempt in earlier_attempts(_events(ask, uid, job), job)]
    return sorted([*latest, *earlier], key=lambda attempt: attempt.start)


def latest_attempt(job: JobRecord) -> Iterator[Attempt]:
    """Yield the latest attempt of a job, if it has one."""
    if job.started_at is None or job.worker is None:
        return
    end = job.finished_at or max(datetime.now(UTC), job.started_at)
    yield Attempt(job.job_id, job.attempt, job.worker, job.started_at, end, job.status, job.error)


def _events(ask: Ask, uid: str, job: JobRecord) -> list[JobEvent]:
    return ask(GetHistory(experiment_uid=uid, job_id=job.job_id, newest=True, limit=1000)).events


def earlier_attempts(events: Iterable[JobEvent], job: JobRecord) -> Iterator[Attempt]:
    """Yield the attempts of a job before its latest, as its events tell them."""
    claimed: JobEvent | None = None
    for event in events:
        if event.kind == "claimed":
            claimed = event
        elif claimed is not None and event.kind in ("ended", *_ENDS) and event.attempt in (None, claimed.attempt):
            if claimed.worker is not None and claimed.attempt is not None and claimed.at != job.started_at:
                status = _ENDS.get(event.kind) or event.detail.partition(":")[0]
                yield Attempt(
                    job.job_id, claimed.attempt, claimed.worker, claimed.at, event.at, status, event.detail or None
                )
            claimed = None
