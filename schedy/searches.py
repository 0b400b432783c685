"""Experiments by where their jobs come from: their users, or a search algorithm."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from schedy.errors import InvalidValueError
from schedy.experiments import Experiment, Fixed
from schedy.pbt import Perturb, Truncate
from schedy.random import Distribution
from schedy.search.checks import pruner_form
from schedy.search.definition import Constraint, Definition, read_definition
from schedy.search.options import options_of
from schedy.wire.base import ExperimentStatus, check_experiment_name
from schedy.wire.records import ExperimentRecord, Limits
from schedy.wire.values import plain_values

if TYPE_CHECKING:
    from schedy.database import SchedyDB

Names = str | Sequence[str]
Distributions = Mapping[str, Distribution | Mapping[str, Any]]
"""By the names of the hyperparameters; a distribution may be given as its JSON."""


class LimitSettings(TypedDict, total=False):
    """What the jobs of an experiment may cost; see `schedy.wire.messages.Limits`."""

    max_attempts: int | None
    job_timeout: float | None
    stall_timeout: float | None
    retry_timeouts: bool


class ManualSettings(LimitSettings, total=False):
    """What `ManualSearch` takes as keywords."""

    minimize: Names
    """A result that is to be as small as it can, or several."""
    maximize: Names
    pruner: str | Mapping[str, Any] | None
    """Its name, or name and parameters: ``{"median": {"startup_jobs": 5}}``."""


class SearchSettings(ManualSettings, total=False):
    """What every search takes as keywords, beside the options of its algorithm."""

    status: ExperimentStatus
    constraints: Iterable[Constraint | Mapping[str, Any]]
    max_jobs: int | None
    max_time: float | None
    """Seconds since the experiment was added."""
    stop_after_no_improvement: int | None
    seed: int | None
    ready: int | None
    """How many jobs are made ahead of demand."""
    from_experiment: Names
    """Experiments whose jobs that have ended are observations of this one from the start."""


class GridSettings(SearchSettings, total=False):
    """What `GridSearch` takes."""

    points: int | Mapping[str, int] | None
    shuffle: bool


class TPESettings(SearchSettings, total=False):
    """What `TPESearch` takes."""

    startup_jobs: int
    candidates: int
    multivariate: bool


class CMAESSettings(SearchSettings, total=False):
    """What `CMAESSearch` takes."""

    startup_jobs: int
    population_size: int | None
    sigma: float | None


class NSGA2Settings(SearchSettings, total=False):
    """What `NSGA2Search` takes."""

    population_size: int


class GPSettings(SearchSettings, total=False):
    """What `GPSearch` takes."""

    startup_jobs: int


_EXPERIMENT_SETTINGS = frozenset({"status", *Limits.model_fields})
_DIRECTIONS = ("minimize", "maximize")


class ManualSearch(Experiment):
    """An experiment whose jobs are all pushed by its users."""

    scheduler = "manual"

    def __init__(self, name: str, status: ExperimentStatus = "RUNNING", **settings: Unpack[ManualSettings]) -> None:
        _check_keywords(type(self), settings, ManualSettings.__optional_keys__)
        super().__init__(name, status, definition=_definition(settings), **_of_experiment(settings))


class Search(Experiment):
    """An experiment whose jobs an algorithm makes, Schedy's own or one of a user's.

    `max_jobs`, `max_time`, `stop_after_no_improvement`, `ready` and `pruner` may be written, too, and `push_updates`
    sends them; all else of the search is laid down when it is made.
    """

    hyperparameters = Fixed[dict[str, Distribution]]()
    constraints = Fixed[list[Constraint]]()
    seed = Fixed[int | None]()
    options = Fixed[dict[str, Any]]()

    def __init__(
        self,
        name: str,
        scheduler: str,
        hyperparameters: Distributions,
        options: Mapping[str, Any] | None = None,
        **settings: Unpack[SearchSettings],
    ) -> None:
        """Raises InvalidValueError saying what the algorithm cannot work by."""
        _check_keywords(type(self), settings, SearchSettings.__optional_keys__)
        self.scheduler = scheduler
        definition = _definition(settings, hyperparameters, options or {})
        super().__init__(name, definition=definition, **_of_experiment(settings))

    @property
    def from_experiment(self) -> list[str]:
        """The experiments that it learns from."""
        return [start.experiment for start in self.definition.warm_start]

    @property
    def max_jobs(self) -> int | None:
        """So many jobs are made; None: no limit."""
        return self.definition.max_jobs

    @max_jobs.setter
    def max_jobs(self, max_jobs: int | None) -> None:
        self.redefine(max_jobs=max_jobs)

    @property
    def max_time(self) -> float | None:
        """Seconds since the experiment was added, after which no job is made; None: no limit."""
        return self.definition.max_time

    @max_time.setter
    def max_time(self, max_time: float | None) -> None:
        self.redefine(max_time=max_time)

    @property
    def stop_after_no_improvement(self) -> int | None:
        """No job is made after so many that ended without a new best value; None: no limit."""
        return self.definition.stop_after_no_improvement

    @stop_after_no_improvement.setter
    def stop_after_no_improvement(self, jobs: int | None) -> None:
        self.redefine(stop_after_no_improvement=jobs)

    @property
    def ready(self) -> int | None:
        """How many jobs are made ahead of demand; None: as the algorithm is best served."""
        return self.definition.ready

    @ready.setter
    def ready(self, ready: int | None) -> None:
        self.redefine(ready=ready)


class _Algorithm(Search):
    """A search by one of Schedy's own algorithms, whose options are keywords among the others."""

    def __init__(self, name: str, hyperparameters: Distributions, settings: Mapping[str, Any]) -> None:
        known = options_of(self.scheduler).model_fields
        _check_keywords(type(self), settings, SearchSettings.__optional_keys__ | known.keys())
        options = {key: value for key, value in settings.items() if key in known}
        others = {key: value for key, value in settings.items() if key not in known}
        super().__init__(name, self.scheduler, hyperparameters, options, **others)


class RandomSearch(_Algorithm):
    """Independent random draws."""

    scheduler = "random"

    def __init__(self, name: str, distributions: Distributions, **settings: Unpack[SearchSettings]) -> None:
        super().__init__(name, distributions, settings)


class GridSearch(_Algorithm):
    """Every combination once. `points`: how many values of a hyperparameter that has endless ones."""

    scheduler = "grid"

    def __init__(self, name: str, distributions: Distributions, **settings: Unpack[GridSettings]) -> None:
        super().__init__(name, distributions, settings)


class SobolSearch(_Algorithm):
    """Quasi-random points, which cover the space more evenly than random ones."""

    scheduler = "sobol"

    def __init__(self, name: str, distributions: Distributions, **settings: Unpack[SearchSettings]) -> None:
        super().__init__(name, distributions, settings)


class TPESearch(_Algorithm):
    """Tree-structured Parzen estimator."""

    scheduler = "tpe"

    def __init__(self, name: str, distributions: Distributions, **settings: Unpack[TPESettings]) -> None:
        super().__init__(name, distributions, settings)


class CMAESSearch(_Algorithm):
    """Covariance matrix adaptation."""

    scheduler = "cmaes"

    def __init__(self, name: str, distributions: Distributions, **settings: Unpack[CMAESSettings]) -> None:
        super().__init__(name, distributions, settings)


class NSGA2Search(_Algorithm):
    """Non-dominated sorting genetic algorithm II, for several objectives."""

    scheduler = "nsga2"

    def __init__(self, name: str, distributions: Distributions, **settings: Unpack[NSGA2Settings]) -> None:
        super().__init__(name, distributions, settings)


class GPSearch(_Algorithm):
    """Gaussian process with expected improvement."""

    scheduler = "gp"

    def __init__(self, name: str, distributions: Distributions, **settings: Unpack[GPSettings]) -> None:
        super().__init__(name, distributions, settings)


class PopulationBasedTraining(_Algorithm):
    """Population based training: the worst of a generation go on from the best, with hyperparameters changed.

    `objective` is `schedy.pbt.MINIMIZE` or `MAXIMIZE`, `explore` says by hyperparameter how it is changed.
    """

    scheduler = "pbt"

    def __init__(  # noqa: PLR0917 - laid down by the original client
        self,
        name: str,
        objective: str,
        result_name: str,
        exploit: Truncate | Mapping[str, Any] = Truncate(),  # noqa: B008 - immutable
        explore: Mapping[str, Perturb | Mapping[str, Any]] | None = None,
        initial_distributions: Distributions | None = None,
        population_size: int | None = None,
        max_generations: int | None = None,
        **settings: Unpack[SearchSettings],
    ) -> None:
        if objective not in _DIRECTIONS:
            raise InvalidValueError(f"The objective is schedy.pbt.MINIMIZE or schedy.pbt.MAXIMIZE, not {objective!r}.")
        for direction in _DIRECTIONS:
            if direction in settings:
                raise TypeError(f"PopulationBasedTraining has its objective already, and takes no {direction!r}.")
        options = {
            "population_size": population_size,
            "max_generations": max_generations,
            "exploit": _strategy_form(exploit),
            "explore": {each: _strategy_form(strategy) for each, strategy in (explore or {}).items()},
        }
        given = {key: value for key, value in options.items() if value is not None}
        super().__init__(name, initial_distributions or {}, {**settings, objective: result_name, **given})


def _strategy_form(strategy: Truncate | Perturb | Mapping[str, Any]) -> Mapping[str, Any]:
    return strategy if isinstance(strategy, Mapping) else strategy.to_json()


def _check_keywords(kind: type, settings: Mapping[str, Any], known: Iterable[str]) -> None:
    known = sorted(known)
    for key in settings:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(known)}."
            raise TypeError(f"{kind.__name__} takes no {key!r}.{hint}")


def _of_experiment(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key in _EXPERIMENT_SETTINGS}


def _definition(
    settings: Mapping[str, Any], hyperparameters: Distributions | None = None, options: Mapping[str, Any] | None = None
) -> Definition:
    """Return the definition that the keywords of a class stand for. Raises InvalidValueError."""
    special = {*_EXPERIMENT_SETTINGS, *_DIRECTIONS, "pruner", "from_experiment", "constraints"}
    return read_definition(
        {
            "hyperparameters": hyperparameters or {},
            "objectives": [
                {"result": result, "direction": direction}
                for direction in _DIRECTIONS
                for result in _names(settings.get(direction))
            ],
            "constraints": list(settings.get("constraints", ())),
            "pruner": pruner_form(settings.get("pruner")),
            "warm_start": warm_start_form(_names(settings.get("from_experiment"))),
            "options": plain_values(options or {}),
            **{key: value for key, value in settings.items() if key not in special},
        }
    )


def _names(names: Names | None) -> Sequence[str]:
    return [names] if isinstance(names, str) else names or []


def warm_start_form(experiments: Iterable[str]) -> list[dict[str, str]]:
    """Return experiments to start from as a definition has them. Raises InvalidValueError for what is no name."""
    return [{"experiment": check_experiment_name(name)} for name in experiments]


_KINDS: dict[str, type[Experiment]] = {
    kind.scheduler: kind
    for kind in (
        ManualSearch,
        RandomSearch,
        GridSearch,
        SobolSearch,
        TPESearch,
        CMAESSearch,
        NSGA2Search,
        GPSearch,
        PopulationBasedTraining,
    )
}


def experiment_from_record(db: "SchedyDB", record: ExperimentRecord) -> Experiment:
    """Return the experiment, typed by its scheduler: `Search` for one that Schedy does not have itself."""
    return _KINDS.get(record.scheduler, Search).from_record(db, record)
