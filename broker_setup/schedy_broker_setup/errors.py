"""Errors of this package, a branch of `schedy.errors`.

BrokerSetupError
├── BadUrlError          a URL cannot be read
├── UnreachableError     no connection to the broker, or it was lost
├── TopologyError        an exchange or a queue is not, and cannot be made, as Schedy needs it
├── NotPermittedError    this user may not do that
└── ManagementError      the management HTTP API did not do what it was asked
"""

from schedy.errors import SchedyError


class BrokerSetupError(SchedyError):
    """What happened and what to do about it; never with a password in it."""

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(f"{what} {remedy}")
        self.what = what
        self.remedy = remedy


class BadUrlError(BrokerSetupError):
    """A URL cannot be read."""


class UnreachableError(BrokerSetupError):
    """There is no connection to the broker, or it was lost."""


class TopologyError(BrokerSetupError):
    """An exchange or a queue is not, and cannot be made, as Schedy needs it."""


class NotPermittedError(BrokerSetupError):
    """The user of this connection may not do that."""


class ManagementError(BrokerSetupError):
    """The management HTTP API did not do what it was asked."""
