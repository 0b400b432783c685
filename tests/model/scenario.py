"""Which faults and wishes a search goes through, and which rule of the model itself is broken on purpose."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from tests.model.world import Wishes

Fault = Literal[
    "death",
    "disconnect",
    "suspicion",
    "lost reply",
    "repeat",
    "stray",
    "service crash",
    "take-over",
    "lost ticket",
    "hang",
]


class Break(Enum):
    """A rule of the service or of the worker library that a mutation drops."""

    EPOCH_CHECK = auto()
    EPOCH_FOLLOWS_SUBSCRIPTION = auto()
    RENEWAL_AFTER_GAP = auto()
    ACK_AFTER_COMMIT = auto()
    REPLY_AFTER_COMMIT = auto()
    FINISH_CONFIRMED = auto()
    FINISH_SENT_AGAIN = auto()
    CLAIM_ASKED_AGAIN = auto()
    RELEASE_ON_GIVING_UP = auto()
    ANSWER_AWAITED = auto()
    LOST_TICKETS_REISSUED = auto()
    TICKET_MARKED_WHEN_CONFIRMED = auto()
    PAUSE_WITHDRAWS_TICKETS = auto()
    CHANGE_APPLIED_ONCE = auto()
    DELETED_DENIED = auto()
    TICKET_ACKED_WHEN_DENIED = auto()
    LOST_HOLDER_TOLD = auto()
    EXPIRE_ONLY_WHEN_OVER = auto()
    AHEAD_GIVEN_BACK = auto()
    AHEAD_BEATS = auto()
    SPARE_GIVEN_BACK = auto()


NO_WISHES = Wishes()


@dataclass(frozen=True)
class Scenario:
    """One search. It is complete: every order of everything that it allows.

    `faults` in all, of the kinds in `kinds`. `steps`: what follows a commit (answers, tickets, acknowledgement) happens
    one by one, so that a crash comes in between; else at once. `batch`: most messages taken together. `progress`: most
    reports of progress of a token. `beats`: heartbeats are sent at any time, and not only when they tell something.
    `threads`: another thread may report progress while a job is ended. `times_out`: there is a job_timeout, and a job
    may be over it at any time. `ahead`: workers claim while they are busy with another job, and begin later or never.
    """

    name: str
    kinds: frozenset[Fault] = frozenset()
    faults: int = 0
    workers: int = 2
    instances: int = 1
    steps: bool = False
    batch: int = 1
    progress: int = 0
    beats: bool = False
    threads: bool = False
    ahead: bool = False
    early_ack: bool = False
    times_out: bool = False
    retry_timeouts: bool = False
    max_attempts: int = 2
    max_releases: int = 0
    wishes: Wishes = NO_WISHES
    broken: Break | None = None
