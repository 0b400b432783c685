"""The best jobs: one as a paragraph, several as a table."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schedy.escaping import printable
from schedy.results.options import option_words
from schedy.results.overview import run_seconds
from schedy.results.rounding import duration, short_value
from schedy.search.definition import Definition
from schedy.values_text import format_name, format_value
from schedy.wire.records import ExperimentRecord, JobRecord
from schedy_cli.interruption import schedy_words
from schedy_cli.printing.tables import print_table


def best_paragraph(experiment: ExperimentRecord, definition: Definition, job: JobRecord) -> str:
    """Return the best job: rounded for people, and with all digits as the commands that repeat it."""
    return "\n".join(_lines(experiment, definition, job))


def _lines(experiment: ExperimentRecord, definition: Definition, job: JobRecord) -> Iterator[str]:
    for objective in definition.objectives:
        yield f"{format_name(objective.result)}: {short_value(job.results[objective.result])}"
    yield f"Id: {job.job_id}"
    yield "Hyperparameters:"
    yield from _values(job.hyperparameters)
    objectives = {objective.result for objective in definition.objectives}
    others = {name: value for name, value in job.results.items() if name not in objectives}
    if others:
        yield "Other results:"
        yield from _values(others)
    if (seconds := run_seconds(job)) is not None:
        yield f"Run time: {duration(seconds)}"
    if job.worker is not None:
        yield f"Worker: {printable(job.worker)}"
    yield f"As options: {printable(shlex.join(option_words(job.hyperparameters)))}"
    pairs = [word for name, value in job.hyperparameters.items() for word in (name, format_value(value))]
    yield f"Run it again: {printable(schedy_words('push', experiment.name, *(['-p', *pairs] if pairs else [])))}"


def _values(values: Mapping[str, Any]) -> Iterator[str]:
    return (f" - {format_name(name)}: {short_value(value)}" for name, value in values.items())


def best_table(definition: Definition, jobs: Sequence[JobRecord]) -> None:
    """Print jobs with the values of the objectives and their hyperparameters, rounded on a terminal."""
    value_text = short_value if sys.stdout.isatty() else format_value
    objectives = [objective.result for objective in definition.objectives]
    names = list(dict.fromkeys(name for job in jobs for name in job.hyperparameters))
    header = ["id", *map(format_name, objectives), *map(format_name, names), "seconds", "worker"]
    print_table(
        header,
        (
            [
                job.job_id,
                *(value_text(job.results[name]) for name in objectives),
                *(value_text(job.hyperparameters[name]) if name in job.hyperparameters else "" for name in names),
                "" if (seconds := run_seconds(job)) is None else value_text(seconds),
                printable(job.worker or ""),
            ]
            for job in jobs
        ),
    )
