"""How experiments are getting on: one, for a screen that looks each second, or a page of them."""

import functools
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, bindparam, func, literal_column, select, union_all

from schedy.results.overview import open_jobs, seconds_left
from schedy.search.definition import Definition, definition_or_empty
from schedy.wire.answers import OverviewAnswer, OverviewsAnswer
from schedy.wire.base import Answer
from schedy.wire.records import JobRecord, RunningJob, Standing
from schedy.wire.requests import GetOverview, GetOverviews
from schedy.wire.stopping import Stop
from schedy.wire.values import stored_name
from schedy_store.lifecycle.job_counts import job_counts
from schedy_store.reads.best import best_jobs
from schedy_store.reads.common import DELETED, Silence
from schedy_store.reads.jobs import records
from schedy_store.schema.engine import Transaction
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.records import experiment_record, findable
from schedy_store.schema.rows import (
    EXPERIMENT_RECORD_COLUMNS,
    RECORD_COLUMNS,
    ExperimentRecordRow,
    columns_of,
    row_class,
)
from schedy_store.schema.tables import CurvePoint, Experiment, Job, Worker

_RUNNING_SHOWN = 20
_POINTS_SHOWN = 30
_ENDED_MEASURED = 100
_EXPERIMENTS = select(*EXPERIMENT_RECORD_COLUMNS)
_LAST_TO_END = Prepared(
    select(Job.started_at, Job.finished_at)
    .where(Job.experiment_pk == bindparam("pk_is"), Job.ended > 0)
    .order_by(Job.ended.desc())
    .limit(_ENDED_MEASURED)
)


@row_class
class _RunningRow:
    pk: int
    job_id: str
    worker: str | None
    attempt: int
    started_at: datetime
    heard_at: datetime | None
    stop: Stop | None


def read_overview(transaction: Transaction, request: GetOverview) -> Answer:
    """Answer with all that one look at an experiment shows."""
    found = transaction.sql.execute(_EXPERIMENTS.where(Experiment.uid == request.experiment_uid)).one_or_none()
    if found is None:
        return DELETED
    row = ExperimentRecordRow(*found)
    looks = _Looks(transaction, [row])
    standing, definition = looks.standing(row)
    return OverviewAnswer.model_construct(
        **dict(standing),
        running=looks.running(row.pk, definition.objectives[0].result if definition.objectives else None),
        last_ended=looks.last(row.pk),
        last_crashed=looks.last(row.pk, crashed=True),
    )


def read_overviews(transaction: Transaction, request: GetOverviews) -> Answer:
    """Answer with a page of experiments."""
    found = _EXPERIMENTS.limit(request.limit + 1)
    if request.newest:
        found = found.order_by(Experiment.pk.desc())
        if request.after:
            found = found.where(Experiment.pk < request.after)
    else:
        found = found.where(Experiment.pk > request.after).order_by(Experiment.pk)
    if request.name:
        found = found.where(Experiment.name.icontains(findable(request.name), autoescape=True))
    if request.running:
        found = found.where(Experiment.status == "RUNNING")
    rows = [ExperimentRecordRow(*row) for row in transaction.sql.execute(found)]
    page = rows[: request.limit]
    looks = _Looks(transaction, page)
    overviews = [looks.standing(row)[0] for row in page]
    return OverviewsAnswer.model_construct(overviews=overviews, more=len(rows) > request.limit)


class _Looks:
    """Looks at some experiments, within one transaction."""

    def __init__(self, transaction: Transaction, rows: list[ExperimentRecordRow]) -> None:
        self._transaction = transaction
        self._sql = transaction.sql
        self._silence = Silence(transaction)
        self._counts = job_counts(self._sql, [row.pk for row in rows])
        heard = self._sql.scalars(select(Worker.heard_at).where(Worker.state == "alive"))
        self._workers = sum(not self._silence.of_worker(heard_at) for heard_at in heard)

    def standing(self, row: ExperimentRecordRow) -> tuple[Standing, Definition]:
        """Return how an experiment is getting on, and its definition."""
        experiment = experiment_record(row, self._counts[row.pk])
        definition = definition_or_empty(experiment.settings)
        running = experiment.job_counts.get("RUNNING", 0)
        still_open = open_jobs(experiment, definition)
        mean, last_ended_at = self._last_to_end(row.pk)
        left = None
        if experiment.status == "RUNNING" and not experiment.paused:
            left = seconds_left(
                open_jobs=still_open,
                mean_seconds=mean,
                at_once=running or self._workers,
                seconds_to_limit=self._seconds_to_limit(row, definition),
            )
        standing = Standing.model_construct(
            experiment=experiment,
            best=[
                job
                for objective in definition.objectives
                for job in best_jobs(self._transaction, row.pk, definition, objective, limit=1, silence=self._silence)
            ],
            open_jobs=still_open,
            mean_seconds=mean,
            last_ended_at=last_ended_at,
            seconds_left=left,
            workers=self._workers,
            busy=self._busy(row.pk) if running else 0,
        )
        return standing, definition

    def _last_to_end(self, experiment_pk: int) -> tuple[float | None, datetime | None]:
        """Return how long the last jobs to end took in the mean, and when the last of them ended."""
        rows = _LAST_TO_END.read(self._sql, {"pk_is": experiment_pk})
        seconds = [(finished - started).total_seconds() for started, finished in rows if started is not None]
        return sum(seconds) / len(seconds) if seconds else None, rows[0][1] if rows else None

    def _seconds_to_limit(self, row: ExperimentRecordRow, definition: Definition) -> float | None:
        if definition.max_time is None or row.search_end is not None:
            return None
        return definition.max_time - (self._transaction.now - row.timed_from).total_seconds()

    def _busy(self, experiment_pk: int) -> int:
        running = (Job.experiment_pk == experiment_pk, Job.status == "RUNNING")
        return self._sql.scalar(select(func.count(Job.worker_pk.distinct())).where(*running)) or 0

    def last(self, experiment_pk: int, *, crashed: bool = False) -> JobRecord | None:
        """Return the job that ended last, or crashed last."""
        found = select(*RECORD_COLUMNS).where(Job.experiment_pk == experiment_pk, Job.ended > 0)
        if crashed:
            found = found.where(Job.status == literal_column("'CRASHED'"))  # no parameter, so that its index is used
        return next(records(self._transaction, found.order_by(Job.ended.desc()).limit(1), self._silence), None)

    def running(self, experiment_pk: int, name: str | None) -> list[RunningJob]:
        """Return the oldest of the jobs that run, with the latest values of that name."""
        found = select(*columns_of(_RunningRow, Job)).where(Job.experiment_pk == experiment_pk, Job.status == "RUNNING")
        rows = [_RunningRow(*row) for row in self._sql.execute(found.order_by(Job.pk).limit(_RUNNING_SHOWN))]
        curves = self._curves(rows, name) if rows and name is not None else {}
        return [self._running_job(row, curves.get(row.pk, [])) for row in rows]

    def _running_job(self, row: _RunningRow, points: list[tuple[int, float]]) -> RunningJob:
        return RunningJob.model_construct(
            job_id=row.job_id,
            worker=row.worker,
            attempt=row.attempt,
            seconds=max(0.0, (self._transaction.now - row.started_at).total_seconds()),
            silent_seconds=self._silence.of_job(row.heard_at),
            stop=row.stop,
            steps=[step for step, _value in points],
            values=[value for _step, value in points],
        )

    def _curves(self, rows: list[_RunningRow], name: str) -> dict[int, list[tuple[int, float]]]:
        """Return the last points of each job by its primary key, in the order of their steps."""
        parameters: dict[str, int | str] = {"name_is": stored_name(name)}
        for place, row in enumerate(rows):
            parameters |= {f"job_{place}": row.pk, f"attempt_{place}": row.attempt}
        curves: dict[int, list[tuple[int, float]]] = {}
        for job_pk, step, value in self._sql.execute(_last_points(len(rows)), parameters):
            curves.setdefault(job_pk, []).append((step, value))
        return {job_pk: sorted(points) for job_pk, points in curves.items()}


@functools.cache
def _last_points(jobs: int) -> CompoundSelect[*tuple[Any, ...]]:
    """Return one statement for the last points of so many jobs: each is few rows of an index."""
    of_jobs = []
    for place in range(jobs):
        of_attempt = (
            CurvePoint.job_pk == bindparam(f"job_{place}"),
            CurvePoint.attempt == bindparam(f"attempt_{place}"),
            CurvePoint.name == bindparam("name_is"),
        )
        last = select(CurvePoint.job_pk, CurvePoint.step, CurvePoint.value).where(*of_attempt)
        of_jobs.append(select(last.order_by(CurvePoint.step.desc()).limit(_POINTS_SHOWN).subquery()))
    return union_all(*of_jobs)
