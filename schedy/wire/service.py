"""Messages of the results service, to itself and into the queues of jobs."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from schedy.wire import names
from schedy.wire.base import JobId, Line, Message, Sendable, Uid


class Tick(Sendable):
    """Sent each second by every instance; whoever receives it judges the leases.

    `confirmed` is the number of ticks with the same `series` that the broker had confirmed before: all of them come
    before this one, unless the queue has lost messages. The last tick of an instance that stops has a `name`, under
    which the store waits for it; the next instance sends one that is `behind` it.
    """

    kind: Literal["tick"] = "tick"
    by_service: ClassVar[bool] = True
    routing_prefix: ClassVar[str] = names.SERVICE_KEY_PREFIX
    instance: Line
    series: Line = ""
    confirmed: int = Field(default=0, ge=0)
    name: Line = ""
    behind: Line = ""


class Replay(Sendable):
    """A dead letter to be processed again, as if `user` had just sent it; `body` is base64."""

    kind: Literal["replay"] = "replay"
    routing_prefix: ClassVar[str] = names.SERVICE_KEY_PREFIX
    routing_key: Line
    body: str
    user: Line | None = None


class Ticket(Message):
    """A permission to ask for a job. `hyperparameters` are for people and absent when large; the answer has them."""

    kind: Literal["ticket"] = "ticket"
    by_service: ClassVar[bool] = True
    experiment_uid: Uid
    experiment: str
    job_id: JobId
    hyperparameters: dict[str, Any] | None = None
