"""Jobs: a page of them, one with all that is known of it, its output, and errors by their text."""

import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from schedy.errors import InvalidValueError, NotFoundError
from schedy.results.ask import Ask
from schedy.results.fields import parse_condition, parse_field
from schedy.results.why import why_lines
from schedy.search.definition import definition_or_empty
from schedy.wire.base import JOB_STATUSES, JobStatus
from schedy.wire.records import ExperimentRecord, JobRecord
from schedy.wire.requests import (
    Condition,
    GetFields,
    GetHistory,
    GetJobOrder,
    GetJobs,
    GetOutput,
    GetWhy,
    SortField,
    pages,
)
from schedy_web.api.parameters import integer, number_of, words
from schedy_web.context import Context, context_of
from schedy_web.reading import experiment_numbered, job_with_id, jobs_at
from schedy_web.shapes import event_shape, job_shape

_PAGE = 50
_AFTER = re.compile(r"(?P<start>[0-9]{1,9})(\.(?P<behind>[0-9]{1,18}))?")
_MOST_PASSED = 10**6
_MOST_CRASHES = 5000
_MOST_COUNTED = 20_001
_NUMBER = re.compile(r"(?<![A-Za-z_])-?\d+(\.\d+)?(e[+-]?\d+)?")


def list_jobs(request: Request) -> Response:
    """Answer with a page of the jobs that fulfil all conditions, in the order of a field."""
    context = context_of(request)
    page, limit = _page_of(request), integer(request, "limit", _PAGE, most=500)
    counts = request.query_params.get("count") == "1"

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number_of(request))
        selection = selection_of(request, ask, experiment)
        found = page.positions(selection, ask, experiment, limit + 1)
        more = len(found) > limit
        total = selection.total(experiment) if more else page.start + len(found)
        if total is None and counts:
            total = len(selection.positions(ask, experiment, _MOST_COUNTED))
        return {
            "jobs": [job_shape(job) for job in jobs_at(ask, experiment, found[:limit])],
            "next": f"{page.start + limit}.{found[limit - 1]}" if more else None,
            "total": total,
        }

    return context.answer(request, _make)


@dataclass(frozen=True)
class _Page:
    """Where a page of jobs begins: behind a job, or where it stood if it is not among them any more."""

    start: int
    behind: int | None

    def positions(self, selection: "Selection", ask: Ask, experiment: ExperimentRecord, limit: int) -> list[int]:
        if self.behind is not None:
            with contextlib.suppress(NotFoundError):
                return selection.positions(ask, experiment, limit, after=self.behind)
        return selection.positions(ask, experiment, self.start + limit)[self.start :]


def _page_of(request: Request) -> _Page:
    text = request.query_params.get("after") or "0"
    found = _AFTER.fullmatch(text)
    if found is None or (found["behind"] is None and int(found["start"]) > _MOST_PASSED):
        raise InvalidValueError(f"after={text[:50]}: expected the `next` of a page, or a number up to {_MOST_PASSED}.")
    return _Page(int(found["start"]), int(found["behind"]) if found["behind"] else None)


@dataclass(frozen=True)
class Selection:
    """The jobs that a request asks for, and their order. Without fields: the best first, then the newest."""

    statuses: list[JobStatus]
    where: list[Condition]
    sort: list[SortField]
    decreasing: bool

    def total(self, experiment: ExperimentRecord) -> int | None:
        """Return the number of jobs if it is known without counting."""
        if self.where:
            return None
        return sum(experiment.job_counts.get(status, 0) for status in self.statuses or JOB_STATUSES)

    def positions(self, ask: Ask, experiment: ExperimentRecord, limit: int, *, after: int | None = None) -> list[int]:
        """Return the positions of the first jobs, or of those behind one. Raises NotFoundError if it is not there."""
        found: list[int] = []
        orders = self._orders(experiment)
        for order in orders:
            try:
                answer = ask(order.model_copy(update={"limit": limit - len(found), "after": after}))
            except NotFoundError:
                if order is orders[-1]:
                    raise
                continue
            after = None
            found += answer.positions
            if len(found) >= limit:
                break
        return found

    def _orders(self, experiment: ExperimentRecord) -> list[GetJobOrder]:
        """Return what gives the jobs in their order, one after the other."""
        wanted = GetJobOrder(
            experiment_uid=experiment.uid,
            statuses=self.statuses,
            sort=self.sort,
            decreasing=self.decreasing or not self.sort,
            where=self.where,
        )
        objective = definition_or_empty(experiment.settings).objective
        if self.sort or objective is None or (self.statuses and "DONE" not in self.statuses):
            return [wanted]
        best = {
            "statuses": ["DONE"],
            "sort": [SortField(source="result", name=objective.result)],
            "decreasing": objective.direction == "maximize",
        }
        others = [status for status in self.statuses or JOB_STATUSES if status != "DONE"]
        then = [wanted.model_copy(update={"statuses": others})] if others else []
        return [wanted.model_copy(update=best), *then]


def selection_of(request: Request, ask: Ask, experiment: ExperimentRecord) -> Selection:
    """Return what the parameters of an address select. Raises InvalidValueError naming the word at fault."""
    query = request.query_params
    return selection_with(
        ask,
        experiment,
        where=query.getlist("where"),
        statuses=words(request, "status"),
        sort=query.get("sort", ""),
    )


def selection_with(
    ask: Ask, experiment: ExperimentRecord, *, where: Sequence[str], statuses: Sequence[str], sort: str
) -> Selection:
    """Return a selection, from words as users write them. Raises InvalidValueError naming the word at fault."""
    known = ask(GetFields(experiment_uid=experiment.uid))
    for objective in definition_or_empty(experiment.settings).objectives:
        if objective.result not in known.results:
            known.results.append(objective.result)
    wrong = [status for status in statuses if status not in JOB_STATUSES]
    if wrong:
        raise InvalidValueError(f"{wrong[0]!r} is no status: {', '.join(JOB_STATUSES)}.")
    return Selection(
        statuses=[status for status in JOB_STATUSES if status in statuses],
        where=[parse_condition(text, known) for text in where],
        sort=[parse_field(sort.removeprefix("-"), known)] if sort else [],
        decreasing=sort.startswith("-"),
    )


def show_job(request: Request) -> Response:
    """Answer with one job: whole values, its newest events, and where its output is."""
    context = context_of(request)

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number_of(request))
        job = job_with_id(ask, experiment, request.path_params["job"])
        return {
            **job_shape(job, whole=True),
            "experiment": {
                "number": experiment.position,
                "name": experiment.name,
                "objectives": [each.result for each in definition_or_empty(experiment.settings).objectives],
            },
            "events": _newest_events(context, experiment, job.job_id),
            "output": _output(ask, experiment, job.job_id, None, 0),
            "why": list(why_lines(experiment, job, ask(GetWhy(experiment_uid=experiment.uid, job_id=job.job_id)))),
        }

    return context.answer(request, _make)


def _newest_events(context: Context, experiment: ExperimentRecord, job_id: str) -> list[dict[str, Any]]:
    history = context.reads.ask(GetHistory(experiment_uid=experiment.uid, job_id=job_id, newest=True, limit=200))
    numbers = {experiment.name: experiment.position}
    return [event_shape(event, numbers) for event in history.events]


def show_output(request: Request) -> Response:
    """Answer with the output of an attempt from a byte on, the latest attempt's without `attempt`."""
    context = context_of(request)

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number_of(request))
        attempt = integer(request, "attempt", 0, most=10**6) if "attempt" in request.query_params else None
        return _output(ask, experiment, request.path_params["job"], attempt, integer(request, "after", 0))

    return context.answer(request, _make)


def _output(ask: Ask, experiment: ExperimentRecord, job_id: str, attempt: int | None, after: int) -> dict[str, Any]:
    answer = ask(GetOutput(experiment_uid=experiment.uid, job_id=job_id, attempt=attempt, after=after))
    return answer.model_dump(exclude={"kind", "version"})


def list_errors(request: Request) -> Response:
    """Answer with the errors of CRASHED jobs by their first line, and with the machines on which they crashed."""
    context, number = context_of(request), number_of(request)

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number)
        crashed = GetJobs(experiment_uid=experiment.uid, statuses=["CRASHED"], limit=1000)
        jobs = list(itertools.islice((job for page in pages(ask, crashed) for job in page.jobs), _MOST_CRASHES))
        errors = Counter(_first_line(job) for job in jobs)
        latest = {_first_line(job): job.job_id for job in jobs}
        hosts = Counter((job.worker or "").partition(":")[0] for job in jobs if job.worker)
        return {
            "of": experiment.job_counts.get("CRASHED", 0),
            "looked_at": len(jobs),
            "errors": [
                {"error": error, "jobs": count, "example": latest[error]} for error, count in errors.most_common(50)
            ],
            "hosts": [{"host": host, "crashed": count} for host, count in hosts.most_common(50)],
        }

    return context.answer(request, _make, seconds=10.0, tag=lambda: context.state_of_jobs(number))


def _first_line(job: JobRecord) -> str:
    """Return the first line of an error, with # for numbers, so that errors of one kind are one."""
    return _NUMBER.sub("#", ((job.error or "no error was reported").splitlines() or [""])[0][:200])
