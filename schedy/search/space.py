"""The hyperparameters of an experiment together: all there are, and those that exist only with a value of another."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from schedy.errors import InvalidValueError
from schedy.random import Distribution


class Space:
    """All hyperparameters with their distributions. A value may open further ones (`Distribution.branches`)."""

    def __init__(self, hyperparameters: Mapping[str, Distribution]) -> None:
        """Raises InvalidValueError if a name stands twice, also in different branches."""
        self._top = dict(hyperparameters)
        self.parameters: dict[str, Distribution] = {}
        """All of them, opened ones behind the hyperparameter that opens them."""
        for name, distribution in _walk(self._top):
            if name in self.parameters:
                raise InvalidValueError(f"{name}: there are two hyperparameters of this name, in branches perhaps.")
            self.parameters[name] = distribution

    def draw(self, choose: Callable[[str, Distribution], Any]) -> dict[str, Any]:
        """Return hyperparameters whose values `choose` picks, asked in order, and only for those that exist."""
        return dict(_draw(self._top, choose))

    def fault(self, hyperparameters: Mapping[str, Any]) -> str | None:
        """Return why no job of this space has these hyperparameters, None if one may."""
        missing: list[str] = []

        def _given(name: str, distribution: Distribution) -> Any:
            if name not in hyperparameters or distribution.rank(hyperparameters[name]) is None:
                missing.append(name)
            return hyperparameters.get(name)

        known = self.draw(_given)
        if missing:
            name = missing[0]
            return f"{name} is missing" if name not in hyperparameters else f"{name} lies outside"
        strange = next((name for name in hyperparameters if name not in known), None)
        return None if strange is None else f"{strange} is not in it"


def _walk(hyperparameters: Mapping[str, Distribution]) -> Iterator[tuple[str, Distribution]]:
    for name, distribution in hyperparameters.items():
        yield name, distribution
        for opened in distribution.branches.values():
            yield from _walk(opened)


def _draw(
    hyperparameters: Mapping[str, Distribution], choose: Callable[[str, Distribution], Any]
) -> Iterator[tuple[str, Any]]:
    for name, distribution in hyperparameters.items():
        value = choose(name, distribution)
        yield name, value
        yield from _draw(distribution.opens(value), choose)
