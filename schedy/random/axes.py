"""Axes on which samplers search distributions, in terms that every optimization library knows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reals:
    """The numbers from `low` to `high`; with `log` the logarithm is searched."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Integers:
    """The whole numbers from `low` to `high`, both included; with `log` the logarithm is searched."""

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True, slots=True)
class Categories:
    """The numbers from 0 to `count` - 1, in no order."""

    count: int


Span = Reals | Integers | Categories


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of a search: its span, and how a value of the distribution gets there and back."""

    span: Span
    inward: Callable[[Any], Any]
    """Returns the point of a value that the distribution can draw."""
    outward: Callable[[Any], Any]
    """Returns the value at a point."""
