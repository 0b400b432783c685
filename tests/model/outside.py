"""Steps from outside: time, users, and a limited number of faults."""

from collections.abc import Iterator

from tests.model import properties, service
from tests.model.judge import DELETED, OVER
from tests.model.setup import Move, Setup
from tests.model.worker import deserves_lease
from tests.model.world import IDLE, RUNNING, Draft, Instance, Message, Wishes, Worker, World

_REPEATED = ("claim", "progress", "finish", "release", "release unbegun")


def moves(setup: Setup, state: World) -> Iterator[Move]:
    yield from _time(setup, state)
    yield from _users(setup, state)
    if state.stray is not None:
        yield _stray_arrives(setup, state)
    if state.faults:
        for kind, faults in _FAULTS.items():
            if kind in setup.scenario.kinds:
                yield from faults(setup, state)


def _time(setup: Setup, state: World) -> Iterator[Move]:
    """A lease runs out, of a holder who is gone, cut off, or to stop, or while no service listens; a tick is sent."""
    row = setup.judge.rows[state.job]
    waiting = {message.kind for message in state.reports}
    if row.lease == "alive":
        guarded = deserves_lease(setup, state)
        unheard = state.instances[service.ACTIVE].behind
        if not guarded:
            properties.check_lease(state, setup.scenario.faults, row)
        if unheard or not guarded:
            yield _lease_runs_out(setup, state, silent=not guarded)
    if row.lease == "over" and "tick" not in waiting:
        yield _send(setup, state, "tick")
    if setup.scenario.times_out and row.lease and not row.stop and "late tick" not in waiting:
        yield _send(setup, state, "late tick")


def _lease_runs_out(setup: Setup, state: World, *, silent: bool) -> Move:
    draft = setup.draft(state)
    draft.job = setup.judge.with_lease(state.job, OVER)
    if silent:
        draft.onlooker = draft.onlooker._replace(silent=True)
    return Move("the lease runs out", draft)


def _send(setup: Setup, state: World, kind: str, *, relied_on: bool = True) -> Move:
    draft = setup.draft(state)
    draft.reports.append(Message(kind))
    return Move(f"{kind}", draft, relied_on)


def _users(setup: Setup, state: World) -> Iterator[Move]:
    """Users resume what they paused; everything else they may do or leave."""
    wishes = state.wishes
    waiting = {message.kind for message in state.reports}
    if not state.open and "resume" not in waiting:
        yield _send(setup, state, "resume")
    if wishes.pauses and state.open and not {"pause", "resume"} & waiting:
        yield _wish(setup, state, "pause", wishes._replace(pauses=wishes.pauses - 1))
    if wishes.cancels and state.job != DELETED:
        yield _wish(setup, state, "cancel", wishes._replace(cancels=wishes.cancels - 1))
    if wishes.retries and state.job != DELETED:
        yield _wish(setup, state, "retry", wishes._replace(retries=wishes.retries - 1))
    if wishes.deletions and state.job != DELETED:
        yield _wish(setup, state, "delete", wishes._replace(deletions=wishes.deletions - 1))


def _wish(setup: Setup, state: World, kind: str, left: Wishes) -> Move:
    wished = _send(setup, state, kind, relied_on=False)
    wished.draft.wishes = left
    return wished


def _fault(setup: Setup, state: World) -> Draft:
    draft = setup.draft(state)
    draft.faults -= 1
    return draft


def _deaths(setup: Setup, state: World) -> Iterator[Move]:
    """`kill -9`: the broker takes the ticket back, another process takes the place."""
    for place, worker in enumerate(state.workers):
        if worker.doing != IDLE or worker.due:
            draft = _fault(setup, state)
            draft.tickets += worker.ticket
            draft.workers[place] = Worker()
            yield Move(f"a worker ({worker.token}) dies", draft, relied_on=False)


def _disconnects(setup: Setup, state: World) -> Iterator[Move]:
    """The connection is lost, the ticket is back in its queue, the process goes on."""
    for place, worker in enumerate(state.workers):
        if worker.linked and worker.doing != IDLE:
            draft = _fault(setup, state)
            draft.tickets += worker.ticket
            draft.workers[place] = worker._replace(linked=False, ticket=False, sent=False)
            yield Move(f"a worker ({worker.token}) loses its connection", draft, relied_on=False)


def _suspicions(setup: Setup, state: World) -> Iterator[Move]:
    """The holder lives, and its heartbeats come too late: somebody holds Python's GIL, or a machine is overloaded."""
    if setup.judge.rows[state.job].lease == "alive" and deserves_lease(setup, state):
        late = _lease_runs_out(setup, state, silent=True)
        late.draft.faults -= 1
        yield Move("the lease runs out though its holder lives", late.draft, relied_on=False)


def _lost_replies(setup: Setup, state: World) -> Iterator[Move]:
    """The connection of an asker, or of the service, takes an answer with it."""
    active = state.instances[service.ACTIVE]
    if active.outputs is not None:
        if active.outputs.replies:
            draft = _fault(setup, state)
            draft.instances[service.ACTIVE] = active._replace(outputs=active.outputs._replace(replies=(), purge=False))
            draft.tickets = 0 if active.outputs.purge else draft.tickets
            yield Move("the answers are lost", draft, relied_on=False)
    elif not setup.scenario.steps and state.reports and state.reports[0].kind in ("claim", "heartbeat", "progress"):
        applied = service.apply_batch(setup, state, 1, answers=False)
        applied.draft.faults -= 1
        yield Move(applied.what, applied.draft, relied_on=False)


def _repeats(setup: Setup, state: World) -> Iterator[Move]:
    """A message is sent again while the first is still in the queue."""
    for message in set(state.reports):
        if message.kind in _REPEATED:
            draft = _fault(setup, state)
            draft.reports.append(message._replace(judged=False))
            yield Move(f"the {message.kind} {message.token} is sent again", draft, relied_on=False)
        elif message.kind == "retry":
            draft = _fault(setup, state)
            draft.reports.append(message._replace(judged=True))  # the first will be applied by then
            yield Move("the retry is sent again", draft, relied_on=False)


def _strays(setup: Setup, state: World) -> Iterator[Move]:
    """A copy of a message is somewhere on the network, and arrives whenever it likes."""
    for message in set(state.reports):
        if message.kind in _REPEATED and state.stray is None:
            draft = _fault(setup, state)
            draft.stray = message._replace(judged=False)
            yield Move(f"a copy of {message.kind} {message.token} strays", draft, relied_on=False)


def _stray_arrives(setup: Setup, state: World) -> Move:
    draft = setup.draft(state)
    if state.stray is not None:
        draft.reports.append(state.stray)
    draft.stray = None
    return Move("the stray copy arrives", draft)


def _crashes(setup: Setup, state: World) -> Iterator[Move]:
    """The active service dies wherever it is; what it has not acknowledged is delivered again."""
    draft = _fault(setup, state)
    draft.instances[service.ACTIVE] = Instance()
    _next_consumer(draft)
    yield Move("the service dies", draft, relied_on=False)


def _take_overs(setup: Setup, state: World) -> Iterator[Move]:
    """The active service is suspended, and cut off; it knows nothing of that, and wakes up later."""
    active, others = state.instances[service.ACTIVE], state.instances[1:]
    if (active.hand or active.outputs is not None) and not any(other.cut for other in others):
        draft = _fault(setup, state)
        draft.instances[service.ACTIVE] = active._replace(cut=True, behind=True)
        _next_consumer(draft)
        yield Move("the service is suspended and another is to take over", draft, relied_on=False)


def _next_consumer(draft: Draft) -> None:
    """The broker makes the other instance the consumer of the reports, if there is one that is connected."""
    for place, instance in enumerate(draft.instances[1:], start=1):
        if not instance.cut:
            draft.instances[service.ACTIVE], draft.instances[place] = instance, draft.instances[service.ACTIVE]
            return


def _lost_tickets(setup: Setup, state: World) -> Iterator[Move]:
    """Somebody purges the queue in the management UI."""
    if state.tickets:
        draft = _fault(setup, state)
        draft.tickets = 0
        yield Move("the queue of tickets is purged", draft, relied_on=False)


def _hangs(setup: Setup, state: World) -> Iterator[Move]:
    """The user's code hangs; the thread that sends the heartbeats does not."""
    for place, worker in enumerate(state.workers):
        if worker.doing == RUNNING and not worker.hung:
            draft = _fault(setup, state)
            draft.workers[place] = worker._replace(hung=True)
            yield Move(f"a worker ({worker.token}) hangs", draft, relied_on=False)


_FAULTS = {
    "death": _deaths,
    "disconnect": _disconnects,
    "suspicion": _suspicions,
    "lost reply": _lost_replies,
    "repeat": _repeats,
    "stray": _strays,
    "service crash": _crashes,
    "take-over": _take_overs,
    "lost ticket": _lost_tickets,
    "hang": _hangs,
}
