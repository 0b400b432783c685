"""Reasons for which a search ends by the jobs that it has seen, whatever its algorithm."""

from schedy.search.definition import missing_result
from schedy.wire.records import SEARCH_FAILED
from schedy_store.search.memory import Memory
from schedy_store.search.protocol import Exhausted, History, NotYet

_NAMES_SHOWN = 10


def ending(memory: Memory, history: History, known: int) -> Exhausted | NotYet | None:
    """Return why no suggestion is made from this history, when `known` jobs had ended; None if one is."""
    return (
        _reached(memory, known)
        or _without_improvement(memory, known)
        or _without_result(memory, known)
        or _hopeless(memory, known)
        or _done(memory, history, known)
    )


def _reached(memory: Memory, known: int) -> Exhausted | None:
    job = memory.reached(known)
    if job is None:
        return None
    bounds = ", ".join(f"{bound} (it has {job.results[bound.result]})" for bound in memory.definition.stop_at)
    return Exhausted(f"Job {job.job_id} has reached {bounds}.")


def _without_improvement(memory: Memory, known: int) -> Exhausted | None:
    patience = memory.definition.stop_after_no_improvement
    if patience is None or memory.without_improvement(known) < patience:
        return None
    return Exhausted(f"{_jobs_have(patience)} ended without a better one.")


def _without_result(memory: Memory, known: int) -> Exhausted | None:
    limit = memory.definition.stop_after_no_result
    if limit is None or not memory.definition.objectives:
        return None
    jobs = memory.without_result(known)
    if len(jobs) < limit:
        return None
    missing = missing_result(memory.definition, jobs[0].results)
    names = list(dict.fromkeys(repr(name) for job in jobs[:limit] for name in job.results))[:_NAMES_SHOWN]
    there = f"the result{'s' * (len(names) > 1)} {', '.join(names)}" if names else "no result at all"
    return Exhausted(
        f"{SEARCH_FAILED}: the last {limit} jobs were DONE without a number as the result {missing!r}."
        f" They had {there}. Report {missing!r}, then raise stop_after_no_result to go on."
    )


def _hopeless(memory: Memory, known: int) -> Exhausted | None:
    limit = memory.definition.stop_after_crashes
    ended, kept = memory.tally(known)
    if limit is None or kept or ended < limit:
        return None
    return Exhausted(
        f"{SEARCH_FAILED}: all of the first {ended} jobs have CRASHED. Look at the error of one, and mend its cause;"
        " then raise stop_after_crashes to go on."
    )


def _done(memory: Memory, history: History, known: int) -> Exhausted | NotYet | None:
    """Let no more jobs be under way than may still be needed: one that crashes is replaced."""
    wanted = memory.definition.max_done
    if wanted is None:
        return None
    kept = memory.tally(known).kept
    if kept >= wanted:
        return Exhausted(f"{_jobs_have(wanted)} ended without a crash.")
    open_jobs = sum(trial.number is not None for trial in history.pending)
    return NotYet() if kept + open_jobs >= wanted else None


def _jobs_have(count: int) -> str:
    return "1 job has" if count == 1 else f"{count} jobs have"
