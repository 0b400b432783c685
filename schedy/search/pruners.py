"""Pruners, which end jobs that do badly, and their parameters."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from schedy.close_names import did_you_mean
from schedy.search.errors import DefinitionError
from schedy.search.models import Part, validated


class MedianPruner(Part):
    """Prunes a job that is worse than the median of the others at the same step (Golovin et al. 2017)."""

    startup_jobs: int = Field(default=5, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    interval_steps: int = Field(default=1, ge=1)


class PercentilePruner(MedianPruner):
    """Prunes a job that is not among the best `percentile` percent at the same step."""

    percentile: float = Field(default=25.0, ge=0, le=100)


class AshaPruner(Part):
    """Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934)."""

    min_resource: int = Field(default=1, ge=1)
    reduction_factor: int = Field(default=4, ge=2)
    min_early_stopping_rate: int = Field(default=0, ge=0)


class HyperbandPruner(Part):
    """Successive halving in several brackets (Li et al. 2018, arXiv 1603.06560)."""

    min_resource: int = Field(default=1, ge=1)
    max_resource: int = Field(ge=1)
    reduction_factor: int = Field(default=3, ge=2)

    @model_validator(mode="after")
    def _in_order(self) -> "HyperbandPruner":
        if self.min_resource > self.max_resource:
            raise ValueError("min_resource is at most max_resource.")
        return self


class ThresholdPruner(Part):
    """Prunes a job whose value lies outside of bounds, or is NaN."""

    lower: float | None = None
    upper: float | None = None
    warmup_steps: int = Field(default=0, ge=0)
    interval_steps: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _some_bound(self) -> "ThresholdPruner":
        if self.lower is None and self.upper is None:
            raise ValueError("a threshold has lower, upper, or both.")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError("lower is at most upper.")
        return self


PrunerParameters = MedianPruner | PercentilePruner | AshaPruner | HyperbandPruner | ThresholdPruner

PRUNERS: dict[str, type[PrunerParameters]] = {
    "median": MedianPruner,
    "percentile": PercentilePruner,
    "asha": AshaPruner,
    "hyperband": HyperbandPruner,
    "threshold": ThresholdPruner,
}


def read_pruner(form: Mapping[str, Any]) -> PrunerParameters:
    """Return the parameters of a pruner, given ``{"median": {"startup_jobs": 5}}``. Raises DefinitionError."""
    if len(form) != 1:
        raise DefinitionError('A pruner is an object with one name, as {"median": {}}.')
    ((name, parameters),) = form.items()
    if name not in PRUNERS:
        raise DefinitionError(f"There is no pruner {name!r}. {did_you_mean(name, PRUNERS)}")
    return validated(PRUNERS[name], parameters, where=f"{name}: ")
