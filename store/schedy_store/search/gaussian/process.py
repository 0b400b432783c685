"""The search by Gaussian processes: the point that they expect the most of, in the whole space or near the best one.

Jobs that have not ended count as if they had, with the value that is predicted for them (Ginsbourger et al. 2010,
"kriging believer").
"""

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from threadpoolctl import threadpool_limits

from schedy.search.definition import Definition
from schedy_store.search.gaussian.cube import Cube, Floats
from schedy_store.search.gaussian.model import Model, Surrogate, fitted_kernel, scales_of
from schedy_store.search.gaussian.observed import LEAST_SEEN, Observed, observed
from schedy_store.search.gaussian.region import box, side_of
from schedy_store.search.protocol import WHY, History, Suggestion, Trial, numeric_seed

_MOST_SEEN = 250
_MOST_FITTED = 120
_GROWTH = 1.2
"""The kernel is fitted again when there are so many times as many jobs."""
_LOCAL_EACH = 2
_SPREAD = 1024
_STARTS = 6
_AROUND = 48
_REACHES = (0.2, 0.06, 0.02, 0.006, 0.002)
"""Standard deviations of the steps from good points to others, round by round."""

Promise = Callable[[Floats], Floats]
"""Returns how much points, shape (n, dimensions), promise, shape (n,)."""
Box = tuple[Floats, Floats]


class GaussianProcess:
    """Suggests jobs of a space without branches, for one objective; a pure function, as `protocol` asks."""

    def __init__(self, definition: Definition) -> None:
        assert definition.objective is not None  # noqa: S101 - the definition was checked
        self._definition = definition
        self._sign = 1.0 if definition.objective.direction == "minimize" else -1.0
        self._cube = Cube(definition.space(), definition.hyperparameters)
        self._points: dict[int, Floats | None] = {}
        """Of jobs by their keys: the point of a job never changes."""
        self._fitted: dict[tuple[int, int], Any] = {}
        """Kernels by how many jobs they were fitted to, and to what: -1 is the loss, 0 the first constraint."""

    @property
    def dimensions(self) -> int:
        return self._cube.dimensions

    def suggest(self, number: int, history: History) -> Suggestion | None:
        """Return a suggestion, or None if there is too little to learn from."""
        seen = observed(
            self._point,
            history.ended,
            sign=self._sign,
            constraints=len(self._definition.constraints),
            is_allowed=self._allowed,
        )
        if seen is None:
            return None
        with threadpool_limits(1), contextlib.suppress(LinAlgError):
            return self._suggestion(number, seen, history)
        return None

    def _suggestion(self, number: int, seen: Observed, history: History) -> Suggestion:
        columns = self._cube.columns
        chosen = _best_and_newest(seen.order, _MOST_SEEN)
        model = self._model(seen, chosen)
        pending = [point for job in history.pending if (point := self._point(job)) is not None]
        if pending:
            model = model.believing(columns(np.array(pending)))
        best = model.best(columns(seen.points[chosen]), seen.is_valid[chosen])
        starts = seen.points[np.argsort(seen.order, kind="stable")[:_STARTS]]
        limits = self._region(seen) if number % _LOCAL_EACH == 0 else None
        rng = np.random.default_rng(numeric_seed(self._definition, number))
        point = _most_promising(
            self._cube,
            lambda points: np.where(self._allowed(points), model.promise(columns(points), best), -np.inf),
            starts,
            rng,
            limits,
        )
        return Suggestion(self._cube.outward(point), state=self._why(model, seen, point))

    def _point(self, trial: Trial) -> Floats | None:
        if trial.key not in self._points:
            self._points[trial.key] = self._cube.inward(trial.hyperparameters)
        return self._points[trial.key]

    def _model(self, seen: Observed, chosen: NDArray[np.intp]) -> Model:
        columns = self._cube.columns(seen.points[chosen])
        loss = Surrogate(self._kernel(seen, -1), columns, seen.losses[chosen])
        constraints = [
            Surrogate(self._kernel(seen, place), columns, values)
            for place, values in enumerate(seen.violations[chosen].T)
        ]
        return Model(loss, constraints)

    def _kernel(self, seen: Observed, place: int) -> Any:
        """Return the kernel as it was fitted when there were a little fewer jobs, whenever that was."""
        count, others = LEAST_SEEN, len(seen.losses)
        while int(count * _GROWTH) + 1 <= others:
            count = int(count * _GROWTH) + 1
        if (count, place) not in self._fitted:
            values = seen.losses if place < 0 else seen.violations[:, place]
            chosen = _best_and_newest(seen.order[:count], _MOST_FITTED)
            self._fitted[count, place] = fitted_kernel(self._cube.columns(seen.points[chosen]), values[chosen])
        return self._fitted[count, place]

    def _region(self, seen: Observed) -> Box:
        scales = self._cube.scales(scales_of(self._kernel(seen, -1)))
        return box(seen.points[np.argmin(seen.order)], scales, side_of(seen.order, self.dimensions))

    def _why(self, model: Model, seen: Observed, point: Floats) -> dict[str, Any]:
        (mean,), (deviation,) = model.predicted(self._cube.columns(point[None]))
        low, middle, high = (seen.warp.undone(mean + step * deviation) for step in (-1, 0, 1))
        why = {"expected": self._sign * middle, "deviation": (high - low) / 2}
        return {WHY: why} if all(map(math.isfinite, why.values())) else {}

    def _allowed(self, points: Floats) -> NDArray[np.bool_]:
        """Return which points, shape (n, dimensions), keep the conditions, shape (n,)."""
        conditions = self._definition.conditions
        if not conditions:
            return np.ones(len(points), dtype=bool)
        found = map(self._cube.outward, points)
        return np.array([all(condition.holds(point) for condition in conditions) for point in found])


def _most_promising(
    cube: Cube, promise_of: Promise, good: Floats, rng: np.random.Generator, limits: Box | None
) -> Floats:
    """Return the point with the largest promise that a search from everywhere, and then from good points, finds."""
    low, high = limits or (np.zeros(cube.dimensions), np.ones(cube.dimensions))
    everywhere = low + (high - low) * rng.random((_SPREAD, cube.dimensions))
    points = cube.snapped(np.clip(np.vstack([everywhere, _around(good, _REACHES[0], rng)]), low, high))
    promise = promise_of(points)
    for reach in _REACHES:
        starts = points[np.argsort(promise)[-_STARTS:]]
        others = cube.snapped(np.clip(_around(starts, reach, rng), low, high))
        points, promise = np.vstack([points, others]), np.concatenate([promise, promise_of(others)])
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
