"""The definition of a search: its hyperparameters, objectives, budget and pruner, and the options of its algorithm.

It travels and is stored as the `settings` of an experiment. A manual experiment may have one, too, for its objectives
and its pruner.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StrictBool, model_validator

from schedy.errors import InvalidValueError
from schedy.random import Distribution, distributions_from_json, distributions_to_json
from schedy.search.algorithms import MOST_OBJECTIVES
from schedy.search.expressions import Expression, read_expression
from schedy.search.models import Part, validated
from schedy.search.space import Space
from schedy.wire.base import Line, Seconds, Uid
from schedy.wire.values import as_float

LARGEST_SEED = 2**63 - 1
MOST_READY = 10_000
DEFAULT_NO_RESULT = 5
DEFAULT_CRASHES = 10
SPACE = ("hyperparameters", "where", "assumed")
"""Settings that say where a search goes."""
CHANGEABLE = (
    *("max_jobs", "max_done", "max_time", "stop_at", "stop_after_no_improvement", "stop_after_no_result"),
    *("stop_after_crashes", "ready", "pruner", *SPACE),
)
"""Settings that can be changed once an experiment exists."""

Hyperparameters = Annotated[
    dict[str, Distribution],
    BeforeValidator(distributions_from_json),
    PlainSerializer(distributions_to_json),
]


def _readable(text: str) -> str:
    return read_expression(text).text


class Objective(Part):
    """A result to be minimized or maximized."""

    result: Line = Field(min_length=1)
    direction: Literal["minimize", "maximize"]

    def better(self, one: float, other: float) -> bool:
        """Return True if `one` is better than `other`."""
        return one < other if self.direction == "minimize" else one > other


class Constraint(Part):
    """A bound that a result must keep."""

    result: Line = Field(min_length=1)
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> "Constraint":
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("a constraint has one of at_most and at_least")
        return self

    def __str__(self) -> str:
        sign, bound = ("<=", self.at_most) if self.at_most is not None else (">=", self.at_least)
        return f"{self.result} {sign} {bound:g}"

    def violation(self, value: float) -> float:
        """Return by how much `value` breaks the bound; 0 or less where it keeps it."""
        if self.at_most is not None:
            return value - self.at_most
        return (self.at_least or 0.0) - value


class WarmStart(Part):
    """Another experiment, whose jobs that had ended by then are observations here; the service fills in the rest."""

    experiment: str
    uid: Uid | None = None
    ended: int | None = None
    """Number of its jobs that had ended when it was looked up."""


class Definition(Part):
    """The settings of an experiment. None stands for no limit, or for the service's choice (`seed`, `ready`)."""

    hyperparameters: Hyperparameters = Field(default={})
    objectives: list[Objective] = Field(default=[], max_length=MOST_OBJECTIVES)
    constraints: list[Constraint] = Field(default=[], max_length=MOST_OBJECTIVES)
    where: list[Annotated[str, AfterValidator(_readable)]] = Field(default=[], max_length=100)
    """Conditions among hyperparameters, which every job that is made keeps."""
    assumed: dict[str, Any] = Field(default={})
    """Values of hyperparameters for jobs that lack them: those made before, those of other experiments."""
    repeats: int = Field(default=1, ge=1, le=1000)
    """Number of jobs at each point; the algorithm learns from their mean."""
    max_jobs: int | None = Field(default=None, ge=0)
    max_time: Seconds | None = None
    """Seconds since the experiment was added."""
    stop_after_no_improvement: int | None = Field(default=None, ge=1)
    """Number of jobs that have ended without a new best value."""
    stop_after_no_result: int | None = Field(default=DEFAULT_NO_RESULT, ge=1)
    """Number of made jobs in a row that were DONE without the result of an objective."""
    stop_after_crashes: int | None = Field(default=DEFAULT_CRASHES, ge=1)
    """Number of made jobs that were the first to end, and were all CRASHED."""
    stop_at: list[Constraint] = Field(default=[], max_length=MOST_OBJECTIVES)
    """No job is made once one was DONE that keeps all of these bounds, and all constraints."""
    max_done: int | None = Field(default=None, ge=0)
    """Number of made jobs that have ended and were not CRASHED."""
    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)
    ready: int | None = Field(default=None, ge=0, le=MOST_READY)
    """Number of jobs made ahead of demand; a worker that waits gets one in any case."""
    pruner: dict[str, Any] | None = None
    """Its name and parameters: ``{"median": {"startup_jobs": 5}}``."""
    warm_start: list[WarmStart] = Field(default=[], max_length=100)
    options: dict[str, Any] = Field(default={})
    """Options of the algorithm."""
    exact: StrictBool = False
    """The same hyperparameters give the same results."""
    no_repeats: StrictBool | None = None
    """No point is tried twice. None: where results are exact and the space is finite."""

    @property
    def avoids_repeats(self) -> bool:
        """Whether no point is tried twice."""
        return self.exact and self.space().count is not None if self.no_repeats is None else self.no_repeats

    @property
    def objective(self) -> Objective | None:
        """The objective where there is only one; its value is then the quality of a job."""
        return self.objectives[0] if len(self.objectives) == 1 else None

    @property
    def conditions(self) -> list[Expression]:
        """The conditions of `where`."""
        return [read_expression(text) for text in self.where]

    def space(self) -> Space:
        """Return the hyperparameters together."""
        return Space(self.hyperparameters)

    def as_json(self) -> dict[str, Any]:
        """Return the definition as it is sent and stored, without defaults."""
        return self.model_dump(mode="python", exclude_defaults=True)


def read_definition(settings: Mapping[str, Any]) -> Definition:
    """Return the definition in the settings of an experiment. Raises DefinitionError naming the setting at fault."""
    return validated(Definition, settings)


def definition_or_empty(settings: Mapping[str, Any]) -> Definition:
    """Return the definition in settings, an empty one if a later version of Schedy has stored it."""
    try:
        return read_definition(settings)
    except InvalidValueError:
        return Definition()


def observed(definition: Definition, results: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Return the values of the objectives in the results of a job, None unless all are numbers and not NaN."""
    values = [as_observation(results.get(objective.result)) for objective in definition.objectives]
    found = tuple(value for value in values if value is not None)
    return found if len(found) == len(values) else None


def missing_result(definition: Definition, results: Mapping[str, Any]) -> str | None:
    """Return the first objective of which a job has no number, not even NaN; None if it has all."""
    for objective in definition.objectives:
        value = results.get(objective.result)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return objective.result
    return None


def as_observation(value: Any) -> float | None:
    """Return a result as an algorithm takes it: a number that is not NaN, else None. Infinity is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = as_float(value)
    return None if math.isnan(number) else number
