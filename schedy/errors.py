"""Every error Schedy raises, as one tree::

    SchedyError
    ├── NoJobError               nothing to pull
    │   └── StopTimeError        the worker was to stop about now
    ├── NotFoundError            no such experiment or job
    ├── ResourceExistsError      the name is taken
    ├── UnsafeUpdateError        the job is no longer ours, or has changed meanwhile
    ├── JobCancelledError        the job is ours and is to end now
    ├── Pruned                   raised by users: the job is not worth going on with
    ├── UnhealthyWorkerError     this worker crashes job after job and takes no more
    ├── InvalidValueError        a name, value, field or status that cannot be used
    ├── NotStoredYetError        the broker has the change, the store will have it
    ├── ServiceUnavailableError  the results service does not answer
    ├── VersionMismatchError     the results service speaks another version of the protocol
    ├── SettingsError            the settings cannot be used
    ├── StoreError               the database cannot be used
    └── BrokerError              the broker cannot be used
        ├── BrokerUnreachableError
        ├── BrokerFaultError
        ├── AuthenticationError
        ├── PermissionDeniedError
        └── TopologyMissingError

A message says what happened and what to do about it.
"""


class SchedyError(Exception):
    """Root of the tree."""


class NoJobError(SchedyError):
    """No job is left for an experiment: nothing is queued, or the experiment is done or deleted."""

    def __init__(self, experiment_name: str) -> None:
        super().__init__(f"No job left for experiment {experiment_name}.")
        self.experiment_name = experiment_name


class StopTimeError(NoJobError):
    """The stop time of this worker is near, so it takes no further job."""

    def __init__(self, experiment_name: str, stop_after_seconds: float) -> None:
        super().__init__(experiment_name)
        self.args = (
            f"No job is taken for experiment {experiment_name}: this worker was to stop after"
            f" {stop_after_seconds:g} s, and that is near.",
        )


class NotFoundError(SchedyError):
    """There is no such experiment or job; the message lists close names."""


class ResourceExistsError(SchedyError):
    """An experiment of that name exists."""


class UnsafeUpdateError(SchedyError):
    """The job is no longer held by this worker, or it was changed since it was read."""


class JobCancelledError(SchedyError):
    """The job was cancelled or has taken too long. Leave its `with` block; what was put is stored."""


class Pruned(SchedyError):
    """Raised in a `with` block of a job to end it as PRUNED; it ends there."""


class UnhealthyWorkerError(SchedyError):
    """This worker crashed job after job within seconds, and takes no more."""


class InvalidValueError(SchedyError, ValueError):
    """A name, value, field or status that Schedy cannot take; nothing was sent."""


class NotStoredYetError(SchedyError):
    """The broker has accepted the change; the results service has not answered in time and will store it later."""


class ServiceUnavailableError(SchedyError):
    """The broker is reachable, but no results service answers."""


class VersionMismatchError(SchedyError):
    """The results service answered with a message that this version does not expect."""


class SettingsError(SchedyError):
    """A setting is unknown or has a value that cannot be used."""


class StoreError(SchedyError):
    """The database is missing, unreachable, read-only, full, or of another version."""


class BrokerError(SchedyError):
    """The broker refused or dropped us; subclasses say how."""


class BrokerUnreachableError(BrokerError):
    """Nothing that speaks AMQP answers at the broker's address, or the connection was lost."""


class BrokerFaultError(BrokerError):
    """RabbitMQ failed inside over what it was asked, and ended the connection."""


class AuthenticationError(BrokerError):
    """The broker does not accept the user name, the password or the virtual host."""


class PermissionDeniedError(BrokerError):
    """The broker's user lacks a permission for this operation."""


class TopologyMissingError(BrokerError):
    """An exchange or queue of Schedy is missing on the broker."""
