"""Searches by Schedy's own algorithms, and experiments as they are read."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, InitVar, field
from typing import TYPE_CHECKING, Any

from schedy.configured import DISTRIBUTIONS_DOC, Distributions, ManualSearch, Names, Search
from schedy.errors import InvalidValueError
from schedy.experiments import Experiment
from schedy.parameters import Option, Setting, documented, experiment_class
from schedy.pbt import Perturb, Truncate
from schedy.random import Distribution
from schedy.search.algorithms import ALGORITHMS, MANUAL
from schedy.search.options import (
    CmaesOptions,
    GpOptions,
    GridOptions,
    Nsga2Options,
    PbtOptions,
    TpeOptions,
)
from schedy.wire.records import ExperimentRecord

if TYPE_CHECKING:
    from schedy.database import SchedyDB


@experiment_class
class _OwnSearch(Search):
    """A search by one of Schedy's own algorithms: the class names the algorithm, and options are keywords."""

    scheduler: str = field(init=False)
    hyperparameters: Setting[dict[str, Distribution], Distributions] = field(init=False)
    options: Setting[dict[str, Any], Mapping[str, Any] | None] = field(init=False)


@experiment_class
class _OverDistributions(_OwnSearch):
    distributions: InitVar[Distributions] = field(metadata=documented(DISTRIBUTIONS_DOC))

    def __post_init__(self, name: str, distributions: Distributions) -> None:
        self.hyperparameters = distributions
        super().__post_init__(name)


@experiment_class
class AutoSearch(_OverDistributions):
    """A Gaussian process and a tree-structured Parzen estimator in turns, after quasi-random points.

    Needs one objective or several; with several, with branches and with many choices the trees go on alone.
    """

    scheduler = "auto"


@experiment_class
class RandomSearch(_OverDistributions):
    """Independent random draws (Bergstra and Bengio 2012). `minimize` and `maximize` are optional."""

    scheduler = "random"


@experiment_class
class GridSearch(_OverDistributions):
    """Every combination of values once, at most 10,000,000. `minimize` and `maximize` are optional."""

    scheduler = "grid"
    _: KW_ONLY
    points: Option[int | dict[str, int] | None, int | Mapping[str, int] | None] = Option(GridOptions, "points")
    shuffle: Option[bool, bool] = Option(GridOptions, "shuffle")


@experiment_class
class SobolSearch(_OverDistributions):
    """Quasi-random points, which cover the space more evenly than random ones (Sobol' 1967).

    `minimize` and `maximize` are optional.
    """

    scheduler = "sobol"


@experiment_class
class TPESearch(_OverDistributions):
    """Tree-structured Parzen estimator (Bergstra et al. 2011). Needs one objective or several."""

    scheduler = "tpe"
    _: KW_ONLY
    startup_jobs: Option[int, int] = Option(TpeOptions, "startup_jobs")
    candidates: Option[int, int] = Option(TpeOptions, "candidates")
    multivariate: Option[bool | None, bool | None] = Option(TpeOptions, "multivariate")


@experiment_class
class CMAESSearch(_OverDistributions):
    """Covariance matrix adaptation (Hansen 2016, arXiv 1604.00772). Needs one objective."""

    scheduler = "cmaes"
    _: KW_ONLY
    startup_jobs: Option[int, int] = Option(CmaesOptions, "startup_jobs")
    population_size: Option[int | None, int | None] = Option(CmaesOptions, "population_size")
    sigma: Option[float | None, float | None] = Option(CmaesOptions, "sigma")


@experiment_class
class NSGA2Search(_OverDistributions):
    """Non-dominated sorting genetic algorithm II (Deb et al. 2002). Needs two objectives or more."""

    scheduler = "nsga2"
    _: KW_ONLY
    population_size: Option[int, int] = Option(Nsga2Options, "population_size")


@experiment_class
class GPSearch(_OverDistributions):
    """Gaussian process with expected improvement (Jones et al. 1998). Needs one objective."""

    scheduler = "gp"
    _: KW_ONLY
    startup_jobs: Option[int, int] = Option(GpOptions, "startup_jobs")


def _strategy_form(strategy: Truncate | Perturb | Mapping[str, Any]) -> Mapping[str, Any]:
    return strategy.to_json() if isinstance(strategy, Truncate | Perturb) else strategy


def _explore_form(explore: Mapping[str, Perturb | Mapping[str, Any]] | None) -> Mapping[str, Any]:
    return {name: _strategy_form(strategy) for name, strategy in (explore or {}).items()}


@experiment_class
class PopulationBasedTraining(_OwnSearch):
    """Population based training (Jaderberg et al. 2017, arXiv 1711.09846).

    When a job ends, the next job of its member continues from it; a member among the worst continues from one of the
    best instead, with its hyperparameters changed.
    """

    scheduler = "pbt"
    minimize: Setting[list[str], Names] = field(init=False)
    maximize: Setting[list[str], Names] = field(init=False)
    exact: Setting[bool, bool] = field(init=False)
    no_repeats: Setting[bool, bool | None] = field(init=False)
    objective: InitVar[str] = field(metadata=documented("Direction: schedy.pbt.MINIMIZE or schedy.pbt.MAXIMIZE."))
    result_name: InitVar[str] = field(metadata=documented("Result to minimize or maximize."))
    exploit: Option[dict[str, Any], Truncate | Mapping[str, Any]] = Option(
        PbtOptions, "exploit", default=Truncate(), form=_strategy_form
    )
    explore: Option[dict[str, Any], Mapping[str, Perturb | Mapping[str, Any]] | None] = Option(
        PbtOptions, "explore", default=None, form=_explore_form
    )
    initial_distributions: InitVar[Distributions | None] = field(
        default=None, metadata=documented(f"{DISTRIBUTIONS_DOC} None: the members are pushed.")
    )
    population_size: Option[int | None, int | None] = Option(PbtOptions, "population_size")
    max_generations: Option[int | None, int | None] = Option(PbtOptions, "max_generations")

    def __post_init__(
        self, name: str, objective: str, result_name: str, initial_distributions: Distributions | None
    ) -> None:
        if objective == "minimize":
            self.minimize = result_name
        elif objective == "maximize":
            self.maximize = result_name
        else:
            raise InvalidValueError(f"The objective is schedy.pbt.MINIMIZE or schedy.pbt.MAXIMIZE, not {objective!r}.")
        self.hyperparameters = initial_distributions or {}
        super().__post_init__(name)


_KINDS: dict[str, type[Experiment]] = {
    MANUAL: ManualSearch,
    **{name: globals()[algorithm.class_name] for name, algorithm in ALGORITHMS.items()},
}


def experiment_from_record(db: "SchedyDB", record: ExperimentRecord) -> Experiment:
    """Return the experiment, typed by its scheduler: `Search` for an algorithm that is not Schedy's own."""
    return _KINDS.get(record.scheduler, Search).from_record(db, record)
