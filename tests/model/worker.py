"""The steps of workers: the sessions, leases and tickets of `schedy.worker`, and `Job.__exit__`.

What a worker sends is in the reports queue at once, in the order of sending: `Calls.call`. That it may not have got
there shows as a connection that is lost before it is sent, or before it is confirmed.
"""

from collections.abc import Iterator

from tests.model import properties
from tests.model.judge import OVER
from tests.model.scenario import Break
from tests.model.setup import Move, Setup
from tests.model.world import (
    AHEAD,
    BEGUN,
    CLAIMING,
    FINISHING,
    FRESH,
    IDLE,
    KNOWN_BEGUN,
    NOBODY,
    RUNNING,
    SPARE,
    Draft,
    Message,
    Reply,
    Worker,
    World,
)


def moves(setup: Setup, state: World) -> Iterator[Move]:
    """Yield the next steps of each worker; of equal workers only one's.

    When the service gets to know that a job has begun, by the end of the one before, nobody may rely on.
    """
    if state.onlooker.begun == BEGUN:
        known = setup.draft(state)
        known.onlooker = state.onlooker._replace(begun=KNOWN_BEGUN)
        yield Move("the end of the job before arrives", known, relied_on=False)
    for place, worker in enumerate(state.workers):
        if place and worker == state.workers[place - 1]:
            continue
        if not worker.linked:
            yield _reconnect(setup, state, place)
        elif worker.doing == IDLE:
            yield from _takings(setup, state, place)
        yield from _MOVES[worker.doing](setup, state, place)


def _changed(setup: Setup, state: World, place: int, worker: Worker, *messages: Message) -> Draft:
    draft = setup.draft(state)
    draft.workers[place] = worker
    draft.reports += messages
    return draft


def _takings(setup: Setup, state: World, place: int) -> Iterator[Move]:
    """`Taker`; or `Claims.by_id`."""
    claiming = Worker(RUNNING if setup.breaks(Break.ANSWER_AWAITED) else CLAIMING, token=FRESH)
    if state.tickets:
        draft = _changed(setup, state, place, claiming._replace(ticket=True), Message("claim", FRESH))
        draft.tickets -= 1
        yield Move("a worker takes a ticket and asks", draft)
        if setup.scenario.ahead:
            draft = _changed(setup, state, place, Worker(SPARE, ticket=True))
            draft.tickets -= 1
            yield Move("a worker takes a ticket, and does not ask yet", draft)
    if state.wishes.tries:
        draft = _changed(setup, state, place, claiming, Message("claim", FRESH))
        draft.wishes = state.wishes._replace(tries=state.wishes.tries - 1)
        yield Move("a worker asks for the job by its id", draft, relied_on=False)


def _reconnect(setup: Setup, state: World, place: int) -> Move:
    """All that is not over is sent again, and a heartbeat: `CallTable._channel_ready`, `Heartbeats.connected`."""
    worker = state.workers[place]._replace(linked=True, due=NOBODY, unbegun=False)
    if worker.doing == SPARE:
        worker = worker._replace(doing=IDLE)
    token = worker.token
    again: list[Message] = []
    if worker.doing == CLAIMING and not setup.breaks(Break.CLAIM_ASKED_AGAIN):
        again = [Message("claim", token)]
    elif worker.doing in (AHEAD, RUNNING):
        again = [Message("heartbeat", token)]
    elif worker.doing == FINISHING and not setup.breaks(Break.FINISH_SENT_AGAIN):
        again = [Message("finish", token, worker.sequence)]
        worker = worker._replace(sent=True)
    if state.workers[place].due:
        again = [Message(_release(state.workers[place].unbegun), state.workers[place].due, worker.sequence), *again]
        worker = worker._replace(sequence=0)
    return Move(f"a worker ({token}) reconnects", _changed(setup, state, place, worker, *again))


def _claiming_moves(setup: Setup, state: World, place: int) -> Iterator[Move]:
    """Nothing runs without the answer: `Claims._ask`."""
    worker = state.workers[place]
    asked = any(message.kind == "claim" and message.token == worker.token for message in state.reports)
    if worker.linked and not asked and not setup.breaks(Break.CLAIM_ASKED_AGAIN):
        draft = _changed(setup, state, place, worker, Message("claim", worker.token))
        yield Move(f"a worker ({worker.token}) asks again", draft)
    if state.wishes.releases:
        yield _give_back(setup, state, place, "gives its claim up")


def _spare_moves(setup: Setup, state: World, place: int) -> Iterator[Move]:
    """The job before ends, and its `Finish` brings the claim; or it runs for long: `TicketClaims.look`.

    Nobody may rely on the end of a job.
    """
    if not state.workers[place].linked:
        return  # the broker has taken the ticket back: `_reconnect`
    asking = Worker(CLAIMING, ticket=True, token=FRESH)
    ended = _changed(setup, state, place, asking, Message("claim", FRESH))
    yield Move("a worker asks with the end of another job", ended, relied_on=False)
    if not setup.breaks(Break.SPARE_GIVEN_BACK):
        draft = _changed(setup, state, place, Worker())
        draft.tickets += 1
        yield Move("a worker gives a ticket back", draft)


def _ahead_moves(setup: Setup, state: World, place: int) -> Iterator[Move]:
    """A job that was claimed ahead waits for the one before, with its lease kept; or the loop stops: `Taker.close`."""
    worker = state.workers[place]
    begun = _changed(setup, state, place, worker._replace(doing=RUNNING))
    if state.onlooker.owner == worker.token:
        begun.onlooker = state.onlooker._replace(begun=BEGUN)
    yield Move(f"a worker ({worker.token}) begins", begun)
    yield from _signs_of_life(setup, state, place)
    if state.wishes.releases:
        yield _give_back(setup, state, place, "gives back what it has not begun")


def _running_moves(setup: Setup, state: World, place: int) -> Iterator[Move]:
    yield from _signs_of_life(setup, state, place)
    if not state.workers[place].hung:
        yield from _reports(setup, state, place)


def _signs_of_life(setup: Setup, state: World, place: int) -> Iterator[Move]:
    worker = state.workers[place]
    token = worker.token
    if worker.ticket and setup.scenario.early_ack:
        draft = _changed(setup, state, place, worker._replace(ticket=False))
        yield Move(f"a worker ({token}) acknowledges its ticket early", draft)
    if worker.linked and _may_beat(setup, state, worker):
        yield Move(f"a worker ({token}) beats", _changed(setup, state, place, worker, Message("heartbeat", token)))


def _may_beat(setup: Setup, state: World, worker: Worker) -> bool:
    """One heartbeat at a time is in the queue: a second one behind it, sent because an answer is late, says the same.

    Those that tell nothing are left out, unless a scenario wants all.
    """
    if worker.doing == AHEAD and setup.breaks(Break.AHEAD_BEATS):
        return False
    if any(message.kind == "heartbeat" and message.token == worker.token for message in state.reports):
        return False
    row = setup.judge.rows[state.job]
    return setup.scenario.beats or row.token != worker.token or row.lease != "alive"


def _reports(setup: Setup, state: World, place: int) -> Iterator[Move]:
    """`Job.put`, the end of a ``with`` block, and Ctrl-C."""
    worker = state.workers[place]
    token, number = worker.token, worker.sequence + 1
    if worker.linked and worker.sequence < setup.scenario.progress:
        message = Message("progress", token, number)
        yield Move(
            f"a worker ({token}) reports progress",
            _changed(setup, state, place, worker._replace(sequence=number), message),
        )
    yield from _endings(setup, state, place)
    if state.wishes.releases:
        yield _give_back(setup, state, place, "gives its job back")


def _endings(setup: Setup, state: World, place: int) -> Iterator[Move]:
    """A job ends; another thread of the same process may still be in `put`."""
    worker = state.workers[place]
    token, number = worker.token, worker.sequence + 1
    ending = worker._replace(doing=FINISHING, sequence=number, sent=worker.linked, ticket=False)
    finish = [Message("finish", token, number)] if worker.linked else []
    yield Move(f"a worker ({token}) finishes", _changed(setup, state, place, ending, *finish))
    if worker.linked and setup.scenario.threads:
        late = Message("progress", token, number + 1)
        yield Move(f"a worker ({token}) finishes, and puts", _changed(setup, state, place, ending, *finish, late))


def _give_back(setup: Setup, state: World, place: int, what: str) -> Move:
    """`Leases.release`: at once, or as soon as there is a connection."""
    worker = state.workers[place]
    token, number = worker.token, worker.sequence + 1
    messages: list[Message] = []
    rests = Worker(linked=worker.linked)
    unbegun = worker.doing != RUNNING
    if not setup.breaks(Break.AHEAD_GIVEN_BACK if worker.doing == AHEAD else Break.RELEASE_ON_GIVING_UP):
        messages = [Message(_release(unbegun), token, number)] if worker.linked else []
        rests = rests if worker.linked else rests._replace(due=token, sequence=number, unbegun=unbegun)
    draft = _changed(setup, state, place, rests, *messages)
    draft.wishes = state.wishes._replace(releases=state.wishes.releases - 1)
    return Move(f"a worker ({token}) {what}", draft, relied_on=False)


def _release(unbegun: bool) -> str:
    return "release unbegun" if unbegun else "release"


def _finishing_moves(setup: Setup, state: World, place: int) -> Iterator[Move]:
    """A finish that the broker has is over for its worker: `Reports._finished`."""
    worker = state.workers[place]
    if worker.linked and setup.scenario.beats and _may_beat(setup, state, worker):
        beat = Message("heartbeat", worker.token)
        yield Move(f"a worker ({worker.token}) beats", _changed(setup, state, place, worker, beat))
    if (worker.linked and worker.sent) or setup.breaks(Break.FINISH_CONFIRMED):
        properties.check_returned(worker)
        draft = _changed(setup, state, place, Worker(linked=worker.linked))
        yield Move(f"a worker ({worker.token}) has ended its job", draft)


def _idle_moves(_setup: Setup, _state: World, _place: int) -> Iterator[Move]:
    yield from ()


_MOVES = {
    IDLE: _idle_moves,
    SPARE: _spare_moves,
    CLAIMING: _claiming_moves,
    AHEAD: _ahead_moves,
    RUNNING: _running_moves,
    FINISHING: _finishing_moves,
}


def receive(setup: Setup, draft: Draft, reply: Reply, *, from_active: bool = True) -> None:
    """An answer arrives: it is for whoever waits for it, and nothing to others."""
    for place, worker in enumerate(draft.workers):
        if worker.token == reply.token and worker.linked:
            if from_active:
                properties.check_answer(draft, reply, worker)
            draft.workers[place] = _answered(setup, worker, reply)


def _answered(setup: Setup, worker: Worker, reply: Reply) -> Worker:
    if worker.doing == CLAIMING and reply.kind == "claim":
        if reply.yes:
            return worker._replace(doing=AHEAD if setup.scenario.ahead else RUNNING)
        return worker if setup.breaks(Break.TICKET_ACKED_WHEN_DENIED) else Worker()
    gone = worker.doing in (AHEAD, RUNNING) and not reply.yes and reply.kind in ("heartbeat", "progress")
    return Worker() if gone and not setup.breaks(Break.LOST_HOLDER_TOLD) else worker


def deserves_lease(setup: Setup, state: World) -> bool:
    """Tell whether a worker has signs of life that get through, and keep the lease by the rules.

    A report that waits is one, too: a service that is active comes to it in less than a lease.
    """
    token = setup.judge.rows[state.job].token
    holds = any(
        worker.token == token and worker.linked and not (worker.doing == AHEAD and setup.breaks(Break.AHEAD_BEATS))
        for worker in state.workers
    )
    if not holds and not any(message.token == token for message in state.reports):
        return False
    over = setup.judge.with_lease(state.job, OVER)
    beaten = setup.judge.verdict("heartbeat", over, state.open, token)
    return setup.judge.rows[beaten.job].lease == "alive"
