"""What a Gaussian process learns from: jobs as points, with losses and violations in a form that suits it."""

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import PowerTransformer

from schedy_store.search.gaussian.cube import Floats
from schedy_store.search.protocol import Trial

LEAST_SEEN = 3
Allowed = Callable[[Floats], NDArray[np.bool_]]
"""Returns which points, shape (n, dimensions), keep the conditions, shape (n,)."""
_WORST = 2.0
"""Losses are clipped where they are so many times as far from the median as the best one."""
_LEAST_SPREAD = 1e-12
"""Objectives that differ by less, as a part of the largest, are all the same."""


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Let numbers run out of their range without a warning: it tries exponents that are too large."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


class Warp:
    """Makes losses nearly normal: very bad ones are clipped, then transformed as by Yeo and Johnson (2000)."""

    def __init__(self, losses: Floats) -> None:
        """Learn from finite losses, shape (n,), that are not all the same."""
        self._unit = float(np.abs(losses).max())
        scaled = losses / self._unit  # 1e300 squared is infinite
        middle = float(np.median(scaled))
        self._worst = middle + _WORST * (middle - float(scaled.min()))
        scaled = np.minimum(scaled, self._worst)
        self._mean, self._deviation = float(scaled.mean()), float(scaled.std())
        self._power: Any = PowerTransformer(method="yeo-johnson")
        with _quietly():
            warped = self._power.fit_transform(self._standard(losses)[:, None])
        if not np.all(np.isfinite(warped)) or warped.std() < 0.5:  # it makes that 1
            self._power = None

    def of(self, losses: Floats) -> Floats:
        """Return losses as they were learned, with mean 0 and deviation 1 of those."""
        standard = self._standard(losses)
        with _quietly():
            warped: Floats = standard if self._power is None else self._power.transform(standard[:, None])[:, 0]
        return warped

    def undone(self, warped: float) -> float:
        """Return the loss that was warped to a number; not a number if none was."""
        with _quietly():
            standard = warped if self._power is None else float(self._power.inverse_transform([[warped]])[0, 0])
            return (standard * self._deviation + self._mean) * self._unit

    def _standard(self, losses: Floats) -> Floats:
        standard: Floats = (np.minimum(losses / self._unit, self._worst) - self._mean) / self._deviation
        return standard


@dataclass(frozen=True)
class Observed:
    """Jobs that have ended, in that order."""

    points: Floats
    """Shape (jobs, dimensions)."""
    losses: Floats
    """Warped, shape (jobs,). Jobs without one have the worst of the others."""
    violations: Floats
    """Shape (jobs, constraints): 0 or less where one is kept; as logarithms, so that far ones do not hide near ones."""
    is_valid: NDArray[np.bool_]
    """Which jobs keep all constraints and conditions, shape (jobs,): pushed ones may break a condition."""
    warp: Warp

    @property
    def order(self) -> Floats:
        """What the jobs are ordered by, the best first, shape (jobs,): those that are not valid come last."""
        broken = np.maximum(self.violations, 0).sum(axis=1)
        ordered: Floats = np.where(self.is_valid, self.losses, self.losses.max() + 1 + broken)
        return ordered


def observed(
    point_of: Callable[[Trial], Floats | None],
    trials: Sequence[Trial],
    *,
    sign: float,
    constraints: int,
    is_allowed: Allowed,
) -> Observed | None:
    """Return what there is to learn from, with losses that are `sign` times the objective; None if it says nothing.

    `constraints` is their number. `point_of` returns the point of a job, None for one that lies outside of the space.
    """
    seen = [(point, trial) for trial in trials if (point := point_of(trial)) is not None]
    losses = np.array([_loss(trial, sign) for _point, trial in seen], dtype=float)
    known = losses[np.isfinite(losses)]
    if len(known) < LEAST_SEEN or known.max() - known.min() <= _LEAST_SPREAD * np.abs(known).max():
        return None
    losses = np.where(np.isfinite(losses), losses, known.max())
    warp = Warp(losses)
    points = np.array([point for point, _trial in seen])
    violations = _violations([trial for _point, trial in seen], constraints)
    is_valid = np.all(violations <= 0, axis=1) & is_allowed(points)
    return Observed(points, warp.of(losses), violations, is_valid, warp)


def _loss(trial: Trial, sign: float) -> float:
    if trial.values is not None:
        return sign * trial.values[0]
    if trial.status == "PRUNED" and trial.curve:
        return sign * trial.curve[max(trial.curve)]
    return math.inf


def _violations(trials: Sequence[Trial], constraints: int) -> Floats:
    """Return the violations of jobs, shape (jobs, constraints).

    Those of which nothing is known, as of a job that crashed, are in the middle of the others that are broken.
    """
    unknown = [math.inf] * constraints
    table = np.array([trial.violations[:constraints] or unknown for trial in trials], dtype=float)
    table = table.reshape(len(trials), constraints)
    for column in table.T:
        known = np.abs(column[np.isfinite(column)])
        middle = (float(np.median(known)) if len(known) else 0.0) or 1.0
        column[:] = np.sign(column) * np.log1p(np.abs(column) / middle)
        broken = column[np.isfinite(column) & (column > 0)]
        column[np.isposinf(column)] = float(np.median(broken)) if len(broken) else 1.0
    return table
