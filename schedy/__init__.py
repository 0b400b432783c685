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

if TYPE_CHECKING:
    from schedy import pbt as pbt
    from schedy import random as random
    from schedy.database import SchedyDB
    from schedy.experiments import Experiment
    from schedy.jobs import Job
    from schedy.searches import (
        CMAESSearch,
        GPSearch,
        GridSearch,
        ManualSearch,
        NSGA2Search,
        PopulationBasedTraining,
        RandomSearch,
        Search,
        SobolSearch,
        TPESearch,
    )

__version__ = "0.1.0"

__all__ = [
    "AuthenticationError",
    "BrokerError",
    "CMAESSearch",
    "Experiment",
    "GPSearch",
    "GridSearch",
    "Job",
    "JobCancelledError",
    "ManualSearch",
    "NSGA2Search",
    "NoJobError",
    "NotFoundError",
    "NotStoredYetError",
    "PopulationBasedTraining",
    "Pruned",
    "RandomSearch",
    "ResourceExistsError",
    "SchedyDB",
    "SchedyError",
    "Search",
    "ServiceUnavailableError",
    "SobolSearch",
    "StopTimeError",
    "TPESearch",
    "UnhealthyWorkerError",
    "UnsafeUpdateError",
    "errors",
]
"""Not `random` and `pbt`: a star import must not hide Python's own `random`."""

_HOMES = {"SchedyDB": "database", "Experiment": "experiments", "Job": "jobs"} | dict.fromkeys(
    (
        "CMAESSearch",
        "GPSearch",
        "GridSearch",
        "ManualSearch",
        "NSGA2Search",
        "PopulationBasedTraining",
        "RandomSearch",
        "Search",
        "SobolSearch",
        "TPESearch",
    ),
    "searches",
)
"""Names that are imported at their first use: they bring pika and pydantic, which `schedy --help` does not need."""

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
