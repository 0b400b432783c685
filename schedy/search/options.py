"""Options of Schedy's own algorithms, one model for each algorithm that has any."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field

from schedy.close_names import did_you_mean
from schedy.errors import InvalidValueError
from schedy.pbt import exploit_from_json, explore_from_json
from schedy.random import Distribution, Numeric
from schedy.search.errors import DefinitionError, Setting
from schedy.search.models import Part, validated

_OPTIONS: dict[str, type["Options"]] = {}


def options_of(algorithm: str) -> type["Options"]:
    """Return the model of the options of an algorithm."""
    return _OPTIONS.get(algorithm, Options)


class Options(Part):
    """The options of an algorithm, none by default. A subclass is entered for its algorithm when it is defined."""

    algorithm: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **_settings: Any) -> None:
        _OPTIONS[cls.algorithm] = cls

    @classmethod
    def read(cls, options: Mapping[str, Any], *, algorithm: str | None = None) -> Self:
        """Return the options in a definition. Raises DefinitionError naming the option at fault."""
        return validated(cls, options, where=f"{algorithm or cls.algorithm}: ", of_algorithm=True)

    def check(self, hyperparameters: Mapping[str, Distribution]) -> None:
        """Raise DefinitionError if these hyperparameters cannot be searched with these options."""


class GridOptions(Options):
    """Options of grid search."""

    algorithm: ClassVar[str] = "grid"
    points: int | dict[str, int] | None = Field(
        default=None,
        description="Number of values of a hyperparameter that has endless values: one number for all, or a mapping"
        " from hyperparameter to number. With it `Int` and `QUniform` take that many, too. None: all values.",
    )
    shuffle: bool = Field(
        default=True,
        description="True: random order. False: the last hyperparameter changes fastest.",
    )

    def points_of(self, name: str) -> int | None:
        """Return the number of values of a hyperparameter, None for all."""
        return self.points.get(name) if isinstance(self.points, dict) else self.points

    def check(self, hyperparameters: Mapping[str, Distribution]) -> None:
        for name, distribution in hyperparameters.items():
            if self.points_of(name) is None and distribution.count is None:
                points = Setting("points", (5, {name: 5}), of_algorithm=True)
                raise DefinitionError(f"grid: {name} has endless values. Set the number to take: ", points, ".")


class TpeOptions(Options):
    """Options of the tree-structured Parzen estimator."""

    algorithm: ClassVar[str] = "tpe"
    startup_jobs: int = Field(default=10, ge=0, description="Jobs are random until this many have ended with a value.")
    candidates: int = Field(default=24, ge=1, description="Number of points each suggestion is chosen from.")
    multivariate: bool | None = Field(
        default=None,
        description="True: search hyperparameters together (Falkner et al. 2018). False: one by one."
        " None: together where there is one objective.",
    )


class CmaesOptions(Options):
    """Options of covariance matrix adaptation."""

    algorithm: ClassVar[str] = "cmaes"
    startup_jobs: int = Field(default=1, ge=0, description="Jobs are random until this many have ended with a value.")
    population_size: int | None = Field(
        default=None, ge=2, description="Jobs of a generation. None: chosen by the number of hyperparameters."
    )
    sigma: float | None = Field(
        default=None, gt=0, description="Initial standard deviation. None: chosen by the ranges."
    )


class Nsga2Options(Options):
    """Options of the non-dominated sorting genetic algorithm."""

    algorithm: ClassVar[str] = "nsga2"
    population_size: int = Field(default=50, ge=2, description="Jobs of a generation.")


class GpOptions(Options):
    """Options of the Gaussian process."""

    algorithm: ClassVar[str] = "gp"
    startup_jobs: int = Field(default=10, ge=1, description="Jobs are random until this many have ended with a value.")


class PbtOptions(Options):
    """Options of population based training.

    `exploit` and `explore` are JSON of `schedy.pbt`: ``{"truncate": {"proportion": 0.2}}`` and, by hyperparameter,
    ``{"perturb": {"min_factor": 0.8, "max_factor": 1.2}}``.
    """

    algorithm: ClassVar[str] = "pbt"
    population_size: int | None = Field(
        default=None,
        ge=2,
        description="Number of members, each of which has one job at a time. None: 20, or as many as are pushed where"
        " there are no distributions.",
    )
    max_generations: int | None = Field(
        default=None, ge=1, description="Number of jobs that each member has, one after the other. None: no limit."
    )
    exploit: dict[str, Any] = Field(
        default={"truncate": {}}, description="Selection of the members that continue from the job of a better one."
    )
    explore: dict[str, dict[str, Any]] = Field(
        default={}, description="Change of each hyperparameter then, by its name; others stay as they are."
    )

    def check(self, hyperparameters: Mapping[str, Distribution]) -> None:
        exploit, explore = (Setting(name, of_algorithm=True) for name in ("exploit", "explore"))
        try:
            exploit_from_json(self.exploit)
        except InvalidValueError as error:
            raise DefinitionError(exploit, f": {error}") from None
        for name, form in self.explore.items():
            if hyperparameters and name not in hyperparameters:
                hint = did_you_mean(name, hyperparameters)
                raise DefinitionError(explore, f": there is no hyperparameter {name!r}. {hint}")
            if hyperparameters and not isinstance(hyperparameters[name], Numeric):
                kind = hyperparameters[name].kind
                raise DefinitionError(explore, f": {name} is a {kind}; only numbers are perturbed.")
            try:
                explore_from_json(form)
            except InvalidValueError as error:
                raise DefinitionError(explore, f": {name}: {error}") from None
