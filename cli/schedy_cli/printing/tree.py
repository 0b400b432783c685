"""Jobs as a tree of which continues which, a row each."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from schedy.results.rounding import rounded, short_value
from schedy.values_text import format_name
from schedy.wire.records import JobRecord
from schedy_cli.printing.text import coloured_status

_BRANCH, _BESIDE = "├ ", "│ "


def tree_rows(jobs: Sequence[JobRecord]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each job, which are given oldest first: the oldest that continue none, each with its descendants.

    A row has the job behind its branches, its generation, status and quality, and the hyperparameters that its parent
    has not. The last job that continues another stands on the same level, so that a long line stays narrow.
    """
    there = {job.job_id: job for job in jobs}
    children: dict[str | None, list[JobRecord]] = defaultdict(list)
    for job in jobs:
        children[job.parent if job.parent in there else None].append(job)
    waiting = [(root, "", "") for root in reversed(children[None])]
    while waiting:
        job, indent, branch = waiting.pop()
        yield _row(job, indent + branch, there.get(job.parent or ""))
        below = indent + (_BESIDE if branch else "")
        continuing = children[job.job_id]
        waiting.extend((each, below, "") for each in continuing[-1:])
        waiting.extend((each, below, _BRANCH) for each in reversed(continuing[:-1]))


def _row(job: JobRecord, lead: str, parent: JobRecord | None) -> tuple[str, ...]:
    before = job.hyperparameters if parent is None else parent.hyperparameters
    changed = ", ".join(
        f"{format_name(name)} {short_value(value)}"
        for name, value in job.hyperparameters.items()
        if before.get(name) != value
    )
    generation = "" if job.generation is None else str(job.generation)
    return lead + job.job_id, generation, coloured_status(job.status), rounded(job.quality), changed
