"""The best of jobs that have several objectives."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from schedy.search.definition import Objective

T = TypeVar("T")


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
