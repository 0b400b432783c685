"""Each rule of the protocol, broken on purpose.

A rule of the module `transitions` is broken by changing its source, which is found by importing it; texts are of code
alone, so that docstrings may change. A rule of the service or of the worker library is broken by a `Break`. Rules
without which nothing goes wrong, since another guards the same, are left out:

- a claim that is denied because the experiment is closed withdraws the ticket: closing has done that already,
- a job that is queued again begins with sequence 0: the next claim sets that, too,
- cancelling a QUEUED job withdraws its ticket, and closing that of a QUEUED job alone: the others want none,
- the ticket is acknowledged behind the finish, and not before: the lease alone guards the job (early acknowledgement),
- a claim judges a lease that is over: the next tick does,
- a holder that is to stop gets a whole lease from then on: courtesy, as is that a second cancel does not give another.
"""

import inspect
from dataclasses import dataclass, replace
from types import ModuleType

from schedy_store.lifecycle import transitions
from tests.model.properties import (
    ALWAYS_ENDS,
    ATTEMPTS,
    CANCELLED,
    NO_LOSS,
    NOTHING_LOST,
    OLD_EPOCH,
    ONE_RESULT,
    ONE_WORKER,
    ONLY_WANTED,
    RELEASES,
    TOO_SMALL,
    TRUE_ANSWERS,
    WELL_FORMED,
)
from tests.model.scenario import Break, Scenario
from tests.model.scenarios import SMALL


@dataclass(frozen=True)
class Mutation:
    """A rule, the scenario in which it shows that it is broken, and the property that is violated then.

    `old` is a text that the module `transitions` has once; `new` takes its place.
    """

    rule: str
    scenario: str
    violates: str
    old: str = ""
    new: str = ""
    broken: Break | None = None


def mutated(mutation: Mutation) -> tuple[Scenario, ModuleType]:
    """Return the scenario with the rule broken, and the rules to ask."""
    scenario = replace(SMALL[mutation.scenario], broken=mutation.broken)
    return scenario, _changed(mutation.old, mutation.new) if mutation.old else transitions


def _changed(old: str, new: str) -> ModuleType:
    source = inspect.getsource(transitions)
    if source.count(old) != 1:
        raise ValueError(
            f"{transitions.__name__} has {source.count(old)} times, and not once: {old!r}. Correct the mutation."
        )
    module = ModuleType("transitions_mutated")
    exec(compile(source.replace(old, new), module.__name__, "exec"), module.__dict__)  # noqa: S102
    return module


_CLAIMS = [
    Mutation(
        "a claim of a final job is denied",
        "lost tickets",
        NOTHING_LOST,
        """    if job.is_final:
        return Verdict(job, False, f"it is {job.status}.")
    if job.status == QUEUED and not terms.open:
""",
        """    if job.status == QUEUED and not terms.open:
""",
    ),
    Mutation("a claim of a deleted job is denied", "deletions", TRUE_ANSWERS, broken=Break.DELETED_DENIED),
    Mutation(
        "a claim in a closed experiment is denied",
        "pauses",
        ONLY_WANTED,
        """    if job.status == QUEUED and not terms.open:
        return Verdict(_without_ticket(job), False, "its experiment is paused or done.")
""",
    ),
    Mutation(
        "a claim of the token that runs the job is granted",
        "replies",
        TRUE_ANSWERS,
        """    if job.token == token:
        return Verdict(_kept(job, terms, now), True)
    if job.status == RUNNING:
""",
        """    if job.status == RUNNING:
""",
    ),
    Mutation(
        "a claim of a job that another runs is denied",
        "lost tickets",
        ONE_WORKER,
        """    if job.status == RUNNING:
        return Verdict(job, False, "another worker is running it.")
""",
    ),
    Mutation("a claim ends only a lease that is over", "suspicions", ONE_WORKER, broken=Break.EXPIRE_ONLY_WHEN_OVER),
    Mutation("a grant counts an attempt", "replies", ATTEMPTS, "attempt=job.attempt + 1", "attempt=job.attempt"),
    Mutation(
        "a grant gives a lease",
        "replies",
        ONE_WORKER,
        "sequence=0, lease_until=now + terms.lease",
        "sequence=0, lease_until=now",
    ),
    Mutation(
        "the numbers of reports start again with each grant",
        "repeats",
        NOTHING_LOST,
        ", sequence=0, lease_until=now",
        ", lease_until=now",
    ),
]

_REPORTS = [
    Mutation(
        "a heartbeat needs the token",
        "timeouts retried",
        ONE_WORKER,
        """    if job.token != token or job.is_final:
        return Verdict(job, False, _not_yours(job, token))
    return Verdict(_kept""",
        """    if job.is_final:
        return Verdict(job, False, _not_yours(job, token))
    return Verdict(_kept""",
    ),
    Mutation(
        "a heartbeat changes no final job",
        "crashes",
        ONE_RESULT,
        """    if job.token != token or job.is_final:
        return Verdict(job, False, _not_yours(job, token))
    return Verdict(_kept""",
        """    if job.token != token:
        return Verdict(job, False, _not_yours(job, token))
    return Verdict(_kept""",
    ),
    Mutation(
        "a heartbeat renews the lease",
        "cuts",
        NO_LOSS,
        """        return Verdict(job, False, _not_yours(job, token))
    return Verdict(_kept(job, terms, now), True)""",
        """        return Verdict(job, False, _not_yours(job, token))
    return Verdict(job, True)""",
    ),
    Mutation(
        "progress renews the lease",
        "repeats",
        ONE_WORKER,
        "replace(_kept(job, terms, now), sequence=sequence)",
        "replace(job, sequence=sequence)",
    ),
    Mutation(
        "a sign of life takes a job up again that nobody has claimed",
        "suspicions",
        TRUE_ANSWERS,
        "else replace(job, status=RUNNING, lease_until=now + terms.lease)",
        "else replace(job, lease_until=now + terms.lease)",
    ),
    Mutation(
        "a report needs the token",
        "suspicions",
        ONE_WORKER,
        """        return Verdict(job, True)
    if job.token != token or job.is_final:""",
        """        return Verdict(job, True)
    if job.is_final:""",
    ),
    Mutation(
        "no report changes a final job",
        "threads",
        ONE_RESULT,
        """        return Verdict(job, True)
    if job.token != token or job.is_final:""",
        """        return Verdict(job, True)
    if job.token != token:""",
    ),
    Mutation(
        "an older or repeated report changes nothing",
        "repeats",
        NOTHING_LOST,
        """    if job.token == token and sequence <= job.sequence:
        return Verdict(job, True)
""",
    ),
    Mutation(
        "a finish is numbered",
        "cuts",
        NOTHING_LOST,
        "    job = replace(job, sequence=sequence)\n    if job.stop",
        "    if job.stop",
    ),
    Mutation(
        "progress is numbered",
        "repeats",
        NOTHING_LOST,
        "replace(_kept(job, terms, now), sequence=sequence)",
        "_kept(job, terms, now)",
    ),
    Mutation(
        "a release uncounts the attempt",
        "workers",
        ATTEMPTS,
        "replace(_queued_again(job), attempt=job.attempt - 1, releases=releases)",
        "replace(_queued_again(job), releases=releases)",
    ),
    Mutation(
        "a release clears the token",
        "repeats",
        ONE_WORKER,
        "replace(_queued_again(job), attempt=",
        "replace(_queued_again(job), token=job.token, attempt=",
    ),
    Mutation(
        "a release withdraws the ticket",
        "repeats",
        ALWAYS_ENDS,
        "replace(_queued_again(job), attempt=",
        "replace(_queued_again(job), dispatched=job.dispatched, ticket=job.ticket, attempt=",
    ),
]

_RELEASES = [
    Mutation(
        "releases in a row are limited",
        "releases",
        RELEASES,
        "if 0 < max_releases <= releases:",
        "if 0 < max_releases < releases:",
    ),
    Mutation("releases are counted", "releases", RELEASES, "releases = job.releases + 1", "releases = 1"),
    Mutation(
        "what is given back before it began is not counted as given back",
        "claims ahead",
        RELEASES,
        "releases = job.releases + 1 if begun else job.releases",
        "releases = job.releases + 1",
    ),
    Mutation(
        "no timeout ends a job that was not begun",
        "timeouts ahead",
        RELEASES,
        "(job.stop is not None and begun)",
        "(job.stop is not None)",
    ),
    Mutation(
        "a cancelled job is PRUNED though it was not begun",
        "timeouts ahead",
        ATTEMPTS,
        'job.stop == "cancelled" or (job.stop is not None and begun)',
        "job.stop is not None and begun",
    ),
    Mutation(
        "a job that is given up keeps its attempt",
        "releases",
        ATTEMPTS,
        "crashed = replace(job, status=CRASHED,",
        "crashed = replace(job, attempt=job.attempt - 1, status=CRASHED,",
    ),
    Mutation(
        "progress starts the count of releases again",
        "releases",
        RELEASES,
        "state=replace(verdict.state, releases=0)",
        "state=verdict.state",
    ),
    Mutation(
        "a lost worker starts the count of releases again",
        "releases",
        RELEASES,
        "status=QUEUED, lease_until=None, releases=0)",
        "status=QUEUED, lease_until=None)",
    ),
    Mutation(
        "a retry starts the count of releases again",
        "releases",
        RELEASES,
        "stop=None, releases=0",
        "stop=None",
    ),
]

_LEASES = [
    Mutation("only a lease that is over ends", "suspicions", ONE_WORKER, " and job.lease_until <= now"),
    Mutation(
        "leases end",
        "suspicions",
        ALWAYS_ENDS,
        "        return lease_over(job, terms, begun=begun)\n",
        '        return Verdict(job, False, "it may live.")\n',
    ),
    Mutation(
        "a lost job wants a new ticket",
        "suspicions",
        ALWAYS_ENDS,
        "replace(_without_ticket(job), status=QUEUED, lease_until=None, releases=0)",
        "replace(job, status=QUEUED, lease_until=None, releases=0)",
    ),
    Mutation(
        "the last token counts until another has claimed",
        "suspicions",
        NOTHING_LOST,
        "replace(_without_ticket(job), status=QUEUED, lease_until=None, releases=0)",
        "replace(_without_ticket(job), status=QUEUED, token=None, lease_until=None, releases=0)",
    ),
    Mutation(
        "an attempt that had not begun does not count",
        "losses ahead",
        ATTEMPTS,
        "Verdict(_as_before(job, job.releases)",
        "Verdict(_queued_again(job)",
    ),
    Mutation(
        "an attempt counts that has reported something",
        "losses ahead",
        ATTEMPTS,
        "if not begun and job.sequence == 0 and",
        "if not begun and",
    ),
    Mutation(
        "a cancelled job is PRUNED though its worker was lost before it began",
        "losses ahead",
        ATTEMPTS,
        "job.sequence == 0 and job.stop is None:",
        "job.sequence == 0:",
    ),
    Mutation(
        "attempts are limited",
        "retries of the lost",
        ATTEMPTS,
        "if job.counted_attempts >= terms.max_attempts:",
        "if job.counted_attempts > terms.max_attempts:",
    ),
    Mutation(
        "the late holder of a job that was given up is told",
        "suspicions",
        TRUE_ANSWERS,
        "status=CRASHED, token=None, lease_until=None",
        "status=CRASHED, lease_until=None",
    ),
    Mutation("leases are renewed after a gap", "crashes", ONE_WORKER, broken=Break.RENEWAL_AFTER_GAP),
]

_STOPS = [
    Mutation(
        "what a finish becomes is decided by the reason to stop",
        "cancels",
        CANCELLED,
        """    job = replace(job, sequence=sequence)
    if job.stop is not None:
        return Verdict(_stopped(job, terms), True, STORED)
""",
        """    job = replace(job, sequence=sequence)
""",
    ),
    Mutation(
        "what a release becomes is decided by the reason to stop",
        "cancels",
        ATTEMPTS,
        """    if job.stop == "cancelled" or (job.stop is not None and begun):
        return Verdict(_stopped(replace(job, sequence=sequence), terms), True, GIVEN_BACK)
""",
    ),
    Mutation(
        "what the end of a lease means is decided by the reason to stop",
        "timeouts retried",
        WELL_FORMED,
        """    if job.stop is not None:
        return Verdict(replace(_stopped(job, terms), token=None), True, "the worker did not stop")
""",
    ),
    Mutation(
        "a holder that did not stop is told",
        "timeouts",
        TRUE_ANSWERS,
        "replace(_stopped(job, terms), token=None)",
        "_stopped(job, terms)",
    ),
    Mutation(
        "a holder that is to stop gets no more time",
        "timeouts",
        ALWAYS_ENDS,
        "return job if job.stop is not None else replace(job, status=RUNNING",
        "return replace(job, status=RUNNING",
    ),
    Mutation(
        "a cancelled job ends PRUNED",
        "cancels",
        CANCELLED,
        """    if job.stop == "cancelled":
        return replace(job, status=PRUNED, lease_until=None)
    if terms""",
        "    if terms",
    ),
    Mutation(
        "a job over time runs again only while attempts are left",
        "timeouts retried",
        ATTEMPTS,
        "if terms.retry_timeouts and job.counted_attempts < terms.max_attempts:",
        "if terms.retry_timeouts:",
    ),
    Mutation(
        "only a running job can be over time",
        "timeouts",
        WELL_FORMED,
        "if job.status != RUNNING or job.stop is not None:",
        "if job.stop is not None:",
    ),
    Mutation(
        "the first reason to stop stays, but for a cancel",
        "timeouts",
        CANCELLED,
        "if job.status != RUNNING or job.stop is not None:",
        "if job.status != RUNNING:",
    ),
    Mutation(
        "a job that runs again is not to stop any more",
        "timeouts retried",
        WELL_FORMED,
        "lease_until=None, stop=None, releases=0",
        "lease_until=None, releases=0",
    ),
]

_USERS = [
    Mutation(
        "a final job is not cancelled",
        "cancels",
        WELL_FORMED,
        """    if job.is_final:
        return Verdict(job, False, f"it is already {job.status}.")
    if job.status == QUEUED:
""",
        """    if job.status == QUEUED:
""",
    ),
    Mutation(
        "a cancelled QUEUED job is PRUNED at once",
        "cancels",
        WELL_FORMED,
        "replace(_without_ticket(job), status=PRUNED, token=None)",
        'replace(job, stop="cancelled")',
    ),
    Mutation(
        "the late holder of a job that was cancelled is told",
        "cancels",
        TRUE_ANSWERS,
        "status=PRUNED, token=None",
        "status=PRUNED",
    ),
    Mutation(
        "a cancelled RUNNING job is to stop",
        "cancels",
        CANCELLED,
        'replace(job, stop="cancelled", lease_until=now + terms.lease), True',
        "job, True",
    ),
    Mutation(
        "only a final job is retried",
        "retries",
        ONE_WORKER,
        """    if not job.is_final:
        return Verdict(job, False, f"it is {job.status}, and only a job that has ended can be run again.")
""",
    ),
    Mutation(
        "a retry clears the token",
        "retries",
        ONE_WORKER,
        "replace(_queued_again(job), attempts_forgiven",
        "replace(_queued_again(job), token=job.token, attempts_forgiven",
    ),
    Mutation(
        "a retry forgives the attempts",
        "retries",
        ATTEMPTS,
        "replace(_queued_again(job), attempts_forgiven=job.attempt)",
        "_queued_again(job)",
    ),
    Mutation(
        "a retry wants a new ticket",
        "retries",
        ALWAYS_ENDS,
        "replace(_queued_again(job), attempts_forgiven",
        "replace(_queued_again(job), dispatched=job.dispatched, ticket=job.ticket, attempts_forgiven",
    ),
    Mutation(
        "a retried job is not to stop any more",
        "cancels and retries",
        WELL_FORMED,
        "replace(_queued_again(job), attempts_forgiven",
        "replace(_queued_again(job), stop=job.stop, attempts_forgiven",
    ),
    Mutation("a change is applied once", "retries", NOTHING_LOST, broken=Break.CHANGE_APPLIED_ONCE),
]

_TICKETS = [
    Mutation(
        "only the wanted ticket's number is marked",
        "pauses",
        ALWAYS_ENDS,
        "replace(job, dispatched=True) if ticket == job.ticket else job",
        "replace(job, dispatched=True)",
    ),
    Mutation(
        "a withdrawn ticket has another number",
        "retries",
        ALWAYS_ENDS,
        "dispatched=False, ticket=job.ticket + 1",
        "dispatched=False",
    ),
    Mutation(
        "a withdrawn ticket is not out",
        "retries",
        ALWAYS_ENDS,
        "dispatched=False, ticket=job.ticket + 1",
        "ticket=job.ticket + 1",
    ),
    Mutation(
        "closing an experiment, or a purge, withdraws the ticket",
        "lost tickets",
        ALWAYS_ENDS,
        "return _without_ticket(job) if job.status == QUEUED else job",
        "return job",
    ),
    Mutation("closing withdraws tickets", "pauses", ALWAYS_ENDS, broken=Break.PAUSE_WITHDRAWS_TICKETS),
    Mutation("a lost ticket is missed", "lost tickets", ALWAYS_ENDS, broken=Break.LOST_TICKETS_REISSUED),
    Mutation("a ticket is marked once it is out", "crashes", ALWAYS_ENDS, broken=Break.TICKET_MARKED_WHEN_CONFIRMED),
    Mutation(
        "a closed experiment wants no ticket",
        "pauses",
        ONLY_WANTED,
        "job.status == QUEUED and not job.dispatched and terms.open",
        "job.status == QUEUED and not job.dispatched",
    ),
    Mutation(
        "a ticket that is out is not wanted again",
        "replies",
        TOO_SMALL,
        "job.status == QUEUED and not job.dispatched and terms.open",
        "job.status == QUEUED and terms.open",
    ),
    Mutation(
        "only a QUEUED job wants a ticket",
        "suspicions",
        ONLY_WANTED,
        "job.status == QUEUED and not job.dispatched and terms.open",
        "not job.dispatched and terms.open",
    ),
]

_SERVICE = [
    Mutation("each transaction checks the epoch", "take-over", OLD_EPOCH, broken=Break.EPOCH_CHECK),
    Mutation(
        "an epoch follows the one at the subscription",
        "take-over",
        OLD_EPOCH,
        broken=Break.EPOCH_FOLLOWS_SUBSCRIPTION,
    ),
    Mutation("a batch is acknowledged after the commit", "crashes", NOTHING_LOST, broken=Break.ACK_AFTER_COMMIT),
    Mutation("an answer goes after the commit", "crashes", TRUE_ANSWERS, broken=Break.REPLY_AFTER_COMMIT),
]

_WORKERS = [
    Mutation("nothing runs without the answer", "replies", ONE_WORKER, broken=Break.ANSWER_AWAITED),
    Mutation("a claim without an answer is asked again", "replies", ALWAYS_ENDS, broken=Break.CLAIM_ASKED_AGAIN),
    Mutation("a claim that is given up is released", "cancels", NO_LOSS, broken=Break.RELEASE_ON_GIVING_UP),
    Mutation("what was claimed ahead is given back", "claims ahead", NO_LOSS, broken=Break.AHEAD_GIVEN_BACK),
    Mutation(
        "a ticket in a busy worker goes back to its queue",
        "claims ahead",
        ALWAYS_ENDS,
        broken=Break.SPARE_GIVEN_BACK,
    ),
    Mutation("the lease of what was claimed ahead is kept", "claims ahead", NO_LOSS, broken=Break.AHEAD_BEATS),
    Mutation(
        "the ticket of a denied claim is acknowledged", "cuts", ALWAYS_ENDS, broken=Break.TICKET_ACKED_WHEN_DENIED
    ),
    Mutation("a job ends when the broker has its finish", "cuts", NOTHING_LOST, broken=Break.FINISH_CONFIRMED),
    Mutation("a finish is sent until it is confirmed", "cuts", ALWAYS_ENDS, broken=Break.FINISH_SENT_AGAIN),
    Mutation("a worker that is told lets its job go", "timeouts", ALWAYS_ENDS, broken=Break.LOST_HOLDER_TOLD),
]

MUTATIONS = [*_CLAIMS, *_REPORTS, *_RELEASES, *_LEASES, *_STOPS, *_USERS, *_TICKETS, *_SERVICE, *_WORKERS]
