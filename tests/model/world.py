"""The state of the model: a store with one job, a broker, service instances, workers, an onlooker.

States are tuples of small things, so that they can be hashed, and equal ones are found again. What does not matter is
taken out of them: tokens are numbered in the order in which they are met, ticket numbers are "the wanted one" or "an
older one", workers are sorted, an epoch is "the store's" or "an older one", a lease is alive or over.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.model.judge import Judge

IDLE, SPARE, CLAIMING, AHEAD, RUNNING, FINISHING = "idle", "spare", "claiming", "ahead", "running", "finishing"
"""States of a worker. SPARE: it has the ticket, is busy with another job, and asks with the end of that. AHEAD: it was
granted the job, and is busy with another; there may be any number of such jobs.
FINISHING: its `Finish` is not known to be in the broker yet."""

NO_EPOCH, CURRENT, OLD = "none", "current", "old"
"""The epoch of an instance. NO_EPOCH: it takes one with its next transaction."""

NONE, CHOSEN, PUBLISHED = "none", "chosen", "published"
"""Work of an instance on the wanted ticket since it was active. PUBLISHED: and not marked yet."""

NOBODY = 0
"""Instead of a token."""
FRESH = 99
"""A token that nobody has used; it gets a small number at once."""


class Message(NamedTuple):
    """A message in the reports queue. `judged`: a committed transaction has applied it."""

    kind: str
    token: int = NOBODY
    sequence: int = 0
    judged: bool = False


class Reply(NamedTuple):
    """An answer. `yes`: granted, or accepted, or still yours."""

    kind: str
    token: int
    yes: bool


class Outputs(NamedTuple):
    """Work that a committed batch leaves, in this order: `schedy_store.service.applying.AppliedBatch`."""

    purge: bool = False
    replies: tuple[Reply, ...] = ()
    publish: bool = False
    acks: int = 0


class Instance(NamedTuple):
    """A results service.

    `behind`: there was a gap, leases are renewed before they are judged. `cut`: it has lost its connection, and does
    not know it yet. `hand`: what it has taken and not applied. `older`: the confirm of an older ticket is to be marked.
    """

    epoch: str = NO_EPOCH
    behind: bool = True
    cut: bool = False
    hand: tuple[Message, ...] = ()
    outputs: Outputs | None = None
    wanted: str = NONE
    older: bool = False


class Worker(NamedTuple):
    """A process with the worker library; one that dies is replaced by another at once.

    `ticket`: holds one unacknowledged. `sent`: the `Finish` has gone out over this connection. `due`: the token that it
    has to give back as soon as there is a connection; `unbegun`: under which it has begun nothing.
    """

    doing: str = IDLE
    ticket: bool = False
    linked: bool = True
    sent: bool = False
    hung: bool = False
    sequence: int = 0
    due: int = NOBODY
    unbegun: bool = False
    token: int = NOBODY


class Wishes(NamedTuple):
    """Actions left to users. `releases`: give back a job, or give up a claim. `tries`: claim the job by its id."""

    releases: int = 0
    pauses: int = 0
    cancels: int = 0
    retries: int = 0
    deletions: int = 0
    tries: int = 0


AHEAD_OF_IT, BEGUN, KNOWN_BEGUN = range(3)
"""What has become of a granted job: another of its worker runs, it has begun, and the service knows the end of the one
before."""


class Onlooker(NamedTuple):
    """The knowledge of an onlooker who sees all that happens; the properties are held against it.

    `owner`: the token that was granted the job last, and was not taken away. `silent`: its lease ran out, and not
    because no service listened. `grants`: of attempts that count. `newest`: highest sequence stored of the owner.
    `result`: the token whose finish ended the job. `cancelled`: a cancel was accepted. `former`: tokens of workers that
    were granted the job and do not own it any more. `releases`: how often in a row it was given back, with no progress.
    `begun`: whether the owner has begun.
    """

    owner: int = NOBODY
    silent: bool = False
    grants: int = 0
    newest: int = 0
    result: int = NOBODY
    cancelled: bool = False
    former: tuple[int, ...] = ()
    releases: int = 0
    begun: int = KNOWN_BEGUN

    def disowned(self) -> "Onlooker":
        """No report counts any more, until somebody is granted the job."""
        former = (*self.former, self.owner) if self.owner else self.former
        return self._replace(owner=NOBODY, silent=False, newest=0, former=former, begun=KNOWN_BEGUN)


class World(NamedTuple):
    """A state. `job` is a number of `Judge`; `instances[0]` is the broker's consumer of the reports."""

    job: int
    open: bool
    tickets: int
    reports: tuple[Message, ...]
    stray: Message | None
    instances: tuple[Instance, ...]
    workers: tuple[Worker, ...]
    onlooker: Onlooker
    faults: int
    wishes: Wishes


class Draft:
    """A world being changed by an action."""

    __slots__ = (
        "faults",
        "instances",
        "job",
        "judge",
        "onlooker",
        "open",
        "reports",
        "stray",
        "tickets",
        "wishes",
        "workers",
    )

    def __init__(self, world: World, judge: "Judge") -> None:
        self.judge = judge
        self.job = world.job
        self.open = world.open
        self.tickets = world.tickets
        self.reports = list(world.reports)
        self.stray = world.stray
        self.instances = list(world.instances)
        self.workers = list(world.workers)
        self.onlooker = world.onlooker
        self.faults = world.faults
        self.wishes = world.wishes

    def world(self) -> World:
        """The new state, with its tokens numbered in the order in which they are met."""
        self.workers.sort()
        if self.onlooker.former:
            self._forget_former()
        names: dict[int, int] = {NOBODY: NOBODY}
        changes = False
        for token in self._tokens():
            if token not in names:
                changes |= token != len(names)
                names[token] = len(names)
        if changes:
            self._rename(names)
        return World(
            self.job,
            self.open,
            self.tickets,
            tuple(self.reports),
            self.stray,
            tuple(self.instances),
            tuple(self.workers),
            self.onlooker,
            self.faults,
            self.wishes,
        )

    def _forget_former(self) -> None:
        """Forget former owners that do not work under their tokens any more: only the others matter."""
        used = {worker.token for worker in self.workers}
        former = tuple(sorted(token for token in self.onlooker.former if token in used))
        self.onlooker = self.onlooker._replace(former=former)

    def _tokens(self) -> list[int]:
        seen = self.onlooker
        tokens = [self.judge.rows[self.job].token, seen.owner, seen.result]
        tokens += [message.token for message in self.reports]
        if self.stray is not None:
            tokens.append(self.stray.token)
        for instance in self.instances:
            if instance.hand:
                tokens += [message.token for message in instance.hand]
            if instance.outputs is not None:
                tokens += [reply.token for reply in instance.outputs.replies]
        for worker in self.workers:
            tokens.append(worker.token)
            tokens.append(worker.due)
        return tokens

    def _rename(self, names: dict[int, int]) -> None:
        self.job = self.judge.renamed(self.job, names)
        seen = self.onlooker
        former = tuple(sorted(names[token] for token in seen.former))
        self.onlooker = seen._replace(owner=names[seen.owner], result=names[seen.result], former=former)
        self.reports = [message._replace(token=names[message.token]) for message in self.reports]
        if self.stray is not None:
            self.stray = self.stray._replace(token=names[self.stray.token])
        self.instances = [_renamed_instance(instance, names) for instance in self.instances]
        self.workers = sorted(
            worker._replace(token=names[worker.token], due=names[worker.due]) for worker in self.workers
        )


def _renamed_instance(instance: Instance, names: dict[int, int]) -> Instance:
    if not instance.hand and instance.outputs is None:
        return instance
    hand = tuple(message._replace(token=names[message.token]) for message in instance.hand)
    outputs = instance.outputs
    if outputs is not None:
        replies = tuple(reply._replace(token=names[reply.token]) for reply in outputs.replies)
        outputs = outputs._replace(replies=replies)
    return instance._replace(hand=hand, outputs=outputs)
