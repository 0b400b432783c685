"""Errors of the library, the results service and the broker setup, as one tree::

    SchedyError
    ├── NoJobError               no job is left
    │   └── StopTimeError        the stop time of this worker is near
    ├── NotFoundError            no such experiment or job
    ├── ResourceExistsError      the name is taken
    ├── UnsafeUpdateError        the job belongs to another worker, or was changed meanwhile
    ├── JobCancelledError        the job was cancelled or has timed out
    ├── Pruned                   raised by users: end the job as PRUNED
    ├── InvalidValueError        a name, value, field or status is invalid
    │   └── MessageTooLargeError the broker takes no message of this size
    ├── NotStoredYetError        the broker has the change, the store will have it later
    ├── ServiceUnavailableError  the results service does not answer
    ├── VersionMismatchError     the results service speaks another version of the protocol
    ├── MissingPackageError      a package that is needed here is not installed
    ├── SettingsError            a setting or a URL is invalid
    ├── StoreError               the database cannot be used
    └── BrokerError              the broker cannot be used
        ├── BrokerUnreachableError
        ├── BrokerFaultError
        ├── AuthenticationError
        ├── PermissionDeniedError
        ├── TopologyMissingError
        ├── TopologyMismatchError
        └── ManagementError

One is no SchedyError, nor any Exception, since it is to end every program: UnhealthyWorkerError, a SystemExit.

A message says what happened and what to do about it. Never with a password in it.
"""

from typing import Any


class SchedyError(Exception):
    """Root of the tree. Its errors can be sent from one process to another."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the error holds: by default it would be made again by calling the class with its message."""
        return _restored, (type(self), self.args), self.__dict__


def _restored(kind: type[SchedyError], args: tuple[object, ...]) -> SchedyError:
    """Return the error that was pickled; the caller sets its attributes."""
    return kind.__new__(kind, *args)


class NoJobError(SchedyError):
    """No job is left for an experiment: nothing is queued, the experiment is done or deleted, or its search failed."""

    def __init__(self, experiment_name: str, reason: str = "") -> None:
        super().__init__(f"No job left for experiment {experiment_name}. {reason}".rstrip())
        self.experiment_name = experiment_name
        self.reason = reason


class StopTimeError(NoJobError):
    """The stop time of this worker is near, so it takes no further job."""

    def __init__(self, experiment_name: str, stop_after_seconds: float) -> None:
        super().__init__(experiment_name)
        self.args = (
            f"No job was taken for experiment {experiment_name}: this worker stops after {stop_after_seconds:g} s, and"
            " that time is near.",
        )


class NotFoundError(SchedyError):
    """There is no such experiment or job; the message lists close names."""


class ResourceExistsError(SchedyError):
    """An experiment of that name exists."""


class UnsafeUpdateError(SchedyError):
    """The job is no longer held by this worker, or it was changed since it was read."""


class JobCancelledError(SchedyError):
    """The job was cancelled or has timed out. Leave its `with` block; results that were put are stored."""


class Pruned(SchedyError):
    """Raise this in the `with` block of a job to end the job as PRUNED; the block swallows it."""


class UnhealthyWorkerError(SystemExit):
    """This worker crashed job after job within seconds, and takes no more.

    It ends the program, and prints its message, also where a loop around `next_job` catches every Exception. In another
    thread than the main one it ends the thread.
    """


class InvalidValueError(SchedyError, ValueError):
    """A name, value, field or status is invalid; nothing was sent."""


class MessageTooLargeError(InvalidValueError):
    """The broker takes no message of this size (its `max_message_size`); nothing of it was stored."""

    def __init__(self, text: str, limit_bytes: int) -> None:
        super().__init__(text, limit_bytes)
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        return str(self.args[0])


class NotStoredYetError(SchedyError):
    """The broker has accepted the change; the results service has not answered in time and will store it later."""


class ServiceUnavailableError(SchedyError):
    """The broker is reachable, but no results service answers, or none of this version."""


class VersionMismatchError(SchedyError):
    """The results service answered with a message that this version does not expect."""


class MissingPackageError(SchedyError, ImportError):
    """A package of others that this needs cannot be imported."""


class SettingsError(SchedyError):
    """A setting is unknown, or its value is invalid."""


class StoreError(SchedyError):
    """The database is missing, unreachable, read-only, full, or of another version."""


class BrokerError(SchedyError):
    """The broker cannot be used. `what` happened, and the `remedy` (may be empty); the message has both."""

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(f"{what} {remedy}" if remedy else what)
        self.what = what
        self.remedy = remedy


class BrokerUnreachableError(BrokerError):
    """No broker answers at the address, or the connection was lost."""


class BrokerFaultError(BrokerError):
    """RabbitMQ closed the connection because of an internal error."""


class AuthenticationError(BrokerError):
    """The broker does not accept the user, the password or the virtual host."""


class PermissionDeniedError(BrokerError):
    """The broker's user lacks a permission for this operation."""


class TopologyMissingError(BrokerError):
    """An exchange or queue of Schedy is missing on the broker."""


class TopologyMismatchError(BrokerError):
    """An exchange or queue exists with properties that Schedy cannot use."""


class ManagementError(BrokerError):
    """RabbitMQ's management API does not answer, or refused a request."""


def is_refusal(error: BaseException) -> bool:
    """Tell whether an error of a message says that it is not stored, and never will be: it was refused, not lost."""
    if isinstance(error, BrokerError):
        return isinstance(error, PermissionDeniedError | TopologyMissingError)
    return isinstance(error, SchedyError) and not isinstance(
        error, NotStoredYetError | ServiceUnavailableError | VersionMismatchError
    )
