"""Judges a run: what the processes saw against what the store and the broker have. Pure functions, no I/O."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaos.attempts import Attempt, attempts_of
from chaos.evidence import FINAL, Evidence, StoredEvent, StoredJob
from chaos.history import Record
from chaos.worker import nonce_quality

JobKey = tuple[str, str]

_ENDS_OF = {"pause": "resume", "close": "reopen"}
_CLOCK_SECONDS = 0.05
"""How far the database's clock, in milliseconds, and ours may seem apart."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept."""

    kind: str
    text: str


class Run:
    """The evidence, arranged."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.attempts = [attempt for history in evidence.workers for attempt in attempts_of(history)]
        self.jobs = {(job.experiment, job.job_id): job for job in evidence.jobs}
        self.pushed = [job for job in evidence.jobs if job.number is None]
        self.made = sorted((job for job in evidence.jobs if job.number is not None), key=lambda job: job.number or 0)
        self.by_nonce = {attempt.nonce: attempt for attempt in self.attempts}
        self.by_job: dict[JobKey, list[Attempt]] = defaultdict(list)
        for attempt in sorted(self.attempts, key=lambda attempt: attempt.granted):
            self.by_job[attempt.key].append(attempt)
        self.events: dict[JobKey, list[StoredEvent]] = defaultdict(list)
        for event in evidence.events:
            self.events[event.experiment, event.job_id].append(event)
        self.kept = {nonce: event.results for event in evidence.events for nonce in set((event.results or {}).values())}
        self.maybe_deleted = self._touched("delete", "invoked")
        removed = {record["experiment"] for record in self.operations("remove", "invoked")}
        self.maybe_deleted |= {attempt.key for attempt in self.attempts if attempt.experiment in removed}
        self.surely_deleted = self._touched("delete", "returned")
        self.deleted_keys = {record["key"] for record in evidence.operations if record["what"] == "delete"}

    def _touched(self, what: str, state: str) -> set[JobKey]:
        """The jobs that an operation was done to, or may have been."""
        return {(record["experiment"], record["job"]) for record in self.operations(what, state)}

    def operations(self, what: str, state: str) -> list[Record]:
        return [record for record in self.evidence.operations if (record["what"], record["state"]) == (what, state)]

    def lost(self, attempt: Attempt, until: float) -> bool:
        """Whether the service wrote down, by then, that this attempt's lease ran out."""
        return any(
            event.kind == "lost"
            and (event.worker, event.attempt) == (attempt.worker, attempt.number)
            and attempt.asked - _CLOCK_SECONDS <= event.at <= until + _CLOCK_SECONDS
            for event in self.events[attempt.key]
        )

    def count(self, key: JobKey, kind: str, detail: str = "") -> int:
        """How often the service wrote down that something happened to a job."""
        return sum(event.times for event in self.events[key] if event.kind == kind and detail in event.detail)

    def results_of(self, attempt: Attempt) -> dict[str, object]:
        """What the store has of an attempt: as the results of the job, or kept from before another attempt."""
        job = self.jobs.get(attempt.key)
        if job is not None and attempt.nonce in job.results.values():
            return job.results
        return self.kept.get(attempt.nonce) or {}


Check = Callable[[Run], Iterator[str]]


def check(evidence: Evidence) -> list[Violation]:
    """Return every promise that was not kept."""
    run = Run(evidence)
    return [Violation(kind, text) for kind, judge in CHECKS.items() for text in judge(run)]


def _pushes_are_stored(run: Run) -> Iterator[str]:
    stored = {job.hyperparameters.get("key"): job for job in run.pushed}
    for record in _records(run.evidence.pushers, "push"):
        if record["state"] == "invoked" or (record["state"] == "raised" and record["error"] != "NotStoredYetError"):
            continue
        ids = record.get("jobs") or [None] * len(record["keys"])
        for key, job_id in zip(record["keys"], ids, strict=True):
            if key in run.deleted_keys:
                continue
            job = stored.get(key)
            if job is None:
                yield f"{key} was pushed to {record['experiment']} ({record['state']}) and is not in the store"
            elif job.experiment != record["experiment"] or job_id not in {None, job.job_id}:
                yield f"{key} was pushed to {record['experiment']} as {job_id}; stored is {_name(job)}"


def _records(histories: list[list[Record]], what: str) -> Iterator[Record]:
    for history in histories:
        yield from (record for record in history if record["what"] == what)


def _jobs_are_pushed_once(run: Run) -> Iterator[str]:
    pushed = {key for record in _records(run.evidence.pushers, "push") for key in record["keys"]}
    counts = Counter(job.hyperparameters.get("key") for job in run.pushed)
    for key, count in counts.items():
        if count > 1:
            yield f"{key} is stored {count} times"
        if key not in pushed:
            yield f"{key} is stored and was never pushed"


def _searches_keep_to_their_budget(run: Run) -> Iterator[str]:
    """Each suggestion is a job, once, and there is no other."""
    counts = Counter(job.number for job in run.made)
    wanted = range(len(run.evidence.suggestions))
    for number in sorted(counts.keys() | set(wanted), key=lambda number: number or 0):
        if counts[number] != (number in wanted):
            yield f"suggestion {number} of {len(wanted)} is stored {counts[number]} times"


def _suggestions_follow_from_the_seed(run: Run) -> Iterator[str]:
    for job in run.made:
        if (job.number or 0) < len(run.evidence.suggestions):
            expected = run.evidence.suggestions[job.number or 0]
            if job.hyperparameters != expected:
                yield f"{_name(job)}, suggestion {job.number}, has {job.hyperparameters} instead of {expected}"


def _jobs_are_final(run: Run) -> Iterator[str]:
    for job in run.evidence.jobs:
        if job.status not in FINAL:
            yield f"{_name(job)} is {job.status}, attempt {job.attempt}"


def _deleted_jobs_are_gone(run: Run) -> Iterator[str]:
    for key in run.surely_deleted & run.jobs.keys():
        yield f"{_name(run.jobs[key])} was deleted and is in the store"


def _removed_experiments_leave_nothing(run: Run) -> Iterator[str]:
    yield from run.evidence.left_by_removed


def _finishes_are_stored(run: Run) -> Iterator[str]:
    """A `with` block that was left without an error has its results in the store."""
    for attempt in run.attempts:
        if attempt.finish != "returned" or attempt.key in run.maybe_deleted:
            continue
        if run.results_of(attempt).get("final") == attempt.nonce:
            continue
        job = run.jobs.get(attempt.key)
        stored = "nothing" if job is None else _what(job)
        if attempt.answered:
            yield f"{attempt} finished and was told so; stored is {stored}"
        elif not (run.lost(attempt, _end(attempt)) and run.count(attempt.key, "refused", "finish")):
            # Sent while no service answered: it may be refused later, but only with cause, and not in silence.
            yield f"{attempt} finished without an answer; stored is {stored}, and no refusal"


def _end(attempt: Attempt) -> float:
    return attempt.granted if attempt.ended is None else attempt.ended


def _puts_are_stored(run: Run) -> Iterator[str]:
    """What an attempt has put is in the job's results, or was kept when another attempt began."""
    for attempt in run.attempts:
        if attempt.key in run.maybe_deleted:
            continue
        found = run.results_of(attempt)
        missing = [step for step in attempt.puts if found.get(f"step{step}") != attempt.nonce]
        if len(missing) > run.count(attempt.key, "refused", "progress"):
            yield f"{attempt} put step {missing}; of it is stored {found}, and no refusal"


def _refusals_have_a_cause(run: Run) -> Iterator[str]:
    """Nobody is told that a job is lost that nobody has taken; nothing is stored that was refused."""
    for attempt in run.attempts:
        if attempt.refused_at is None or attempt.key in run.maybe_deleted:
            continue
        if not run.lost(attempt, attempt.refused_at):
            yield f"{attempt} was refused, though no lease of it ran out"
        if run.results_of(attempt).get("final") == attempt.nonce:
            yield f"{attempt} was refused, and its results are stored"


def _one_finish_counts(run: Run) -> Iterator[str]:
    """A job ends once, and once more for each retry."""
    for key, attempts in run.by_job.items():
        if key in run.maybe_deleted:
            continue
        allowed = 1 + run.count(key, "retried")
        accepted = [attempt for attempt in attempts if attempt.answered]
        if len(accepted) > allowed:
            yield f"{len(accepted)} attempts were accepted: {'; '.join(map(str, accepted))}"
        if run.count(key, "ended") > allowed:
            yield f"job {key[1]} of {key[0]} ended {run.count(key, 'ended')} times, and was retried {allowed - 1} times"


def _results_are_of_one_attempt(run: Run) -> Iterator[str]:
    for event in run.evidence.events:
        if len(set((event.results or {}).values())) > 1:
            yield f"kept of job {event.job_id} of {event.experiment} are results of several attempts: {event.results}"
    for job in run.evidence.jobs:
        nonces = set(job.results.values())
        if len(nonces) > 1:
            yield f"{_name(job)} has results of {len(nonces)} attempts: {job.results}"
        elif nonces:
            yield from _results_are_as_reported(run, job, nonces.pop())


def _results_are_as_reported(run: Run, job: StoredJob, nonce: str) -> Iterator[str]:
    attempt = run.by_nonce.get(nonce)
    if attempt is None or attempt.key != (job.experiment, job.job_id):
        yield f"{_name(job)} has results that no attempt of it wrote: {job.results}"
        return
    if job.worker != attempt.worker:
        yield f"{_name(job)} has the results of {attempt}, but is said to be by {job.worker}"
    if "final" in job.results:
        if attempt.exit_status != job.status and not (job.status == "PRUNED" and run.count(attempt.key, "cancelled")):
            yield f"{attempt} ended as {attempt.exit_status}; stored is {_what(job)}"
        if job.quality != nonce_quality(nonce):
            yield f"{attempt} has another quality than it reported: {job.quality}"


def _endings_have_an_author(run: Run) -> Iterator[str]:
    """A job is final because an attempt said so, it was cancelled, or so many workers were lost."""
    for job in run.evidence.jobs:
        if job.status not in FINAL or job.results.get("final"):
            continue
        if job.status == "PRUNED" and run.count((job.experiment, job.job_id), "cancelled"):
            continue
        if job.status != "CRASHED" or not (job.error or "").startswith("worker lost"):
            yield f"{_name(job)} is {_what(job)}, and no attempt ended it"
        elif _counted(job) < job.max_attempts:
            yield f"{_name(job)} was given up after {_counted(job)} of {job.max_attempts} attempts"


def _counted(job: StoredJob) -> int:
    return job.attempt - job.attempts_forgiven


def _attempts_are_bounded(run: Run) -> Iterator[str]:
    for job in run.evidence.jobs:
        if _counted(job) > job.max_attempts:
            yield f"{_name(job)} had {_counted(job)} attempts of {job.max_attempts}"


def _operations_are_done(run: Run) -> Iterator[str]:
    """Who cancels or retries a job is not told that it was done, and then it was not; nor is it done twice."""
    for what, kind in (("cancel", "cancelled"), ("retry", "retried")):
        asked = Counter((record["experiment"], record["job"]) for record in run.operations(what, "invoked"))
        told = Counter(
            (record["experiment"], record["job"]) for record in run.operations(what, "returned") if record["changed"]
        )
        for key in run.jobs.keys() - run.maybe_deleted:
            done = run.count(key, kind)
            if done > asked[key] or (kind == "retried" and done < told[key]) or (told[key] and not done):
                yield f"job {key[1]} of {key[0]}: {what} {asked[key]} times, told {told[key]}, done {done} times"


def _only_cancelled_jobs_are_stopped(run: Run) -> Iterator[str]:
    for attempt in run.attempts:
        if attempt.stopped_at is None or attempt.key in run.maybe_deleted:
            continue
        if not run.count(attempt.key, "cancelled"):
            yield f"{attempt} was told to stop, and nobody had cancelled the job"


def _attempts_begin_clean(run: Run) -> Iterator[str]:
    for attempt in run.attempts:
        if attempt.found:
            yield f"{attempt} began with results of another: {attempt.found}"


def _one_worker_at_a_time(run: Run) -> Iterator[str]:
    """A job is granted to a second worker while a first still runs it only after the first one's lease ran out."""
    for key, attempts in run.by_job.items():
        if key in run.maybe_deleted:
            continue  # what the service wrote down about it has gone, too
        for first, second in itertools.pairwise(attempts):
            left = first.left
            if (left is None or left > second.granted) and not run.lost(first, second.granted):
                yield f"{first} still ran when {second} began, and no lease had run out"


def _paused_experiments_rest(run: Run) -> Iterator[str]:
    pauses = list(_pauses(run.evidence.operations))
    for attempt in run.attempts:
        for name, begin, end in pauses:
            if attempt.experiment == name and begin < attempt.asked and attempt.granted < end:
                yield f"{attempt} began while the experiment was paused or DONE"


def _pauses(operations: list[Record]) -> Iterator[tuple[str, float, float]]:
    """Name, beginning and end of the times in which an experiment was certainly paused, or DONE."""
    since: dict[tuple[str, str], float] = {}
    for record in operations:
        what, name = record["what"], record.get("experiment", "")
        if what in _ENDS_OF and record["state"] == "returned":
            since[name, _ENDS_OF[what]] = record["at"]
        elif record["state"] == "invoked" and (name, what) in since:
            yield name, since.pop((name, what)), record["at"]


def _queues_are_empty(run: Run) -> Iterator[str]:
    for queue, kinds in run.evidence.left_in_queues.items():
        yield f"{queue} has {dict(Counter(kinds))}"


def _nothing_is_dead(run: Run) -> Iterator[str]:
    """Nothing in a run is malformed, so nothing may be among the dead letters."""
    for letter in run.evidence.dead:
        yield f"{letter.kind} {letter.message_id} ({letter.routing_key}): {letter.reason or 'no reason given'}"


def _processes_live(run: Run) -> Iterator[str]:
    yield from run.evidence.failures


def _name(job: StoredJob) -> str:
    return f"job {job.job_id} of {job.experiment}"


def _what(job: StoredJob) -> str:
    return f"{job.status} by {job.worker} (attempt {job.attempt}, {job.results}, error {job.error!r})"


CHECKS: dict[str, Check] = {
    "push lost": _pushes_are_stored,
    "job stored twice or unasked": _jobs_are_pushed_once,
    "budget not kept": _searches_keep_to_their_budget,
    "suggestion not of the seed": _suggestions_follow_from_the_seed,
    "job not final": _jobs_are_final,
    "deleted job still there": _deleted_jobs_are_gone,
    "removed experiment left something": _removed_experiments_leave_nothing,
    "finish lost": _finishes_are_stored,
    "put lost": _puts_are_stored,
    "refused without cause": _refusals_have_a_cause,
    "two accepted finishes": _one_finish_counts,
    "results mixed": _results_are_of_one_attempt,
    "ended by nobody": _endings_have_an_author,
    "too many attempts": _attempts_are_bounded,
    "operation lost or doubled": _operations_are_done,
    "stopped without cause": _only_cancelled_jobs_are_stopped,
    "attempt did not begin clean": _attempts_begin_clean,
    "two workers at once": _one_worker_at_a_time,
    "ran while paused": _paused_experiments_rest,
    "left in a queue": _queues_are_empty,
    "dead letter": _nothing_is_dead,
    "process failed": _processes_live,
}
