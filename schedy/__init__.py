"""Schedy hands hyperparameter jobs to a cluster of workers and keeps what they report.

A worker::

    import schedy

    db = schedy.SchedyDB()
    experiment = db.get_experiment('MinimizeManual')
    with experiment.next_job() as job:
        job.results['result'] = job.hyperparameters['x'] ** 2
"""

from schedy import errors
from schedy.database import SchedyDB
from schedy.errors import (
    AuthenticationError,
    BrokerError,
    NoJobError,
    NotFoundError,
    NotStoredYetError,
    ResourceExistsError,
    SchedyError,
    ServiceUnavailableError,
    UnsafeUpdateError,
)
from schedy.experiments import Experiment, ManualSearch
from schedy.jobs import Job

__version__ = "0.1.0"

__all__ = [
    "AuthenticationError",
    "BrokerError",
    "Experiment",
    "Job",
    "ManualSearch",
    "NoJobError",
    "NotFoundError",
    "NotStoredYetError",
    "ResourceExistsError",
    "SchedyDB",
    "SchedyError",
    "ServiceUnavailableError",
    "UnsafeUpdateError",
    "errors",
]
