"""Experiments: paragraphs, lines and rows of a list, JSON, and the file that defines one."""

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from schedy.escaping import printable
from schedy.results.overview import ended_jobs
from schedy.results.rounding import about, duration, short_value
from schedy.settings import Settings
from schedy.values_text import format_name, format_value
from schedy.wire.answers import MadeBy
from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import ExperimentRecord, JobRecord, Limits, Standing
from schedy_cli.parsing.fields import objectives_of
from schedy_cli.printing.searches import search_lines
from schedy_cli.printing.text import JsonForm, coloured_status, json_line, local_time

_DEFAULT_ATTEMPTS = Settings.model_fields["max_attempts"].default

_COUNTS = tuple(status.lower() for status in JOB_STATUSES)
TABLE_HEADER = ("name", "status", "scheduler", *_COUNTS, "best", "seconds_left")
READ_HEADER = ("name", "status", "ended", "best", "left", *_COUNTS, "scheduler")
"""The same as a person reads it."""


def experiment_paragraph(experiment: ExperimentRecord, *, verbose: bool = False, made_by: Sequence[MadeBy] = ()) -> str:
    """Return an experiment as `show` and `list -l` print it. `made_by`: its jobs by what has made them."""
    counts = [(status, experiment.job_counts.get(status, 0)) for status in JOB_STATUSES]
    lines = [
        f"Name: {printable(experiment.name)}",
        f"Status: {experiment.status}{' (paused)' if experiment.paused else ''}",
        f"Scheduler: {printable(experiment.scheduler)}",
        "Jobs:",
        *(f" - {coloured_status(status)}: {count}" for status, count in counts if count),
    ]
    limits = list(_limits(experiment.limits, verbose=verbose))
    if limits:
        lines.extend(["Limits:", *limits])
    if verbose:
        lines.append(f"Created: {local_time(experiment.created_at)}")
    return "\n".join([*lines, *search_lines(experiment, made_by)])


def _limits(limits: Limits, *, verbose: bool) -> Iterator[str]:
    """Return the limits that are set; the number of attempts always is, and is left out where it is the default."""
    if limits.max_attempts is not None and (verbose or limits.max_attempts != _DEFAULT_ATTEMPTS):
        yield f" - max_attempts: {limits.max_attempts}"
    for name, seconds in (("job_timeout", limits.job_timeout), ("stall_timeout", limits.stall_timeout)):
        if seconds is not None:
            yield f" - {name}: {int(seconds) if seconds.is_integer() else seconds}"
    if limits.retry_timeouts:
        yield " - retry_timeouts: true"


def experiment_line(experiment: ExperimentRecord) -> str:
    """Return an experiment as `list` prints it."""
    paused = "\tpaused" if experiment.paused else ""
    return f"{printable(experiment.name)}\t{experiment.status}{paused}"


def standing_line(standing: Standing) -> str:
    """Return an experiment as `list` prints it on a terminal: with what there is to know at a glance."""
    experiment = standing.experiment
    name, _status, ended, best, left = standing_read(standing)[:5]
    notes = [f"{ended} ended" if ended != "0" else "", f"best {best}" if best else "", f"{left} left" if left else ""]
    glance = ", ".join(filter(None, notes))
    return "\t".join(filter(None, [name, experiment.status, "paused" if experiment.paused else "", glance]))


def standing_row(standing: Standing) -> list[str]:
    """Return an experiment as a row under `TABLE_HEADER`."""
    experiment = standing.experiment
    best = ", ".join(format_value(value) for value, _job in _best(standing))
    left = "" if standing.seconds_left is None else f"{standing.seconds_left:.0f}"
    return [
        *map(printable, (experiment.name, experiment.status, experiment.scheduler)),
        *_counts(experiment),
        best,
        left,
    ]


def standing_read(standing: Standing) -> list[str]:
    """Return an experiment as a row under `READ_HEADER`."""
    experiment = standing.experiment
    ended = ended_jobs(experiment)
    whole = "" if standing.open_jobs is None or not standing.open_jobs else f" of {ended + standing.open_jobs}"
    return [
        printable(experiment.name),
        f"{experiment.status} (paused)" if experiment.paused else experiment.status,
        f"{ended}{whole}",
        ", ".join(f"{short_value(value)} ({job.job_id})" for value, job in _best(standing)),
        "" if standing.seconds_left is None else about(standing.seconds_left),
        *_counts(experiment),
        printable(experiment.scheduler),
    ]


def experiments_beside(standings: Sequence[Standing]) -> tuple[list[str], list[list[str]]]:
    """Return the heading and the rows of a table with a column for each experiment: its best job, and what it took.

    With several objectives the hyperparameters are those of the best job by the first.
    """
    experiments = [standing.experiment for standing in standings]
    bests = [[f"{short_value(value)} ({job.job_id})" for value, job in _best(standing)] for standing in standings]
    values = [standing.best[0].hyperparameters if standing.best else {} for standing in standings]
    means = [standing.mean_seconds for standing in standings]
    rows = [
        ["objective", *(_goals(experiment) for experiment in experiments)],
        ["best", *map(", ".join, bests)],
        *(
            [format_name(name), *(short_value(each[name]) if name in each else "" for each in values)]
            for name in dict.fromkeys(itertools.chain(*values))
        ),
        ["algorithm", *(printable(experiment.scheduler) for experiment in experiments)],
        ["jobs ended", *(str(ended_jobs(experiment)) for experiment in experiments)],
        ["CRASHED", *(str(experiment.job_counts.get("CRASHED", 0)) for experiment in experiments)],
        ["time of a job", *("" if mean is None else duration(mean) for mean in means)],
    ]
    return ["", *(printable(experiment.name) for experiment in experiments)], rows


def _goals(experiment: ExperimentRecord) -> str:
    return ", ".join(f"{each.direction} {format_name(each.result)}" for each in objectives_of(experiment))


def _counts(experiment: ExperimentRecord) -> list[str]:
    return [str(experiment.job_counts.get(status, 0)) for status in JOB_STATUSES]


def _best(standing: Standing) -> Iterator[tuple[Any, JobRecord]]:
    """Return the best value of each objective, with its job."""
    for objective, job in zip(objectives_of(standing.experiment), standing.best, strict=False):
        yield job.results.get(objective.result), job


def experiment_json(experiment: ExperimentRecord, form: JsonForm) -> str:
    """Return an experiment as one line of JSON."""
    return json_line(experiment.model_dump(exclude={"position"}), form)


def definition_text(experiment: ExperimentRecord) -> str:
    """Return the file by which the same experiment can be added again: with its seed, without its jobs."""
    content: dict[str, Any] = {"algorithm": experiment.scheduler, **experiment.settings}
    if "warm_start" in content:
        content["warm_start"] = [{"experiment": start.get("experiment")} for start in content["warm_start"]]
    limits = experiment.limits.model_dump(exclude_defaults=True)
    if limits.get("max_attempts") == _DEFAULT_ATTEMPTS:
        del limits["max_attempts"]
    if limits:
        content["limits"] = limits
    return json.dumps(content, indent=2)
