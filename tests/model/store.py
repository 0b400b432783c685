"""Applying messages to the job: `schedy_store.reports.Reports` and `schedy_store.changes.Changes`.

Each verdict is that of the real `transitions`. Beside it stands what the onlooker makes of what happened; he goes by
what was granted, reported and wished for, never by the row.
"""

from collections.abc import Callable

from tests.model import properties
from tests.model.judge import ALIVE, DELETED, Judged
from tests.model.scenario import Break
from tests.model.setup import Setup
from tests.model.world import AHEAD_OF_IT, CHOSEN, KNOWN_BEGUN, NONE, Draft, Message, Onlooker, Reply


def apply(setup: Setup, draft: Draft, message: Message) -> Reply | None:
    """Apply a message, in a transaction."""
    if message.kind in _CHANGES:
        before = draft.job, draft.open
        if not message.judged or setup.breaks(Break.CHANGE_APPLIED_ONCE):  # `applied_change` knows its request id
            _CHANGES[message.kind](setup, draft)
        properties.check_change(message, changed=before != (draft.job, draft.open))
        return None
    return _REPORTS[message.kind](setup, draft, message)


def move(draft: Draft, judged: Judged, *, released: bool = False, again: bool = False) -> None:
    """Write a verdict: `Reports._move`."""
    rows, before = draft.judge.rows, draft.job
    draft.job = judged.job
    properties.check_attempt(rows[before], rows[judged.job], released=released)
    properties.check_final(rows[before], rows[judged.job], again=again)
    if judged.withdrawn:
        _withdraw(draft)
    if rows[judged.job].lease == "alive" and rows[before].lease != "alive":
        draft.onlooker = draft.onlooker._replace(silent=False)


def _withdraw(draft: Draft) -> None:
    """Another ticket number is wanted: the confirm of one that is under way is that of an older one."""
    draft.instances = [
        instance._replace(wanted=NONE, older=instance.older or instance.wanted != CHOSEN)
        if instance.wanted != NONE
        else instance
        for instance in draft.instances
    ]


def renew(draft: Draft) -> None:
    """Give a running job a whole lease: `Leases.renew`."""
    if draft.judge.rows[draft.job].status == "RUNNING":
        move(draft, Judged(draft.judge.with_lease(draft.job, ALIVE), True, "", False))


def expire(draft: Draft) -> None:
    """Judge the lease: `Leases.expire`, and a claim that finds it over."""
    if draft.job != DELETED:
        event = "expire" if draft.onlooker.begun == KNOWN_BEGUN else "expire unbegun"
        lose(draft, draft.judge.verdict(event, draft.job, draft.open))


def lose(draft: Draft, judged: Judged) -> None:
    if not judged.accepted:
        return
    properties.check_expired(draft)
    stop = draft.judge.rows[draft.job].stop
    seen = draft.onlooker
    if seen.begun != KNOWN_BEGUN and not seen.newest and stop is None:
        move(draft, judged, released=True)
        draft.onlooker = seen.disowned()._replace(grants=seen.grants - 1)
        return
    move(draft, judged)
    draft.onlooker = draft.onlooker._replace(releases=0)
    if stop is not None or draft.judge.rows[draft.job].final:
        draft.onlooker = draft.onlooker.disowned()


def _claim(setup: Setup, draft: Draft, message: Message) -> Reply:
    if draft.job == DELETED:
        return Reply("claim", message.token, setup.breaks(Break.DELETED_DENIED))
    row = draft.judge.rows[draft.job]
    if row.status == "RUNNING" and row.token != message.token:
        if setup.breaks(Break.EXPIRE_ONLY_WHEN_OVER):
            lose(draft, draft.judge.verdict("lease over", draft.job, draft.open))
        else:
            expire(draft)
    judged = draft.judge.verdict("claim", draft.job, draft.open, message.token)
    if judged.accepted and draft.onlooker.owner != message.token:
        properties.check_grant(draft, message.token)
        seen = draft.onlooker.disowned()
        begun = AHEAD_OF_IT if setup.scenario.ahead else KNOWN_BEGUN
        draft.onlooker = seen._replace(owner=message.token, grants=seen.grants + 1, begun=begun)
    move(draft, judged)
    return Reply("claim", message.token, judged.accepted)


def _heartbeat(_setup: Setup, draft: Draft, message: Message) -> Reply:
    if draft.job == DELETED:
        return Reply("heartbeat", message.token, False)
    judged = draft.judge.verdict("heartbeat", draft.job, draft.open, message.token)
    row = draft.judge.rows[draft.job]
    if judged.accepted:
        properties.check_accepted(draft, message, judged)
        move(draft, judged)
    else:
        properties.check_refused(draft, message)
    lost = not judged.accepted and row.token != message.token
    properties.check_told(draft, message.token, told=lost)
    return Reply("heartbeat", message.token, not lost)


def _progress(setup: Setup, draft: Draft, message: Message) -> Reply:
    judged = _judge_report(draft, message)
    if judged is not None and judged.reason == draft.judge.stored:
        move(draft, judged)
        draft.onlooker = draft.onlooker._replace(newest=message.sequence, releases=0)
    return Reply("progress", message.token, judged is not None)


def _finish(setup: Setup, draft: Draft, message: Message) -> Reply:
    judged = _judge_report(draft, message)
    if judged is not None and judged.reason == draft.judge.stored:
        move(draft, judged)
        if draft.judge.rows[judged.job].final:
            draft.onlooker = draft.onlooker._replace(newest=message.sequence, result=message.token)
        else:
            draft.onlooker = draft.onlooker.disowned()._replace(releases=0)
    return Reply("finish", message.token, judged is not None)


def _release(setup: Setup, draft: Draft, message: Message) -> None:
    judged = _judge_report(draft, message)
    if judged is None or judged.reason != draft.judge.given_back:
        return
    stopped = draft.judge.rows[draft.job].stop is not None
    move(draft, judged, released=True)
    seen = draft.onlooker.disowned()
    if stopped:
        draft.onlooker = seen._replace(releases=0)
        return
    given_up = draft.judge.rows[judged.job].final
    draft.onlooker = seen._replace(grants=seen.grants - (not given_up), releases=seen.releases + 1)
    properties.check_released(draft)


def _release_unbegun(setup: Setup, draft: Draft, message: Message) -> None:
    judged = _judge_report(draft, message)
    if judged is None or judged.reason != draft.judge.given_back:
        return
    cancelled = draft.onlooker.cancelled
    move(draft, judged, released=True)
    seen = draft.onlooker.disowned()
    draft.onlooker = seen._replace(releases=0) if cancelled else seen._replace(grants=seen.grants - 1)
    if not cancelled:
        properties.check_released(draft)


def _judge_report(draft: Draft, message: Message) -> Judged | None:
    """The verdict, None if it is a refusal. An accepted report is still to be written."""
    if draft.job == DELETED:
        return None
    judged = draft.judge.verdict(message.kind, draft.job, draft.open, message.token, message.sequence)
    if not judged.accepted:
        properties.check_refused(draft, message)
        return None
    properties.check_accepted(draft, message, judged)
    return judged


def _tick(_setup: Setup, draft: Draft, _message: Message) -> None:
    expire(draft)


def _late(_setup: Setup, draft: Draft, _message: Message) -> None:
    """A tick that finds that the job has run for too long."""
    if draft.job != DELETED:
        judged = draft.judge.verdict("overdue", draft.job, draft.open)
        if judged.accepted:
            move(draft, judged)


def _pause(setup: Setup, draft: Draft) -> None:
    draft.open = False
    if draft.job != DELETED and not setup.breaks(Break.PAUSE_WITHDRAWS_TICKETS):
        move(draft, draft.judge.verdict("ticket lost", draft.job, False))


def _resume(_setup: Setup, draft: Draft) -> None:
    draft.open = True


def _cancel(_setup: Setup, draft: Draft) -> None:
    if draft.job == DELETED:
        return
    judged = draft.judge.verdict("cancel", draft.job, draft.open)
    if judged.accepted:
        if draft.judge.rows[draft.job].status == "QUEUED":
            draft.onlooker = draft.onlooker.disowned()
        move(draft, judged)
        draft.onlooker = draft.onlooker._replace(cancelled=True)


def _retry(_setup: Setup, draft: Draft) -> None:
    if draft.job == DELETED:
        return
    judged = draft.judge.verdict("retry", draft.job, draft.open)
    if judged.accepted:
        properties.check_retry(draft)
        move(draft, judged, again=True)
        draft.onlooker = Onlooker(former=draft.onlooker.disowned().former)


def _delete(_setup: Setup, draft: Draft) -> None:
    draft.job = DELETED
    draft.onlooker = Onlooker(former=draft.onlooker.disowned().former)


_REPORTS: dict[str, Callable[[Setup, Draft, Message], Reply | None]] = {
    "claim": _claim,
    "heartbeat": _heartbeat,
    "progress": _progress,
    "finish": _finish,
    "release": _release,
    "release unbegun": _release_unbegun,
    "tick": _tick,
    "late tick": _late,
}
_CHANGES: dict[str, Callable[[Setup, Draft], None]] = {
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "retry": _retry,
    "delete": _delete,
}
