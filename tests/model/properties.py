"""Properties that hold in every state and in every step.

Promises of section "The promises" in docs/architecture.md, and what keeps them. Most are checked while an action is
taken, since a step is wrong and not a state; `Broken` ends the search with the way that led there.
"""

from tests.model import world
from tests.model.judge import DELETED, Judge, Judged, Row
from tests.model.world import Draft, Message, Onlooker, Reply, World

ONE_RESULT = "a job has one result"
"""Two finishes of a job are never both accepted, unless a user wanted it to run again in between."""
ONE_WORKER = "one worker at a time"
"""A job goes to another only after a lease ran out (and not because no service listened); then the first is refused."""
NOTHING_LOST = "what was accepted is kept"
"""A report that was confirmed is applied; one that was applied is neither overwritten nor taken back nor disowned."""
ALWAYS_ENDS = "every state can end"
"""Without further faults each state can still reach one where the job is final or deleted, and nothing is left over."""
ONLY_WANTED = "tickets only where wanted"
"""No ticket is chosen and no job granted while the experiment is paused; none for a job that is not QUEUED."""
ATTEMPTS = "attempts are counted"
"""Never more than the maximum; a release, and only that, uncounts one; a retry starts from none."""
RELEASES = "releases in a row are limited"
"""A job that is only ever given back ends after so many times; one that gets on in between, or is retried, does not.

One that is given back before it began is as it was before."""
CANCELLED = "cancelled is cancelled"
"""A cancelled job ends PRUNED, and is granted to nobody."""
OLD_EPOCH = "an old instance changes nothing"
WELL_FORMED = "a row is well formed"
"""RUNNING, and only that, means a lease and a token; a QUEUED job is not to stop."""
TRUE_ANSWERS = "answers are true"
"""A worker that is granted a job has it, one that is denied does not; one whose job is no longer its own is told."""
NO_LOSS = "no attempt is lost without a fault"
"""A lease of a job that is not to stop runs out only after something went wrong."""
TOO_SMALL = "the model is large enough"
"""Queues never get longer than the model has room for: tickets do not pile up."""

MOST_TICKETS = 6
MOST_REPORTS = 12
MOST_STATES = 1_000_000


class BrokenError(Exception):
    """A property does not hold."""

    def __init__(self, broken: str, what: str) -> None:
        super().__init__(f"{broken}: {what}")
        self.broken = broken


def check_size(states: int) -> None:
    """A mutation may make ever new states."""
    if states > MOST_STATES:
        raise BrokenError(TOO_SMALL, f"more than {MOST_STATES} states")


def check_state(state: World, rules: Judge) -> None:
    """Check what must hold in each state."""
    row = rules.rows[state.job]
    if state.job != DELETED:
        _check_row(row, state, rules)
        _check_cancelled(row, state.onlooker)
    if state.tickets > MOST_TICKETS or len(state.reports) > MOST_REPORTS:
        raise BrokenError(TOO_SMALL, f"{state.tickets} tickets, {len(state.reports)} reports")


def _check_row(row: Row, state: World, rules: Judge) -> None:
    running = row.status == "RUNNING"
    if running != bool(row.lease) or (running and not row.token) or (row.stop and row.status == "QUEUED"):
        raise BrokenError(WELL_FORMED, str(row))
    if row.counted != state.onlooker.grants or not 0 <= row.counted <= rules.max_attempts:
        raise BrokenError(ATTEMPTS, f"{row.counted} are counted, {state.onlooker.grants} were granted")
    for worker in state.workers:
        if worker.doing == world.RUNNING:
            _check_runs(worker, row, state.onlooker)


def _check_runs(worker: world.Worker, row: Row, seen: Onlooker) -> None:
    if worker.token == seen.owner:
        if not seen.silent and not (row.status == "RUNNING" and row.token == worker.token):
            raise BrokenError(ONE_WORKER, f"a worker that was never silent has lost its job: {row}")
    elif worker.token not in seen.former:
        raise BrokenError(ONE_WORKER, "a worker runs a job that it was never granted")


def _check_cancelled(row: Row, seen: Onlooker) -> None:
    if seen.cancelled and (row.status == "QUEUED" or (row.final and row.status != "PRUNED")):
        raise BrokenError(CANCELLED, f"the job is {row.status}")


def check_grant(draft: Draft, token: int) -> None:
    """A claim that was not granted before is about to be."""
    seen = draft.onlooker
    if not draft.open:
        raise BrokenError(ONLY_WANTED, "a job of a closed experiment was granted")
    if seen.result:
        raise BrokenError(NOTHING_LOST, "a job with a result was granted")
    if seen.cancelled:
        raise BrokenError(CANCELLED, "a cancelled job was granted")
    if seen.owner not in (world.NOBODY, token) and not seen.silent:
        raise BrokenError(ONE_WORKER, "granted although the holder's lease never ran out")


def check_expired(draft: Draft) -> None:
    """A lease is about to be judged as over."""
    if not draft.onlooker.silent:
        raise BrokenError(
            ONE_WORKER, "a lease was judged as over that was not, or that ran out while no service listened"
        )


def check_accepted(draft: Draft, message: Message, judged: Judged) -> None:
    """A report was accepted."""
    seen = draft.onlooker
    if judged.reason not in (draft.judge.stored, draft.judge.given_back) and judged.job == draft.job:
        _check_no_change(draft, message)
        return
    if message.token != seen.owner:
        raise BrokenError(ONE_WORKER, f"a {message.kind} of a token that is not the owner's was accepted")
    if seen.result:
        raise BrokenError(ONE_RESULT, f"a {message.kind} was accepted after the end")
    if judged.reason == draft.judge.stored and message.sequence <= seen.newest:
        raise BrokenError(NOTHING_LOST, f"an older {message.kind} has overwritten a newer one")
    row = draft.judge.rows[judged.job]
    if message.kind in ("heartbeat", "progress") and not row.stop and row.lease != "alive":
        raise BrokenError(ONE_WORKER, "a sign of life has not renewed the lease")


def _check_no_change(draft: Draft, message: Message) -> None:
    """A report was accepted as one that is known already."""
    row = draft.judge.rows[draft.job]
    if message.kind == "finish" and message.token == draft.onlooker.owner and not row.final:
        raise BrokenError(NOTHING_LOST, "a finish was taken for a repeated one")


def check_refused(draft: Draft, message: Message) -> None:
    """A report was refused."""
    seen = draft.onlooker
    if draft.job == DELETED:
        return
    if message.kind == "finish" and seen.result == message.token:
        raise BrokenError(NOTHING_LOST, "the report that ended the job is refused when it is repeated")
    if seen.owner == message.token and not draft.judge.rows[draft.job].final:
        raise BrokenError(NOTHING_LOST, f"a {message.kind} was refused although nobody else has claimed")


def check_attempt(before: Row, after: Row, *, released: bool) -> None:
    """The number of an attempt goes down only by a release."""
    if after.attempt < before.attempt and not released:
        raise BrokenError(ATTEMPTS, f"from {before.attempt} to {after.attempt}")


def check_final(before: Row, after: Row, *, again: bool) -> None:
    """A result stays, unless a user wants the job to run again."""
    same = before.status == after.status and before.token == after.token and before.sequence == after.sequence
    if before.final and not same and not again:
        raise BrokenError(NOTHING_LOST, f"{before.status} has become {after.status}")


def check_answer(draft: Draft, reply: Reply, worker: world.Worker) -> None:
    """An answer of the active service is about to be read by a worker that waits for it."""
    row = draft.judge.rows[draft.job]
    holds = row.status == "RUNNING" and row.token == reply.token
    if draft.job == DELETED:
        wrong = reply.kind == "claim" and reply.yes
    elif reply.kind == "claim" and worker.doing == world.CLAIMING:
        wrong = reply.yes != holds
    else:
        wrong = reply.kind == "finish" and reply.yes and holds
    if wrong:
        raise BrokenError(TRUE_ANSWERS, f"the answer to a {reply.kind} was {'yes' if reply.yes else 'no'}, and {row}")


def check_released(draft: Draft) -> None:
    """A job was given back that is not to stop."""
    row, seen, most = draft.judge.rows[draft.job], draft.onlooker, draft.judge.max_releases
    if row.releases != seen.releases or row.final != (0 < most <= seen.releases):
        raise BrokenError(RELEASES, f"given back {seen.releases} of {most} times, and {row}")


def check_retry(draft: Draft) -> None:
    """A retry was accepted."""
    if draft.onlooker.owner and not draft.onlooker.result:
        raise BrokenError(ONE_WORKER, "a job that may still be run was queued again")


def check_change(message: Message, *, changed: bool) -> None:
    """A change was applied, or was known already."""
    if message.judged and changed:
        raise BrokenError(NOTHING_LOST, f"a {message.kind} was applied twice")


def check_lease(state: World, faults: int, row: Row) -> None:
    """A lease runs out since nobody keeps it."""
    if state.faults == faults and not row.stop:
        raise BrokenError(NO_LOSS, "a lease runs out although nothing went wrong")


def check_told(draft: Draft, token: int, *, told: bool) -> None:
    """A heartbeat is answered."""
    runs = any(worker.token == token and worker.doing in (world.AHEAD, world.RUNNING) for worker in draft.workers)
    row = draft.judge.rows[draft.job]
    mine = draft.onlooker.owner == token and row.status == "RUNNING"
    if runs and not mine and not told:
        raise BrokenError(TRUE_ANSWERS, "a worker whose job is no longer its own is not told")


def check_acknowledged(message: Message) -> None:
    """A message leaves the reports queue."""
    if not message.judged:
        raise BrokenError(NOTHING_LOST, f"a {message.kind} was acknowledged before a commit")


def check_returned(worker: world.Worker) -> None:
    """The user's code goes on after the end of a job."""
    if not worker.sent:
        raise BrokenError(NOTHING_LOST, "a finish has returned that the broker does not have")


def check_choice(draft: Draft) -> None:
    """A ticket was chosen."""
    if not draft.open:
        raise BrokenError(ONLY_WANTED, "a ticket was chosen in a closed experiment")
    if draft.judge.rows[draft.job].status != "QUEUED":
        raise BrokenError(ONLY_WANTED, "a ticket was chosen for a job that is not QUEUED")


def is_settled(state: World, rules: Judge) -> bool:
    """Tell whether the job is over, and nothing is left anywhere."""
    over = state.job == DELETED or rules.rows[state.job].final
    return over and not state.tickets and not state.reports and state.stray is None and _all_rest(state)


def _all_rest(state: World) -> bool:
    rests = all(worker.doing == world.IDLE and worker.linked and not worker.due for worker in state.workers)
    return rests and all(instance.outputs is None and not instance.hand for instance in state.instances)
