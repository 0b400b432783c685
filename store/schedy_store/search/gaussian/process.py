"""The Gaussian process of a search: what it learns from, and the point that it expects the most of.

Kernel: Matérn 5/2 with a scale for each column, and noise (Rasmussen and Williams 2006, chapters 2 and 5). Criterion:
the logarithm of the expected improvement (Ament et al. 2023, arXiv 2310.20708). Jobs that have not ended count as if
they had, with the value that is predicted for them (Ginsbourger et al. 2010, "kriging believer").
"""

import contextlib
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from schedy.search.definition import Definition
from schedy_store.search.gaussian.cube import Cube, Floats
from schedy_store.search.protocol import WHY, History, Suggestion, Trial, numeric_seed

LEAST_SEEN = 3
MOST_SEEN = 250
_MOST_FITTED = 120
_GROWTH = 1.2
"""The kernel is fitted again when there are so many times as many jobs."""
_ITERATIONS = 15
_LEAST_SPREAD = 1e-12
"""Objectives that differ by less, as a part of the largest, are all the same."""
_SPREAD = 1024
_STARTS = 6
_AROUND = 48
_REACHES = (0.2, 0.06, 0.02, 0.006, 0.002)
"""Standard deviations of the steps from good points to others, round by round."""
_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
_ASYMPTOTIC = -20.0
"""Below this φ(z) + z Φ(z) is φ(z) / z², as far as it matters."""


class GaussianProcess:
    """Suggests jobs of a space without branches, for one objective; a pure function, as `protocol` asks."""

    def __init__(self, definition: Definition) -> None:
        assert definition.objective is not None  # noqa: S101 - the definition was checked
        self._definition = definition
        self._sign = 1.0 if definition.objective.direction == "minimize" else -1.0
        self._cube = Cube(definition.space(), definition.hyperparameters)
        self._fitted: dict[int, Any] = {}
        """Kernels by the number of jobs that they were fitted to."""

    @property
    def dimensions(self) -> int:
        return self._cube.dimensions

    def suggest(self, number: int, history: History) -> Suggestion | None:
        """Return a suggestion, or None if there is too little to learn from."""
        seen = [(point, trial) for trial in history.ended if (point := self._point(trial)) is not None]
        losses, unit = self._losses([trial for _point, trial in seen])
        if losses is None:
            return None
        points = np.array([point for point, _trial in seen])
        with threadpool_limits(1), contextlib.suppress(LinAlgError):
            kernel = self._kernel(points, losses)
            chosen = _best_and_newest(losses, MOST_SEEN)
            model = _Model(self._cube, kernel, points[chosen], losses[chosen])
            pending = [point for trial in history.pending if (point := self._point(trial)) is not None]
            if pending:
                model = model.believing(np.array(pending))
            rng = np.random.default_rng(numeric_seed(self._definition, number))
            chosen_point = _most_promising(self._cube, model, rng, self._allowed)
            mean, deviation = model.predicted(chosen_point)
            why = {"expected": self._sign * mean * unit, "deviation": deviation * unit}
            state = {WHY: why} if all(map(math.isfinite, why.values())) else {}
            return Suggestion(self._cube.outward(chosen_point), state=state)
        return None

    def _allowed(self, points: Floats) -> NDArray[np.bool_]:
        """Return which points, shape (n, dimensions), keep the conditions, shape (n,)."""
        conditions = self._definition.conditions
        if not conditions:
            return np.ones(len(points), dtype=bool)
        found = map(self._cube.outward, points)
        return np.array([all(condition.holds(point) for condition in conditions) for point in found])

    def _point(self, trial: Trial) -> Floats | None:
        return self._cube.inward(trial.hyperparameters)

    def _losses(self, trials: Sequence[Trial]) -> tuple[Floats | None, float]:
        """Return what is to be minimized, and its unit; None if it says nothing.

        Jobs that failed or break a constraint are as bad as the worst others.
        """
        losses = np.array([self._loss(trial) for trial in trials], dtype=float)
        known = losses[np.isfinite(losses)]
        if len(known) < LEAST_SEEN:
            return None, 1.0
        unit = float(np.abs(known).max()) or 1.0
        losses, known = losses / unit, known / unit  # 1e300 squared is infinite
        middle = float(np.median(known))
        worst = min(float(known.max()), middle + 2 * (middle - float(known.min())))
        if worst - known.min() < _LEAST_SPREAD:
            return None, unit
        clipped: Floats = np.where(np.isfinite(losses), np.minimum(losses, worst), worst)
        return clipped, unit

    def _loss(self, trial: Trial) -> float:
        if any(amount > 0 for amount in trial.violations):
            return math.inf
        if trial.values is not None:
            return self._sign * trial.values[0]
        if trial.status == "PRUNED" and trial.curve:
            return self._sign * trial.curve[max(trial.curve)]
        return math.inf

    def _kernel(self, points: Floats, losses: Floats) -> Any:
        """Return the kernel as it was fitted when there were a little fewer jobs, whenever that was."""
        count = LEAST_SEEN
        while int(count * _GROWTH) + 1 <= len(losses):
            count = int(count * _GROWTH) + 1
        if count not in self._fitted:
            chosen = _best_and_newest(losses[:count], _MOST_FITTED)
            columns = self._cube.columns(points[:count][chosen])
            self._fitted[count] = _fit(columns, _standardized(losses[:count][chosen]))
        return self._fitted[count]


class _Model:
    """The process, given what is known."""

    def __init__(self, cube: Cube, kernel: Any, points: Floats, losses: Floats) -> None:
        self._cube = cube
        self._kernel = kernel
        self._points = points
        self._losses = losses
        self._mean, self._scale = losses.mean(), losses.std() or 1.0
        self._regressor = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=None)
        self._regressor.fit(cube.columns(points), (losses - self._mean) / self._scale)
        at_known = self._regressor.predict(cube.columns(points))
        self.best_points = points[np.argsort(at_known)[:_STARTS]]
        self._best = at_known.min()

    def believing(self, pending: Floats) -> "_Model":
        """Return the process that takes what it predicts of pending jobs for known."""
        predicted = self._regressor.predict(self._cube.columns(pending)) * self._scale + self._mean
        return _Model(
            self._cube, self._kernel, np.vstack([self._points, pending]), np.concatenate([self._losses, predicted])
        )

    def predicted(self, point: Floats) -> tuple[float, float]:
        """Return the value that is predicted at a point, and its standard deviation."""
        mean, deviation = self._regressor.predict(self._cube.columns(point[None]), return_std=True)
        return float(mean[0] * self._scale + self._mean), float(deviation[0] * self._scale)

    def promise(self, points: Floats) -> Floats:
        """Return the logarithm of the improvement that is expected at points, shape (n,)."""
        mean, deviation = self._regressor.predict(self._cube.columns(points), return_std=True)
        deviation = np.maximum(deviation, 1e-9)
        promise: Floats = np.log(deviation) + _log_h((self._best - mean) / deviation)
        return promise


def _log_h(z: Floats) -> Floats:
    """Return log(φ(z) + z Φ(z)), in a form for each range of z that neither overflows nor cancels out."""
    density = -0.5 * z * z - _HALF_LOG_2_PI
    high = np.maximum(z, -1.0)
    of_high = np.log(np.exp(-0.5 * high * high - _HALF_LOG_2_PI) + high * ndtr(high))
    low = np.clip(z, _ASYMPTOTIC, -1.0)
    of_low = density + np.log1p(low * np.exp(log_ndtr(low) + 0.5 * low * low + _HALF_LOG_2_PI))
    of_lowest = density - 2 * np.log(np.maximum(np.abs(z), 1.0))
    log_h: Floats = np.where(z > -1.0, of_high, np.where(z > _ASYMPTOTIC, of_low, of_lowest))
    return log_h


def _most_promising(
    cube: Cube, model: _Model, rng: np.random.Generator, allowed: Callable[[Floats], NDArray[np.bool_]]
) -> Floats:
    """Return the point with the largest promise that a search from everywhere, and then from good points, finds.

    It is one that is allowed, if one was found.
    """

    def _promise(points: Floats) -> Floats:
        return np.where(allowed(points), model.promise(points), -np.inf)

    everywhere = rng.random((_SPREAD, cube.dimensions))
    points = cube.snapped(np.vstack([everywhere, _around(model.best_points, _REACHES[0], rng)]))
    promise = _promise(points)
    for reach in _REACHES:
        starts = points[np.argsort(promise)[-_STARTS:]]
        others = cube.snapped(_around(starts, reach, rng))
        points, promise = np.vstack([points, others]), np.concatenate([promise, _promise(others)])
    best: Floats = points[np.argmax(promise)]
    return best


def _around(points: Floats, reach: float, rng: np.random.Generator) -> Floats:
    """Return points at a distance of about `reach` in some of the dimensions from each of these."""
    near = np.repeat(points, _AROUND, axis=0)
    moves = rng.random(near.shape) < max(0.5, 2 / near.shape[1])
    moved: Floats = near + moves * rng.normal(scale=reach, size=near.shape)
    return moved


def _best_and_newest(losses: Floats, most: int) -> NDArray[np.intp]:
    """Return the places of at most `most` losses, in order: of the best half, and of the newest of the others."""
    places = np.arange(len(losses))
    if len(losses) <= most:
        return places
    best = np.argsort(losses, kind="stable")[: most // 2]
    others = np.setdiff1d(places, best)[-(most - len(best)) :]
    return np.sort(np.concatenate([best, others]))


def _standardized(losses: Floats) -> Floats:
    standardized: Floats = (losses - losses.mean()) / (losses.std() or 1.0)
    return standardized


def _fit(columns: Floats, losses: Floats) -> Any:
    """Return the kernel under which the losses are likeliest."""
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(
        np.full(columns.shape[1], 0.5), (0.03, 30.0), nu=2.5
    ) + WhiteKernel(1e-2, (1e-6, 1.0))
    regressor = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=_few_steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound: a column without influence
        return regressor.fit(columns, losses).kernel_


def _few_steps(objective: Callable[..., Any], initial_theta: Floats, bounds: Floats) -> tuple[Floats, float]:
    found = minimize(
        objective, initial_theta, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": _ITERATIONS}
    )
    return found.x, found.fun
