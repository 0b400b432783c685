"""How a search has come to a job, in sentences."""

from collections.abc import Iterator

from schedy.errors import InvalidValueError
from schedy.escaping import printable
from schedy.results.rounding import rounded
from schedy.search.algorithms import ALGORITHMS
from schedy.search.definition import Definition, read_definition
from schedy.values_text import format_name, format_value
from schedy.wire.answers import Ancestor, WhyAnswer
from schedy.wire.records import ExperimentRecord, JobRecord

_REGARDLESS = {
    "random": "It was drawn at random, regardless of other jobs.",
    "grid": "It is a point of the grid, which are made in turn, regardless of other jobs.",
    "sobol": "It is a point of a quasi-random sequence, regardless of other jobs.",
}


def why_lines(experiment: ExperimentRecord, job: JobRecord, why: WhyAnswer) -> Iterator[str]:
    """Return what is known of the reasons for a job."""
    try:
        definition = read_definition(experiment.settings)
    except InvalidValueError:  # stored by a newer Schedy
        definition = Definition()
    if why.number is None:
        yield "It was pushed: the search has not made it."
    else:
        yield f"It is job {why.number + 1:,} of those that the search has made."
        yield from _made(experiment, job, why, definition)
    yield from _continued(job, why.ancestors)


def _made(experiment: ExperimentRecord, job: JobRecord, why: WhyAnswer, definition: Definition) -> Iterator[str]:
    number = why.number or 0
    if definition.repeats > 1:
        point, again = divmod(number, definition.repeats)
        yield f"It is try {again + 1} of {definition.repeats} at point {point + 1:,}."
    if experiment.scheduler in _REGARDLESS and not why.drawn:
        yield _REGARDLESS[experiment.scheduler]
    algorithm = printable(why.algorithm or experiment.scheduler)
    if why.drawn:
        yield f"What {algorithm} proposed is not allowed (conditions, no repeats): it was drawn at random instead."
    elif why.ended is not None:
        yield f"Made by {algorithm} when {why.ended:,} job(s) had ended, and {why.pending:,} had not."
    elif experiment.scheduler not in ALGORITHMS:
        yield f"Made by {algorithm}, an algorithm that is not Schedy's own."
    elif job.parent is None and ALGORITHMS[experiment.scheduler].continues_jobs:
        yield "It is the first job of a member, drawn from the distributions."
    yield from _expected(job, why, definition)


def _expected(job: JobRecord, why: WhyAnswer, definition: Definition) -> Iterator[str]:
    if why.expected is not None and why.deviation is not None and definition.objective is not None:
        name = printable(definition.objective.result)
        yield f"Expected {name}: {rounded(why.expected)}, with a standard deviation of {rounded(why.deviation)}."
        if job.status == "DONE" and isinstance(job.results.get(definition.objective.result), int | float):
            yield f"Found: {rounded(job.results[definition.objective.result])}."


def _continued(job: JobRecord, ancestors: list[Ancestor]) -> Iterator[str]:
    if not ancestors:
        if job.parent is not None:
            yield f"It continues from job {printable(job.parent)}, which was removed."
        return
    parent = ancestors[0]
    changed = [
        f"{format_name(name)} {format_value(parent.hyperparameters.get(name))} -> {format_value(value)}"
        for name, value in job.hyperparameters.items()
        if parent.hyperparameters.get(name) != value
    ]
    how = f"with {', '.join(changed)}" if changed else "with the same hyperparameters"
    yield f"It continues from job {parent.job_id}, {how}."
    if len(ancestors) > 1:
        yield "Ancestors: " + " <- ".join(f"{each.job_id} ({each.generation or 1})" for each in ancestors)
