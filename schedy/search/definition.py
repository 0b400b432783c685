"""What an experiment lays down for its search: hyperparameters, objectives, budget, pruner, and the algorithm's own.

It travels and is stored as the `settings` of an experiment. A manual experiment may have one, too, for its objectives
and its pruner.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from schedy.errors import InvalidValueError
from schedy.pbt import check_pbt
from schedy.random import Distribution, distributions_from_json, distributions_to_json
from schedy.search.space import Space
from schedy.wire.base import Line, Seconds, Uid

M = TypeVar("M", bound=BaseModel)

LARGEST_SEED = 2**63 - 1
MOST_READY = 10_000

Hyperparameters = Annotated[
    dict[str, Distribution],
    BeforeValidator(distributions_from_json),
    PlainSerializer(distributions_to_json),
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, ser_json_inf_nan="constants")


class Objective(_Part):
    """A result that is to be as small, or as large, as it can."""

    result: Line = Field(min_length=1)
    direction: Literal["minimize", "maximize"]

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is better than `other`."""
        return one < other if self.direction == "minimize" else one > other


class Constraint(_Part):
    """A bound that a result must keep."""

    result: Line = Field(min_length=1)
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> "Constraint":
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("a constraint has one of at_most and at_least")
        return self

    def violation(self, value: float) -> float:
        """Return by how much `value` breaks the bound; 0 or less where it keeps it."""
        if self.at_most is not None:
            return value - self.at_most
        return (self.at_least or 0.0) - value


class WarmStart(_Part):
    """Another experiment, whose jobs that had ended by then are observations here; the service fills in the rest."""

    experiment: str
    uid: Uid | None = None
    ended: int | None = None
    """How many of its jobs had ended when it was looked up."""


class MedianPruner(_Part):
    """Prunes what is worse than the median of the others at the same step (Golovin et al. 2017, Google Vizier)."""

    startup_jobs: int = Field(default=5, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    interval_steps: int = Field(default=1, ge=1)


class PercentilePruner(MedianPruner):
    """Prunes what is not among the best `percentile` percent at the same step."""

    percentile: float = Field(default=25.0, ge=0, le=100)


class AshaPruner(_Part):
    """Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934)."""

    min_resource: int = Field(default=1, ge=1)
    reduction_factor: int = Field(default=4, ge=2)
    min_early_stopping_rate: int = Field(default=0, ge=0)


class HyperbandPruner(_Part):
    """Successive halving in several brackets (Li et al. 2018, arXiv 1603.06560)."""

    min_resource: int = Field(default=1, ge=1)
    max_resource: int = Field(ge=1)
    reduction_factor: int = Field(default=3, ge=2)

    @model_validator(mode="after")
    def _in_order(self) -> "HyperbandPruner":
        if self.min_resource > self.max_resource:
            raise ValueError("min_resource is at most max_resource")
        return self


class ThresholdPruner(_Part):
    """Prunes what lies outside of bounds, or is not a number."""

    lower: float | None = None
    upper: float | None = None
    warmup_steps: int = Field(default=0, ge=0)
    interval_steps: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _some_bound(self) -> "ThresholdPruner":
        if self.lower is None and self.upper is None:
            raise ValueError("a threshold has lower, upper, or both")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError("lower is at most upper")
        return self


PRUNERS: dict[str, type[_Part]] = {
    "median": MedianPruner,
    "percentile": PercentilePruner,
    "asha": AshaPruner,
    "hyperband": HyperbandPruner,
    "threshold": ThresholdPruner,
}


class NoOptions(_Part):
    """An algorithm without settings of its own."""


class GridOptions(_Part):
    """`points`: how many values of each hyperparameter that has endless ones; `shuffle`: in random order."""

    points: int | dict[str, int] | None = None
    shuffle: bool = True

    def points_of(self, name: str) -> int | None:
        """How many values of a hyperparameter, None: all."""
        return self.points.get(name) if isinstance(self.points, dict) else self.points


class TpeOptions(_Part):
    """Tree-structured Parzen estimator (Bergstra et al. 2011). `startup_jobs` are random.

    `multivariate`: hyperparameters are searched together (Falkner et al. 2018), not one by one; unless told, they are
    where there is one objective.
    """

    startup_jobs: int = Field(default=10, ge=0)
    candidates: int = Field(default=24, ge=1)
    multivariate: bool | None = None


class CmaesOptions(_Part):
    """Covariance matrix adaptation (Hansen 2016, arXiv 1604.00772). `startup_jobs` are random."""

    startup_jobs: int = Field(default=1, ge=0)
    population_size: int | None = Field(default=None, ge=2)
    sigma: float | None = Field(default=None, gt=0)


class Nsga2Options(_Part):
    """Non-dominated sorting genetic algorithm II (Deb et al. 2002)."""

    population_size: int = Field(default=50, ge=2)


class GpOptions(_Part):
    """Gaussian process with expected improvement. `startup_jobs` are random."""

    startup_jobs: int = Field(default=10, ge=1)


class PbtOptions(_Part):
    """Population based training (Jaderberg et al. 2017, arXiv 1711.09846).

    `exploit` and `explore` are JSON of `schedy.pbt`: ``{"truncate": {"proportion": 0.2}}`` and, by hyperparameter,
    ``{"perturb": {"min_factor": 0.8, "max_factor": 1.2}}``.
    """

    population_size: int = Field(ge=2)
    max_generations: int = Field(ge=1)
    exploit: dict[str, Any] = {"truncate": {}}
    explore: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Rules:
    """What an algorithm of Schedy's own asks of a definition, and what it needs to be installed."""

    options: type[_Part]
    objectives: tuple[int, int]
    """The least and the most."""
    ready: int
    """How many jobs are made ahead of demand unless the definition says so: none where each result counts."""
    starts_from_others: bool = True
    """Whether the jobs of another experiment help it."""
    constraints: bool = False
    needs: tuple[str, ...] = ()
    """Modules that the results service must be able to import."""
    extra: str = ""
    """The extra of the distribution that brings them."""


_MANY = 16
_OPTUNA = ("optuna", "numpy", "scipy")

ALGORITHMS: dict[str, Rules] = {
    "random": Rules(NoOptions, (0, _MANY), ready=10, starts_from_others=False),
    "grid": Rules(GridOptions, (0, _MANY), ready=10, starts_from_others=False),
    "sobol": Rules(NoOptions, (0, _MANY), ready=10, starts_from_others=False, needs=("scipy",), extra="optuna"),
    "tpe": Rules(TpeOptions, (1, _MANY), ready=0, constraints=True, needs=_OPTUNA, extra="optuna"),
    "cmaes": Rules(CmaesOptions, (1, 1), ready=0, needs=(*_OPTUNA, "cmaes"), extra="optuna"),
    "nsga2": Rules(Nsga2Options, (2, _MANY), ready=0, constraints=True, needs=_OPTUNA, extra="optuna"),
    "gp": Rules(GpOptions, (1, 1), ready=0, constraints=True, needs=(*_OPTUNA, "torch"), extra="gp"),
    "pbt": Rules(PbtOptions, (1, 1), ready=1, starts_from_others=False),
}
"""Schedy's own algorithms. Others are found by the entry points of the group `schedy.algorithms`."""

MANUAL = "manual"
"""The scheduler of an experiment whose jobs are all pushed."""

OWN_READY = 1
"""For an algorithm of a user's own."""


class Definition(_Part):
    """The settings of an experiment. What is None is not limited, or chosen by the service (`seed`, `ready`)."""

    hyperparameters: Hyperparameters = {}
    objectives: list[Objective] = Field(default=[], max_length=_MANY)
    constraints: list[Constraint] = Field(default=[], max_length=_MANY)
    max_jobs: int | None = Field(default=None, ge=0)
    max_time: Seconds | None = None
    """Seconds since the experiment was added, after which no further job is made."""
    stop_after_no_improvement: int | None = Field(default=None, ge=1)
    """No further job is made after so many that have ended without a new best value."""
    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)
    ready: int | None = Field(default=None, ge=0, le=MOST_READY)
    """How many jobs are made ahead of demand; a worker that waits gets one in any case."""
    pruner: dict[str, Any] | None = None
    """Its name and parameters: ``{"median": {"startup_jobs": 5}}``."""
    warm_start: list[WarmStart] = Field(default=[], max_length=100)
    options: dict[str, Any] = {}
    """What is the algorithm's own."""

    @property
    def objective(self) -> Objective | None:
        """The objective where there is only one, which jobs then have as their quality."""
        return self.objectives[0] if len(self.objectives) == 1 else None

    def space(self) -> Space:
        """Return the hyperparameters together."""
        return Space(self.hyperparameters)

    def as_json(self) -> dict[str, Any]:
        """Return the definition as it is sent and stored, without what is not set."""
        return self.model_dump(mode="python", exclude_defaults=True)


def read_definition(settings: Mapping[str, Any]) -> Definition:
    """Return the definition in the settings of an experiment. Raises InvalidValueError naming what is wrong."""
    return _validated(Definition, settings, "")


def check_definition(scheduler: str, definition: Definition) -> None:
    """Raise InvalidValueError if the scheduler cannot work by this definition.

    Of an algorithm that is not Schedy's own only what all have in common is checked.
    """
    space = definition.space()
    if definition.pruner is not None:
        read_pruner(definition)
    results = [objective.result for objective in definition.objectives]
    if len(set(results)) != len(results):
        raise InvalidValueError("Two objectives have the same result.")
    if definition.stop_after_no_improvement is not None and definition.objective is None:
        raise InvalidValueError("To stop after no improvement takes one objective: --minimize or --maximize.")
    if scheduler == MANUAL:
        return _check_manual(definition)
    if not space.parameters:
        example = """x uniform '{"low": 0, "high": 1}'"""
        raise InvalidValueError(f"{scheduler} needs at least one hyperparameter, as {example}.")
    rules = ALGORITHMS.get(scheduler)
    if rules is not None:
        _check_rules(scheduler, rules, definition)
    return None


def _check_manual(definition: Definition) -> None:
    allowed = {"objectives", "pruner"}
    strange = sorted(definition.as_json().keys() - allowed)
    if strange:
        raise InvalidValueError(f"A manual experiment makes no jobs, so it has no {' or '.join(strange)}.")


def _check_rules(scheduler: str, rules: Rules, definition: Definition) -> None:
    options = read_options(scheduler, definition)
    if isinstance(options, PbtOptions):
        check_pbt(options.exploit, options.explore, definition.space().parameters)
    if isinstance(options, GridOptions):
        _check_grid(options, definition)
    least, most = rules.objectives
    count = len(definition.objectives)
    if count < least:
        wanted = "an objective" if least == 1 else f"at least {least} objectives"
        raise InvalidValueError(f"{scheduler} needs {wanted}: --minimize RESULT or --maximize RESULT.")
    if count > most:
        raise InvalidValueError(f"{scheduler} takes {most} objective, not {count}. tpe and nsga2 take several.")
    if definition.constraints and not rules.constraints:
        able = [name for name, other in ALGORITHMS.items() if other.constraints]
        raise InvalidValueError(f"{scheduler} cannot respect constraints; {', '.join(able)} can.")
    if definition.warm_start and not rules.starts_from_others:
        able = [name for name, other in ALGORITHMS.items() if other.starts_from_others]
        raise InvalidValueError(f"{scheduler} cannot start from another experiment; {', '.join(able)} can.")


def _check_grid(options: GridOptions, definition: Definition) -> None:
    for name, distribution in definition.space().parameters.items():
        if options.points_of(name) is None and distribution.count is None:
            raise InvalidValueError(
                f"grid: {name} has endless values. Say how many points to take: --option points 5, or"
                f""" --option points '{{"{name}": 5}}'."""
            )


def read_options(scheduler: str, definition: Definition) -> Any:
    """Return the options of one of Schedy's own algorithms, as its model. Raises InvalidValueError."""
    return _validated(ALGORITHMS[scheduler].options, definition.options, f"{scheduler}: ")


def read_pruner(definition: Definition) -> tuple[str, Any] | None:
    """Return the name of the pruner and its parameters as its model. Raises InvalidValueError."""
    if definition.pruner is None:
        return None
    if len(definition.pruner) != 1:
        raise InvalidValueError('A pruner is an object with one name, as {"median": {}}.')
    ((name, parameters),) = definition.pruner.items()
    model = PRUNERS.get(name)
    if model is None:
        raise InvalidValueError(f"There is no pruner {name!r}. {_close(name, PRUNERS)}")
    if definition.objective is None:
        raise InvalidValueError("A pruner needs one objective: --minimize RESULT or --maximize RESULT.")
    return name, _validated(model, parameters, f"{name}: ")


def _close(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."


def unknown_algorithm(name: str, known: Iterable[str]) -> InvalidValueError:
    """Return the error for a scheduler that nobody knows."""
    return InvalidValueError(f"There is no scheduler {name!r}. {_close(name, known)}")


def _validated(model: type[M], values: Any, where: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidValueError(where + _fault(error, model)) from None


def _fault(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault in words."""
    fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields) or "none"
        return f"{place} is unknown." if "." in place else f"there is no setting {place!r}; there are: {known}."
    if fault["type"] == "missing":
        return f"{place} is missing."
    if fault["type"] == "value_error":
        text = str(fault["ctx"]["error"]) if "ctx" in fault else fault["msg"]
        return text if not place or place == "hyperparameters" else f"{place}: {text}."
    return f"{place}: {fault['msg']}."


def observed(definition: Definition, results: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Return the values of the objectives in the results of a job, None unless all are numbers and not NaN."""
    values = [as_observation(results.get(objective.result)) for objective in definition.objectives]
    found = tuple(value for value in values if value is not None)
    return found if len(found) == len(values) else None


def as_observation(value: Any) -> float | None:
    """Return a result as an algorithm takes it: a number that is not NaN, else None. Infinity is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.copysign(math.inf, value)
    return None if math.isnan(number) else number
