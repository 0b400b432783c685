"""The steps of results services: the loop and the appliers of `schedy_store.service`, and `TicketDispatcher`.

Of the store, `Draft.job` and `Draft.open` are what is committed: a transaction is one step, as in a database. A tick is
a message only where there is a lease to judge; the others are there as the steps "looks round" and "marks".
"""

from collections.abc import Iterator

from tests.model import properties, store, worker
from tests.model.judge import DELETED
from tests.model.scenario import Break
from tests.model.setup import Move, Setup
from tests.model.world import (
    CHOSEN,
    CURRENT,
    NO_EPOCH,
    NONE,
    OLD,
    PUBLISHED,
    Draft,
    Instance,
    Message,
    Outputs,
    World,
)

_NOTHING = Outputs()
ACTIVE = 0
"""The broker's consumer of the reports."""


def moves(setup: Setup, state: World) -> Iterator[Move]:
    """Yield the next steps of the active instance, and of one that does not know yet that it is not active."""
    active = state.instances[ACTIVE]
    if active.outputs is not None:
        yield _work_off(setup, state, ACTIVE)
    elif active.hand:
        yield _apply_hand(setup, state, ACTIVE)
    else:
        yield from _batches(setup, state)
        yield from _timers(setup, state)
    for which in range(1, len(state.instances)):
        if state.instances[which].cut:
            yield _wake(setup, state, which)


def _batches(setup: Setup, state: World) -> Iterator[Move]:
    """Take what has arrived: any number of messages up to the limit."""
    for count in range(1, min(setup.scenario.batch, len(state.reports)) + 1):
        if len(state.instances) > 1:
            draft = setup.draft(state)
            draft.instances[ACTIVE] = draft.instances[ACTIVE]._replace(hand=state.reports[:count])
            yield Move(f"the service takes {count} messages", draft)
        else:
            yield from _hasty_moves(setup, state, count)
            yield apply_batch(setup, state, count)


def _hasty_moves(setup: Setup, state: World, count: int) -> Iterator[Move]:
    """Do what only a service with a broken rule does before the commit."""
    draft = setup.draft(state)
    if setup.breaks(Break.ACK_AFTER_COMMIT):
        _acknowledge(draft, count)
        yield Move("the service acknowledges before the commit", draft)
    if setup.breaks(Break.REPLY_AFTER_COMMIT):
        outputs = _transaction(setup, setup.draft(state), ACTIVE, state.reports[:count])
        for reply in outputs.replies:
            worker.receive(setup, draft, reply)
        yield Move("the service answers before the commit", draft)


def apply_batch(setup: Setup, state: World, count: int, *, answers: bool = True) -> Move:
    """Apply the first messages of the queue. Not `answers`: those get lost."""
    draft = setup.draft(state)
    outputs = _transaction(setup, draft, ACTIVE, state.reports[:count])
    if not answers:
        outputs = outputs._replace(replies=())
    _committed(setup, draft, outputs, count)
    lost = "" if answers else ", and its answer is lost"
    return Move(f"the service applies {_named(state.reports[:count])}{lost}", draft)


def _apply_hand(setup: Setup, state: World, which: int) -> Move:
    draft = setup.draft(state)
    hand = state.instances[which].hand
    outputs = _transaction(setup, draft, which, hand)
    draft.instances[which] = draft.instances[which]._replace(hand=())
    if which == ACTIVE:
        _committed(setup, draft, outputs, len(hand))
    elif draft.instances[which].epoch == CURRENT and state.instances[ACTIVE].epoch != CURRENT:
        # The next one has applied nothing yet: what is in hand is still at the head of the queue.
        _mark_judged(draft, len(hand))
        draft.instances[which] = draft.instances[which]._replace(outputs=outputs)
    return Move(f"service {which} applies {_named(hand)}", draft)


def _mark_judged(draft: Draft, count: int) -> None:
    for place in range(count):
        kind, token, sequence, _judged = draft.reports[place]
        draft.reports[place] = Message(kind, token, sequence, True)


def _committed(setup: Setup, draft: Draft, outputs: Outputs, count: int) -> None:
    """The messages at the head of the queue are applied; what follows comes at once, or step by step."""
    _mark_judged(draft, count)
    if setup.scenario.steps:
        draft.instances[ACTIVE] = draft.instances[ACTIVE]._replace(outputs=outputs._replace(acks=count))
    else:
        _answer(setup, draft, ACTIVE, outputs)
        if outputs.publish:
            _publish(draft, ACTIVE)
        _acknowledge(draft, count)


def _transaction(
    setup: Setup, draft: Draft, which: int, messages: tuple[Message, ...] = (), marks: str = ""
) -> Outputs:
    """`Applier.apply_batch`: all or nothing, and nothing if another instance has taken over."""
    before = draft.job, draft.open
    epoch = draft.instances[which].epoch
    is_old = epoch == OLD or (which != ACTIVE and epoch == NO_EPOCH and draft.instances[ACTIVE].epoch == CURRENT)
    if epoch == OLD and not setup.breaks(Break.EPOCH_CHECK):
        draft.instances[which] = Instance()
        return _NOTHING
    _begin(setup, draft, which)
    if marks:
        _mark(draft, which, marks)
    replies = tuple(reply for message in messages if (reply := store.apply(setup, draft, message)) is not None)
    purge = any(message.kind == "pause" and not message.judged for message in messages)
    if is_old and (draft.job, draft.open) != before:
        raise properties.BrokenError(properties.OLD_EPOCH, f"it applied {_named(messages)}")
    return Outputs(purge, replies, _choose(setup, draft, which))


def _begin(setup: Setup, draft: Draft, which: int) -> None:
    """Take an epoch if there is none: `Epochs.check`; renew the leases after a gap: `Turn.gap`.

    The epoch follows the one that the store had when the instance subscribed. So an instance that was cut off with its
    first batch in hand, and wakes up after another has taken one, has missed its own.
    """
    if draft.instances[which].epoch == NO_EPOCH:
        draft.instances = [_superseded(setup, instance) for instance in draft.instances]
        draft.instances[which] = draft.instances[which]._replace(epoch=CURRENT)
    if draft.instances[which].behind:
        draft.instances[which] = draft.instances[which]._replace(behind=False)
        if not setup.breaks(Break.RENEWAL_AFTER_GAP):
            store.renew(draft)


def _superseded(setup: Setup, instance: Instance) -> Instance:
    missed = instance.epoch == NO_EPOCH and instance.cut and not setup.breaks(Break.EPOCH_FOLLOWS_SUBSCRIPTION)
    if instance.epoch == CURRENT or missed:
        return instance._replace(epoch=OLD, wanted=NONE, older=False)
    return instance


def _choose(setup: Setup, draft: Draft, which: int) -> bool:
    """`TicketDispatcher.choose`: is a ticket wanted that is not under way?"""
    instance = draft.instances[which]
    if instance.wanted != NONE or not draft.judge.wants_ticket(draft.job, draft.open):
        return False
    properties.check_choice(draft)
    draft.instances[which] = instance._replace(wanted=CHOSEN)
    if setup.breaks(Break.TICKET_MARKED_WHEN_CONFIRMED):
        store.move(draft, draft.judge.verdict("wanted ticket published", draft.job, draft.open))
    return True


def _timers(setup: Setup, state: World) -> Iterator[Move]:
    """Take the steps of a transaction without reports: for a tick, or for a confirmed ticket."""
    active = state.instances[ACTIVE]
    if active.wanted == PUBLISHED:
        yield _transaction_alone(setup, state, "marks the ticket", marks="wanted")
    elif active.wanted == NONE and state.job != DELETED and setup.judge.wants_ticket(state.job, state.open):
        yield _transaction_alone(setup, state, "looks round")
    if active.older:
        yield _transaction_alone(setup, state, "marks an older ticket", marks="older")
    if _seems_lost(setup, state):
        yield _transaction_alone(setup, state, "misses a ticket", marks="lost")


def _transaction_alone(setup: Setup, state: World, what: str, *, marks: str = "") -> Move:
    draft = setup.draft(state)
    outputs = _transaction(setup, draft, ACTIVE, marks=marks)
    _committed(setup, draft, outputs, 0)
    return Move(f"the service {what}", draft)


def _mark(draft: Draft, which: int, marks: str) -> None:
    """`TicketDispatcher.mark_dispatched`, or `TicketDispatcher.note_queue_lengths`."""
    instance = draft.instances[which]
    event = "ticket lost" if marks == "lost" else f"{marks} ticket published"
    if marks == "wanted":
        draft.instances[which] = instance._replace(wanted=NONE)
    elif marks == "older":
        draft.instances[which] = instance._replace(older=False)
    if draft.job != DELETED:
        store.move(draft, draft.judge.verdict(event, draft.job, draft.open))


def _seems_lost(setup: Setup, state: World) -> bool:
    """A job is dispatched, and its queue stays empty."""
    row = setup.judge.rows[state.job]
    dispatched = state.open and row.status == "QUEUED" and row.dispatched
    net = setup.has_safety_net and not setup.breaks(Break.LOST_TICKETS_REISSUED)
    return net and dispatched and not state.tickets


def _work_off(setup: Setup, state: World, which: int) -> Move:
    draft = setup.draft(state)
    what = _next_output(setup, draft, which)
    return Move(f"service {which} {what}", draft)


def _next_output(setup: Setup, draft: Draft, which: int) -> str:
    """`AfterCommit.send_out`: queues and answers, then tickets, then the acknowledgement."""
    outputs = draft.instances[which].outputs or _NOTHING
    if outputs.purge or outputs.replies:
        _answer(setup, draft, which, outputs)
        rest, what = outputs._replace(purge=False, replies=()), "answers"
    elif outputs.publish:
        _publish(draft, which)
        rest, what = outputs._replace(publish=False), "publishes a ticket"
    else:
        _acknowledge(draft, outputs.acks)
        rest, what = _NOTHING, "acknowledges"
    draft.instances[which] = draft.instances[which]._replace(outputs=None if rest == _NOTHING else rest)
    return what


def _answer(setup: Setup, draft: Draft, which: int, outputs: Outputs) -> None:
    if outputs.purge:
        draft.tickets = 0
    for reply in outputs.replies:
        worker.receive(setup, draft, reply, from_active=which == ACTIVE)


def _publish(draft: Draft, which: int) -> None:
    """A ticket is in the queue; its confirm may be marked from now on."""
    draft.tickets += 1
    instance = draft.instances[which]
    if instance.wanted == CHOSEN:
        draft.instances[which] = instance._replace(wanted=PUBLISHED)
    else:
        draft.instances[which] = instance._replace(older=True)


def _acknowledge(draft: Draft, count: int) -> None:
    for message in draft.reports[:count]:
        properties.check_acknowledged(message)
    del draft.reports[:count]


def _wake(setup: Setup, state: World, which: int) -> Move:
    """An instance that has lost its connection goes on with what it has in hand; it cannot acknowledge."""
    instance = state.instances[which]
    if instance.hand:
        return _apply_hand(setup, state, which)
    draft = setup.draft(state)
    what = "finds that it was cut off"
    if instance.outputs is not None and instance.outputs._replace(acks=0) != _NOTHING:
        what = _next_output(setup, draft, which)
    else:
        draft.instances[which] = Instance()
    return Move(f"service {which} {what}", draft)


def _named(messages: tuple[Message, ...]) -> str:
    return ", ".join(f"{message.kind} {message.token or ''}".rstrip() for message in messages) or "nothing"
