"""Experiments by their settings: those whose jobs are pushed, and searches by an algorithm of any name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, InitVar, field
from typing import Any

from schedy.experiments import Experiment
from schedy.parameters import Setting, documented, experiment_class, take_given
from schedy.random import Distribution, distributions_from_json, distributions_to_json
from schedy.search.algorithms import MANUAL
from schedy.search.checks import pruner_form, warm_start_form
from schedy.search.definition import DEFAULT_CRASHES, DEFAULT_NO_RESULT, Constraint, Definition, read_definition
from schedy.wire.base import ExperimentStatus
from schedy.wire.values import plain_values

Names = str | Sequence[str]
Distributions = Mapping[str, Distribution | Mapping[str, Any] | str]
"""By the names of the hyperparameters; a distribution may be given as its JSON, or in its short form."""
PrunerForm = str | Mapping[str, Any] | None
ConstraintForm = Constraint | Mapping[str, Any]

_DIRECTIONS = ("minimize", "maximize")
_STATUS = "RUNNING, or DONE: no job is handed out."
DISTRIBUTIONS_DOC = (
    "Distribution of each hyperparameter by its name: schedy.random.Uniform(0, 1), ... or 'uniform(0, 1)', or JSON:"
    " {'uniform': {'low': 0, 'high': 1}}."
)


def _objectives(direction: str) -> Callable[[Definition], list[str]]:
    return lambda definition: [each.result for each in definition.objectives if each.direction == direction]


def _distribution_forms(distributions: Distributions) -> dict[str, Any]:
    return distributions_to_json(distributions_from_json(distributions))


def _unchanged(value: Any) -> Any:
    return value


@experiment_class
class _Configured(Experiment):
    """The parameters that all experiments have."""

    name: InitVar[str] = field(
        metadata=documented("Name of the experiment: 1 to 200 bytes, no control characters, no '-' in front.")
    )
    _: KW_ONLY
    status: ExperimentStatus = field(default="RUNNING", metadata=documented(_STATUS))
    minimize: Setting[list[str], Names] = Setting(
        "Result to minimize, or a list of several.", default=(), read=_objectives("minimize")
    )
    maximize: Setting[list[str], Names] = Setting(
        "Result to maximize, or a list of several.", default=(), read=_objectives("maximize")
    )
    pruner: Setting[dict[str, Any] | None, PrunerForm] = Setting(
        "Pruner, which ends jobs that do badly: its name, or its name and parameters, as"
        " {'median': {'startup_jobs': 5}}. Needs one objective. None: no job is pruned.",
        default=None,
        read=lambda definition: definition.pruner,
        write=pruner_form,
    )
    max_attempts: int | None = field(
        default=None,
        metadata=documented(
            "A job is CRASHED after this many lost workers, at least 1. None: the service's setting, 3 by default."
        ),
    )
    job_timeout: float | None = field(
        default=None, metadata=documented("Stop a job that runs for longer, in seconds. None: no limit.")
    )
    stall_timeout: float | None = field(
        default=None,
        metadata=documented("Stop a job that goes without a `put` for longer, in seconds. None: no limit."),
    )
    retry_timeouts: bool = field(
        default=False,
        metadata=documented(
            "True: a job that was stopped for its time is tried again while attempts are left. False: it is CRASHED."
        ),
    )

    def __post_init__(self, name: str) -> None:
        Experiment.__init__(
            self,
            name,
            self.status,
            definition=_definition(take_given(self)),
            max_attempts=self.max_attempts,
            job_timeout=self.job_timeout,
            stall_timeout=self.stall_timeout,
            retry_timeouts=self.retry_timeouts,
        )


@experiment_class
class ManualSearch(_Configured):
    """An experiment whose jobs are all pushed by its users.

    Raises InvalidValueError for a value that cannot be used. `status`, `pruner` and the limits may be written
    afterwards; `push_updates` sends them.
    """

    scheduler = MANUAL
    status: ExperimentStatus = field(default="RUNNING", metadata=documented(_STATUS))


@experiment_class
class Search(_Configured):
    """An experiment whose jobs are made by an algorithm of your own, installed where the results service runs.

    Base class of the searches by Schedy's own algorithms. Raises InvalidValueError for a value that cannot be used.
    `status`, `max_jobs`, `max_done`, `max_time`, `stop_at`, `stop_after_no_improvement`, `stop_after_no_result`,
    `stop_after_crashes`, `ready`, `pruner`, the limits, and of most algorithms `hyperparameters`, `where` and `assumed`
    may be written afterwards, and `push_updates` sends them; the other settings raise AttributeError.
    """

    scheduler: str = field(metadata=documented("Name of the algorithm's entry point."))
    hyperparameters: Setting[dict[str, Distribution], Distributions] = Setting(
        DISTRIBUTIONS_DOC, read=lambda definition: definition.hyperparameters, write=_distribution_forms
    )
    options: Setting[dict[str, Any], Mapping[str, Any] | None] = Setting(
        "Options of the algorithm: JSON values by name. None: none.",
        default=None,
        read=lambda definition: definition.options,
    )
    _: KW_ONLY
    constraints: Setting[list[Constraint], Iterable[ConstraintForm]] = Setting(
        "Bounds that results must keep: {'result': 'latency', 'at_most': 10}, or 'at_least'.",
        default=(),
        read=lambda definition: definition.constraints,
    )
    where: Setting[list[str], Names] = Setting(
        "Condition among hyperparameters that every job that is made keeps, 'batch_size * accumulate <= 256', or a list"
        " of several.",
        default=(),
        read=lambda definition: definition.where,
        write=lambda names: list(_names(names)),
    )
    assumed: Setting[dict[str, Any], Mapping[str, Any] | None] = Setting(
        "Values of hyperparameters for jobs that lack them, by name: those that were made before the hyperparameter was"
        " added, and those of other experiments. None: none.",
        default=None,
        read=lambda definition: definition.assumed,
        write=lambda values: dict(values or {}),
    )
    repeats: Setting[int, int] = Setting(
        "Number of jobs at each point, from 1 to 1000: the search learns from the mean of their results.",
        default=1,
        read=lambda definition: definition.repeats,
    )
    max_jobs: Setting[int | None, int | None] = Setting(
        "Stop making jobs after this many, at least 0. None: no limit.",
        default=None,
        read=lambda definition: definition.max_jobs,
        write=_unchanged,
    )
    max_time: Setting[float | None, float | None] = Setting(
        "Stop making jobs this many seconds after the experiment was added. None: no limit.",
        default=None,
        read=lambda definition: definition.max_time,
        write=_unchanged,
    )
    stop_after_no_improvement: Setting[int | None, int | None] = Setting(
        "Stop making jobs once this many have ended without a new best value, at least 1. Needs one objective."
        " None: no limit.",
        default=None,
        read=lambda definition: definition.stop_after_no_improvement,
        write=_unchanged,
    )
    stop_after_no_result: Setting[int | None, int | None] = Setting(
        "Stop making jobs once this many in a row were DONE without a number as the result of an objective, at least 1."
        " None: no limit.",
        default=DEFAULT_NO_RESULT,
        read=lambda definition: definition.stop_after_no_result,
        write=_unchanged,
    )
    stop_after_crashes: Setting[int | None, int | None] = Setting(
        "Stop making jobs if the first ones to end, this many, have all CRASHED, at least 1. None: never.",
        default=DEFAULT_CRASHES,
        read=lambda definition: definition.stop_after_crashes,
        write=_unchanged,
    )
    stop_at: Setting[list[Constraint], Iterable[ConstraintForm]] = Setting(
        "Stop making jobs once one is DONE that keeps these bounds, written as `constraints`.",
        default=(),
        read=lambda definition: definition.stop_at,
        write=list,
    )
    max_done: Setting[int | None, int | None] = Setting(
        "Make jobs until this many have ended and were not CRASHED, at least 0. None: no limit.",
        default=None,
        read=lambda definition: definition.max_done,
        write=_unchanged,
    )
    seed: Setting[int | None, int | None] = Setting(
        "Random seed, at least 0: the same seed and results give the same suggestions. None: chosen by the service.",
        default=None,
        read=lambda definition: definition.seed,
    )
    ready: Setting[int | None, int | None] = Setting(
        "Number of jobs made ahead of the workers' demand, from 0 to 10000. None: the default of the algorithm.",
        default=None,
        read=lambda definition: definition.ready,
        write=_unchanged,
    )
    exact: Setting[bool, bool] = Setting(
        "True: results are exact, the same hyperparameters give the same results. Then `no_repeats` is on by default"
        " where the hyperparameters have finitely many values.",
        default=False,
        read=lambda definition: definition.exact,
    )
    no_repeats: Setting[bool, bool | None] = Setting(
        "True: no point is made that was tried or runs, and the search ends when all were tried. None: see `exact`.",
        default=None,
        read=lambda definition: definition.avoids_repeats,
    )
    from_experiment: Setting[list[str], Names] = Setting(
        "Experiment whose finished jobs are observations from the start, or a list of several.",
        default=(),
        read=lambda definition: [start.experiment for start in definition.warm_start],
    )


def _definition(given: dict[str, Any]) -> Definition:
    """Return the definition with the settings that a constructor was given. Raises InvalidValueError."""
    objectives = [{"result": each, "direction": way} for way in _DIRECTIONS for each in _names(given.get(way, ()))]
    special = {
        "objectives": objectives,
        **{name: list(given.get(name, ())) for name in ("constraints", "stop_at")},
        "where": list(_names(given.get("where", ()))),
        "pruner": pruner_form(given["pruner"]),
        "warm_start": warm_start_form(_names(given.get("from_experiment", ()))),
        "options": plain_values(given.get("options") or {}),
        "assumed": plain_values(given.get("assumed") or {}),
    }
    named_otherwise = (*_DIRECTIONS, "from_experiment")
    return read_definition({name: value for name, value in given.items() if name not in named_otherwise} | special)


def _names(names: Names) -> Sequence[str]:
    return [names] if isinstance(names, str) else names
