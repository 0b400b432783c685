"""Gaussian processes, given what is known: what they predict, and how much a point promises.

Kernel: Matérn 5/2 with a scale for each column, and noise (Rasmussen and Williams 2006, chapters 2 and 5). Criterion:
the logarithm of the expected improvement (Ament et al. 2023, arXiv 2310.20708), and of the probability that all
constraints are kept (Gardner et al. 2014); of that alone until one job keeps them (Gelbart et al. 2014, arXiv
1403.5607).
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from schedy_store.search.gaussian.cube import Floats

_ITERATIONS = 15
_LEAST_DEVIATION = 1e-9
_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
_ASYMPTOTIC = -20.0
"""Below this φ(z) + z Φ(z) is φ(z) / z², as far as it matters."""


class Surrogate:
    """A process for one quantity."""

    def __init__(self, kernel: Any, columns: Floats, values: Floats) -> None:
        """`columns` have the shape (jobs, columns), `values` (jobs,)."""
        self._kernel, self._columns, self._values = kernel, columns, values
        self._mean, self._deviation = values.mean(), values.std() or 1.0
        self._regressor = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=None)
        self._regressor.fit(columns, (values - self._mean) / self._deviation)

    def predicted(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return what is predicted at points, and its standard deviations, shape (n,) each."""
        mean, deviation = self._regressor.predict(columns, return_std=True)
        return mean * self._deviation + self._mean, np.maximum(deviation, _LEAST_DEVIATION) * self._deviation

    def believing(self, pending: Floats) -> "Surrogate":
        """Return the process that takes what it predicts of pending jobs for known."""
        believed = np.concatenate([self._values, self.predicted(pending)[0]])
        return Surrogate(self._kernel, np.vstack([self._columns, pending]), believed)


class Model:
    """A process for the loss, and one for each constraint."""

    def __init__(self, loss: Surrogate, constraints: Sequence[Surrogate]) -> None:
        self._loss = loss
        self._constraints = constraints

    def believing(self, pending: Floats) -> "Model":
        """Return the model that takes what it predicts of pending jobs, shape (n, columns), for known."""
        return Model(self._loss.believing(pending), [each.believing(pending) for each in self._constraints])

    def predicted(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return the losses that are predicted at points, and their standard deviations, shape (n,) each."""
        return self._loss.predicted(columns)

    def best(self, columns: Floats, is_valid: NDArray[np.bool_]) -> float | None:
        """Return the best loss that is predicted where a job keeps all constraints; None if none does."""
        return float(self._loss.predicted(columns[is_valid])[0].min()) if is_valid.any() else None

    def promise(self, columns: Floats, best: float | None) -> Floats:
        """Return the logarithm of what is expected of points, shape (n,), beside the best loss."""
        promise = np.zeros(len(columns))
        if best is not None:
            mean, deviation = self._loss.predicted(columns)
            promise += np.log(deviation) + _log_h((best - mean) / deviation)
        for constraint in self._constraints:
            mean, deviation = constraint.predicted(columns)
            promise += log_ndtr(-mean / deviation)
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


def fitted_kernel(columns: Floats, values: Floats) -> Any:
    """Return the kernel under which the values are likeliest."""
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(
        np.full(columns.shape[1], 0.5), (0.03, 30.0), nu=2.5
    ) + WhiteKernel(1e-2, (1e-6, 1.0))
    regressor = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=_few_steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound: a column without influence
        return regressor.fit(columns, (values - values.mean()) / (values.std() or 1.0)).kernel_


def scales_of(kernel: Any) -> Floats:
    """Return the scale of each column in a kernel of `fitted_kernel`."""
    return np.atleast_1d(kernel.k1.k2.length_scale)


def _few_steps(objective: Callable[..., Any], initial_theta: Floats, bounds: Floats) -> tuple[Floats, float]:
    found = minimize(
        objective, initial_theta, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": _ITERATIONS}
    )
    return found.x, found.fun
