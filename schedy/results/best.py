"""The best jobs: asked for, and why there is none; the best by several objectives."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from schedy.errors import NotFoundError
from schedy.results.ask import Ask
from schedy.search.definition import Definition, Objective
from schedy.wire.answers import BestAnswer, OverviewAnswer
from schedy.wire.base import FINAL_STATUSES, MOST_IN_A_MESSAGE
from schedy.wire.requests import GetBest, GetOverview

MOST_BEST = MOST_IN_A_MESSAGE
"""The best jobs that are asked for at once."""

NAME_A_RESULT = "Name a result to minimize or maximize when you add an experiment."
"""What to do where there is no objective, for readers of the library and of the command line."""

T = TypeVar("T")


def find_best(ask: Ask, uid: str, name: str, definition: Definition, *, limit: int) -> BestAnswer:
    """Ask for the best jobs of an experiment, at least one.

    Raises NotFoundError, saying why, if there is none.
    """
    if not definition.objectives:
        raise NotFoundError(f"{name} has no objective: none of its jobs is better than another. {NAME_A_RESULT}")
    answer = ask(GetBest(experiment_uid=uid, limit=limit))
    if not answer.jobs:
        raise NotFoundError(
            f"{name} has no best job yet: {_why_none(ask(GetOverview(experiment_uid=uid)), definition)}"
        )
    return answer


def _why_none(overview: OverviewAnswer, definition: Definition) -> str:
    counts = overview.experiment.job_counts
    total, done = sum(counts.values()), counts.get("DONE", 0)
    if not total:
        return "it has no jobs."
    if done:
        names = " and ".join(repr(objective.result) for objective in definition.objectives)
        kept = " and keeps the constraints" if definition.constraints else ""
        return f"none of its {done} DONE jobs has a number for {names}{kept}."
    others = [
        f"{count} {status}" for status, count in counts.items() if status in FINAL_STATUSES and status != "CRASHED"
    ]
    if overview.last_crashed is not None and overview.last_crashed.error:
        lines = overview.last_crashed.error.strip().splitlines()
        others.append(f"{counts['CRASHED']} CRASHED, the last with {lines[-1]}")
    return "; ".join([f"0 of {total} jobs are DONE", *others]) + "."


def pareto_front(items: Iterable[tuple[T, Sequence[float]]], objectives: Sequence[Objective]) -> list[T]:
    """Return the items that no other is better than, given with their values; best by the first objective first.

    Of items with equal values the first is returned.
    """
    signs = [1.0 if objective.direction == "minimize" else -1.0 for objective in objectives]
    costs = [(tuple(sign * value for sign, value in zip(signs, values, strict=True)), item) for item, values in items]
    costs.sort(key=lambda pair: pair[0])
    front: list[tuple[tuple[float, ...], T]] = []
    for cost, item in costs:  # in this order none is better than one before it
        if not any(_as_good(other, cost) for other, _item in reversed(front)):
            front.append((cost, item))
    return [item for _cost, item in front]


def _as_good(cost: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(one <= two for one, two in zip(cost, other, strict=True))
