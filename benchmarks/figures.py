"""Figures and the table that they are printed in."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `beside` is the same work without Schedy; the ratio says how much more Schedy costs."""

    name: str
    unit: str
    schedy: float
    beside: float | None
    limited_by: str

    @property
    def ratio(self) -> float | None:
        """Cost of Schedy in units of the cost of the other; above 1 Schedy is dearer."""
        if not self.beside or not self.schedy:
            return None
        return self.beside / self.schedy if self.unit.endswith("/s") else self.schedy / self.beside


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the table: rows with the same thing beside them."""

    title: str
    beside: str
    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done."""

    rounds: int
    pushes: int
    bulk: int
    jobs: int
    wakes: int
    starts: int
    listed: int
    read: int
    workers: int
    beat_seconds: int
    ended: int
    seeds: int
    dashboard_trials: int
    backlog: int

    @classmethod
    def of(cls, *, quick: bool, size: float, rounds: int | None) -> "Scale":
        """The scale of a full or a quick run, its amounts multiplied by `size`; `rounds` if they are given."""
        small, full = (
            (60, 1000, 60, 15, 1, 20_000, 20_000, 1000, 4, 500, 2, 500, 2000),
            (300, 5000, 400, 50, 6, 100_000, 1_000_000, 1000, 30, 10_000, 30, 10_000, 100_000),
        )
        usual, amounts = (2, small) if quick else (5, full)
        scaled = [max(least, round(amount * size)) for amount, least in zip(amounts, _LEAST, strict=True)]
        return cls(rounds or usual, *scaled)


_LEAST = (5, 10, 20, 5, 1, 100, 100, 100, 2, 50, 2, 100, 200)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that `part` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def table(part: Part) -> str:
    """Return a part as aligned text."""
    header = [part.title, "", "Schedy", part.beside, "ratio", "limited by"]
    rows = [
        [f.name, f.unit, number(f.schedy), number(f.beside), "" if f.ratio is None else f"{f.ratio:.2f}", f.limited_by]
        for f in part.figures
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return "\n".join(_line(row, widths) for row in [header, *rows])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column in {2, 3, 4} else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def number(value: float | None) -> str:
    """Return a number with three digits that matter."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
