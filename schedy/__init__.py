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
    from schedy.database import SchedyDB
    from schedy.experiments import Experiment, ManualSearch
    from schedy.jobs import Job

__version__ = "0.1.0"

__all__ = [
    "AuthenticationError",
    "BrokerError",
    "Experiment",
    "Job",
    "JobCancelledError",
    "ManualSearch",
    "NoJobError",
    "NotFoundError",
    "NotStoredYetError",
    "Pruned",
    "ResourceExistsError",
    "SchedyDB",
    "SchedyError",
    "ServiceUnavailableError",
    "StopTimeError",
    "UnhealthyWorkerError",
    "UnsafeUpdateError",
    "errors",
]

_HOMES = {"SchedyDB": "database", "Experiment": "experiments", "ManualSearch": "experiments", "Job": "jobs"}
"""Names that are imported at their first use: they bring pika and pydantic, which `schedy --help` does not need."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
