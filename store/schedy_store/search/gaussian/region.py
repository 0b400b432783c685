"""The trust region: a box around the best point, which grows while jobs get better and shrinks while they do not.

After TuRBO (Eriksson et al. 2019, arXiv 1910.01739, section 2). Far from it a process cannot tell much in a space with
narrow valleys, and expects something of every corner.
"""

import numpy as np

from schedy_store.search.gaussian.cube import Floats

_FIRST, _LARGEST, _SMALLEST = 0.8, 1.6, 0.5**7
_SUCCESSES = 3
_LEAST_FAILURES = 4
_LEAST_GAIN = 1e-3


def side_of(losses: Floats, dimensions: int) -> float:
    """Return the side of the box after losses, shape (jobs,), in the order in which the jobs ended."""
    side, best, successes, failures = _FIRST, np.inf, 0, 0
    for loss in losses:
        if loss < best - _LEAST_GAIN:
            best, successes, failures = loss, successes + 1, 0
        else:
            successes, failures = 0, failures + 1
        if successes == _SUCCESSES:
            side, successes = min(2 * side, _LARGEST), 0
        if failures == max(_LEAST_FAILURES, dimensions):
            side, failures = side / 2, 0
        if side < _SMALLEST:
            side = _FIRST
    return side


def box(centre: Floats, scales: Floats, side: float) -> tuple[Floats, Floats]:
    """Return the corners of the box, shape (dimensions,) each: longer where the process changes slowly.

    Where a scale is infinite the box is as large as the space.
    """
    is_number = np.isfinite(scales)
    relative = np.log(np.clip(scales, 1e-2, 5.0))
    sides = side * np.exp(relative - relative[is_number].mean()) if is_number.any() else relative
    sides = np.where(is_number, np.minimum(sides, 2.0), 2.0)
    return np.clip(centre - sides / 2, 0.0, 1.0), np.clip(centre + sides / 2, 0.0, 1.0)
