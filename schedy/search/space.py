"""The hyperparameters of an experiment together: all there are, and those that exist only with a value of another."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schedy.errors import InvalidValueError
from schedy.random import Distribution

MOST_HYPERPARAMETERS = 1000


@dataclass(frozen=True, slots=True)
class Fit:
    """How hyperparameters lie in a space, by their names. Where all are empty they lie in it."""

    missing: tuple[str, ...] = ()
    """Hyperparameters that a job with the other values has."""
    outside: tuple[str, ...] = ()
    """Those with a value that their distribution cannot draw."""
    strange: tuple[str, ...] = ()
    """Those that the space does not have, or not with the other values."""


class Space:
    """All hyperparameters with their distributions. A value may open further ones (`Distribution.branches`)."""

    def __init__(self, hyperparameters: Mapping[str, Distribution]) -> None:
        """Raises InvalidValueError if a name stands twice, also in different branches, and if there are over 1,000."""
        self._top = dict(hyperparameters)
        self.parameters: dict[str, Distribution] = {}
        """All of them, opened ones behind the hyperparameter that opens them."""
        for name, distribution in _walk(self._top):
            if name in self.parameters:
                raise InvalidValueError(f"{name}: there are two hyperparameters of this name, in branches perhaps.")
            self.parameters[name] = distribution
        if len(self.parameters) > MOST_HYPERPARAMETERS:
            found, most = len(self.parameters), MOST_HYPERPARAMETERS
            raise InvalidValueError(f"A search has at most {most:,} hyperparameters, not {found:,}.")

    @property
    def count(self) -> int | None:
        """The number of points, None for endless ones."""
        return _count(self._top)

    def key(self, hyperparameters: Mapping[str, Any]) -> Hashable | None:
        """Return a key that two points share only if they are the same one, None for one that lies outside."""
        if not self.holds(hyperparameters):
            return None
        return tuple((name, self.parameters[name].key(hyperparameters[name])) for name in sorted(hyperparameters))

    def draw(self, choose: Callable[[str, Distribution], Any]) -> dict[str, Any]:
        """Return hyperparameters whose values `choose` picks, asked in order, and only for those that exist."""
        return dict(_draw(self._top, choose))

    def fit(self, hyperparameters: Mapping[str, Any]) -> Fit:
        """Return how hyperparameters lie in the space."""
        missing: list[str] = []
        outside: list[str] = []
        known: set[str] = set()

        def _look(expected: Mapping[str, Distribution]) -> None:
            for name, distribution in expected.items():
                if name not in hyperparameters:
                    missing.append(name)
                    continue
                known.add(name)
                value = hyperparameters[name]
                if distribution.rank(value) is None:
                    outside.append(name)
                else:
                    _look(distribution.opens(value))

        _look(self._top)
        strange = (name for name in hyperparameters if name not in known)
        return Fit(tuple(missing), tuple(outside), tuple(strange))

    def holds(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Return whether a job of this space may have these hyperparameters."""
        return self.fit(hyperparameters) == Fit()


def _walk(hyperparameters: Mapping[str, Distribution]) -> Iterator[tuple[str, Distribution]]:
    for name, distribution in hyperparameters.items():
        yield name, distribution
        for opened in distribution.branches.values():
            yield from _walk(opened)


def _count(hyperparameters: Mapping[str, Distribution]) -> int | None:
    total = 1
    for distribution in hyperparameters.values():
        if distribution.count is None:
            return None
        counts: list[int | None] = [distribution.count]
        if distribution.branches:
            counts = [_count(distribution.opens(value)) for value in distribution.grid(None)]
        if None in counts:
            return None
        total *= sum(filter(None, counts))
    return total


def _draw(
    hyperparameters: Mapping[str, Distribution], choose: Callable[[str, Distribution], Any]
) -> Iterator[tuple[str, Any]]:
    for name, distribution in hyperparameters.items():
        value = choose(name, distribution)
        yield name, value
        yield from _draw(distribution.opens(value), choose)
