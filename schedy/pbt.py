"""Strategies of population based training. A stand-in of the same names, to be replaced by the real module."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

MINIMIZE: Final = "minimize"
MAXIMIZE: Final = "maximize"


@dataclass(frozen=True, slots=True)
class Truncate:
    """The worst `proportion` of a generation go on as copies of the best."""

    kind: ClassVar[str] = "truncate"
    proportion: float = 0.2

    def to_json(self) -> dict[str, Any]:
        """Return its kind and parameters."""
        return {self.kind: asdict(self)}


@dataclass(frozen=True, slots=True)
class Perturb:
    """Multiplies a number by `min_factor` or `max_factor`."""

    kind: ClassVar[str] = "perturb"
    min_factor: float = 0.8
    max_factor: float = 1.2

    def to_json(self) -> dict[str, Any]:
        """Return its kind and parameters."""
        return {self.kind: asdict(self)}
