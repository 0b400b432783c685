"""Reasons for which a search ends by the jobs that it has seen, whatever its algorithm."""

from schedy.search.definition import missing_result
from schedy.wire.records import SEARCH_FAILED
from schedy_store.search.memory import Memory
from schedy_store.search.protocol import Exhausted

_NAMES_SHOWN = 10


def ending(memory: Memory, known: int) -> Exhausted | None:
    """Return why no suggestion is made any more, when `known` jobs had ended; None if one is."""
    patience = memory.definition.stop_after_no_improvement
    if patience is not None and memory.without_improvement(known) >= patience:
        return Exhausted(f"{patience} jobs have ended without a better one.")
    return _without_result(memory, known)


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
