"""Schedy hands hyperparameter jobs to a cluster of workers and keeps what they report.

A worker::

    import schedy

    db = schedy.SchedyDB()
    experiment = db.get_experiment('MinimizeManual')
    with experiment.next_job() as job:
        job.results['result'] = job.hyperparameters['x'] ** 2
"""

import importlib
from typing import TYPE_CHECKING, Any

from schedy import errors
from schedy.errors import (
    AuthenticationError,
    BrokerError,
    JobCancelledError,
    NoJobError,
    NotFoundError,
    NotStoredYetError,
    Pruned,
    ResourceExistsError,
    SchedyError,
    ServiceUnavailableError,
    StopTimeError,
    UnhealthyWorkerError,
    UnsafeUpdateError,
)
from schedy.search.algorithms import ALGORITHMS

if TYPE_CHECKING:
    from schedy import pbt as pbt
    from schedy import random as random
    from schedy.configured import ManualSearch as ManualSearch
    from schedy.configured import Search as Search
    from schedy.database import SchedyDB as SchedyDB
    from schedy.experiments import Experiment as Experiment
    from schedy.jobs import Job as Job
    from schedy.searches import AutoSearch as AutoSearch
    from schedy.searches import CMAESSearch as CMAESSearch
    from schedy.searches import GPSearch as GPSearch
    from schedy.searches import GridSearch as GridSearch
    from schedy.searches import NSGA2Search as NSGA2Search
    from schedy.searches import PopulationBasedTraining as PopulationBasedTraining
    from schedy.searches import RandomSearch as RandomSearch
    from schedy.searches import SobolSearch as SobolSearch
    from schedy.searches import TPESearch as TPESearch

__version__ = "0.1.0"

_HOMES = {
    "SchedyDB": "database",
    "Experiment": "experiments",
    "Job": "jobs",
    "ManualSearch": "configured",
    "Search": "configured",
    **{algorithm.class_name: "searches" for algorithm in ALGORITHMS.values()},
}
"""Names that are imported at their first use: they bring pika and pydantic, which `schedy --help` does not need."""

__all__ = [  # noqa: PLE0604 - all are strings
    "AuthenticationError",
    "BrokerError",
    "JobCancelledError",
    "NoJobError",
    "NotFoundError",
    "NotStoredYetError",
    "Pruned",
    "ResourceExistsError",
    "SchedyError",
    "ServiceUnavailableError",
    "StopTimeError",
    "UnhealthyWorkerError",
    "UnsafeUpdateError",
    "errors",
    *_HOMES,
]
"""Not `random` and `pbt`: a star import must not hide Python's own `random`."""

_MODULES = ("pbt", "random")
"""Modules that `import schedy` alone makes reachable."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
