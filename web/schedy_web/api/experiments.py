"""Experiments: a page of them, and one with its fields."""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from schedy.errors import InvalidValueError
from schedy.random import Choice, Distribution, LogNormal
from schedy.random.axes import Integers
from schedy.results.ask import Ask
from schedy.search.algorithms import DEFAULT
from schedy.search.definition import Definition, definition_or_empty
from schedy.wire.records import ExperimentRecord, Standing
from schedy.wire.requests import JOB_COLUMNS, GetBest, GetFields, GetMadeBy, GetOverview, GetOverviews
from schedy_store.schema.tables import Experiment
from schedy_web.api.parameters import integer, number_of
from schedy_web.context import context_of
from schedy_web.reading import experiment_numbered
from schedy_web.shapes import STATES, experiment_shape, job_shape, state_of

_PAGE = 200
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class _Page:
    """Experiments, the newest first: those after one, whose names have a text, in some state."""

    after: int
    limit: int
    name: str
    state: str

    @classmethod
    def asked(cls, request: Request) -> "_Page":
        """Return the page that a request asks for. Raises InvalidValueError."""
        name, state = (request.query_params.get(each, "") for each in ("name", "state"))
        if state and state not in STATES:
            raise InvalidValueError(f"state={state[:50]}: expected one of {', '.join(STATES)}.")
        return cls(integer(request, "after", 0), max(1, integer(request, "limit", _PAGE, most=1000)), name, state)

    def standings(self, ask: Ask) -> tuple[list[Standing], int | None]:
        """Return the experiments, and the number after which the next page goes on; None if there is none.

        A state is known only of those that were looked at: a page that would take long has fewer of them.
        """
        found: list[Standing] = []
        after, deadline = self.after, time.monotonic() + _LOOK_SECONDS
        while True:
            answer = ask(GetOverviews(newest=True, after=after, limit=self.limit, name=self.name))
            found += [each for each in answer.overviews if not self.state or state_of(each)[0] == self.state]
            if len(found) > self.limit:
                return found[: self.limit], found[self.limit - 1].experiment.position
            if not answer.more:
                return found, None
            after = answer.overviews[-1].experiment.position
            if len(found) == self.limit or time.monotonic() > deadline:
                return found, after


def list_experiments(request: Request) -> Response:
    """Answer with a page of experiments, the newest first; `after` is the number of the last one that is known."""
    context, page = context_of(request), _Page.asked(request)

    def _make() -> dict[str, Any]:
        standings, following = page.standings(context.reads.ask)
        return {"experiments": [experiment_shape(each) for each in standings], "next": following}

    return context.answer(request, _make)


def list_trends(request: Request) -> Response:
    """Answer with the best value so far of the experiments of a page, as far as there was time to find it."""
    context, page = context_of(request), _Page.asked(request)

    def _make() -> dict[str, Any]:
        standings, _following = page.standings(context.reads.ask)
        with context.reads.transaction() as transaction:
            chosen = Experiment.pk.in_([standing.experiment.position for standing in standings])
            rows = transaction.sql.execute(select(Experiment.pk, Experiment.rewritten).where(chosen))
            rewritten = {number: times for number, times in rows}
        trends, more = context.trends.of(context.reads.ask, standings, rewritten)
        return {"trends": {str(number): trend for number, trend in trends.items()}, "more": more}

    return context.answer(request, _make)


def show_experiment(request: Request) -> Response:
    """Answer with one experiment, its definition, its fields, the jobs that run and the last that ended."""
    context = context_of(request)

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number_of(request))
        overview = ask(GetOverview(experiment_uid=experiment.uid))
        definition = definition_or_empty(experiment.settings)
        is_mixed = experiment.made and experiment.scheduler == DEFAULT
        made_by = ask(GetMadeBy(experiment_uid=experiment.uid)).algorithms if is_mixed else []
        return {
            **experiment_shape(overview),
            "settings": {**experiment.settings},
            "limits": experiment.limits.model_dump(),
            "made": experiment.made,
            "made_by": [{"algorithm": each.algorithm, "jobs": each.jobs} for each in made_by],
            "search_end": experiment.search_end,
            "prunes": definition.pruner is not None,
            "constraints": [
                {"name": each.result, "at_most": each.at_most, "at_least": each.at_least}
                for each in definition.constraints
            ],
            "fields": fields_of(ask, experiment, definition),
            "running": [job.model_dump() for job in overview.running],
            "last_ended": None if overview.last_ended is None else job_shape(overview.last_ended),
            "last_crashed": None if overview.last_crashed is None else job_shape(overview.last_crashed),
        }

    return context.answer(request, _make)


def list_best(request: Request) -> Response:
    """Answer with the best jobs, or the Pareto front."""
    context = context_of(request)

    def _make() -> dict[str, Any]:
        experiment = experiment_numbered(context.reads.ask, number_of(request))
        answer = context.reads.ask(
            GetBest(experiment_uid=experiment.uid, limit=integer(request, "limit", 10, most=500))
        )
        objectives = definition_or_empty(experiment.settings).objectives
        return {"jobs": [job_shape(job) for job in answer.jobs], "front": len(objectives) > 1, "more": answer.more}

    return context.answer(request, _make)


def fields_of(ask: Ask, experiment: ExperimentRecord, definition: Definition) -> list[dict[str, Any]]:
    """Return the fields of the jobs: columns, then hyperparameters with their ranges, then results."""
    known = ask(GetFields(experiment_uid=experiment.uid))
    space = definition.hyperparameters
    objectives = [each.result for each in definition.objectives]
    columns = [{"field": name, "source": "column", "kind": "text", "log": False} for name in JOB_COLUMNS]
    names = list(dict.fromkeys([*space, *known.hyperparameters]))
    hyperparameters = [
        {"field": name, "source": "hyperparameter", **_range(space.get(name)), "objective": False} for name in names
    ]
    results = [
        {"field": name, "source": "result", "kind": "number", "log": False, "objective": name in objectives}
        for name in dict.fromkeys([*objectives, *known.results])
    ]
    return [*columns, *hyperparameters, *results]


def _range(distribution: Distribution | None) -> dict[str, Any]:
    """Return kind, scale and bounds of a hyperparameter."""
    if isinstance(distribution, Choice):
        return {"kind": "choice", "log": False, "low": None, "high": None, "choices": list(distribution.values)}
    axis = None if distribution is None else distribution.axis()
    span = None if axis is None else axis.span
    kind = "integer" if isinstance(span, Integers) else "number"
    low, high = (getattr(distribution, bound, None) for bound in ("low", "high"))
    is_log = getattr(span, "log", False) or isinstance(distribution, LogNormal)
    return {"kind": kind, "log": is_log, "low": low, "high": high, "choices": None}
