"""Experiments: paragraphs, lines and rows of a list, JSON, and the file that defines one."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from schedy.escaping import printable
from schedy.settings import Settings
from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import ExperimentRecord, Limits
from schedy_cli.printing.searches import search_lines
from schedy_cli.printing.text import JsonForm, coloured_status, json_line, local_time

_DEFAULT_ATTEMPTS = Settings.model_fields["max_attempts"].default

TABLE_HEADER = ("name", "status", "scheduler", *(status.lower() for status in JOB_STATUSES))


def experiment_paragraph(experiment: ExperimentRecord, *, verbose: bool = False) -> str:
    """Return an experiment as `show` and `list -l` print it."""
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
    return "\n".join([*lines, *search_lines(experiment)])


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


def experiment_row(experiment: ExperimentRecord) -> list[str]:
    """Return an experiment as a row under `TABLE_HEADER`."""
    counts = [str(experiment.job_counts.get(status, 0)) for status in JOB_STATUSES]
    status = f"{experiment.status} (paused)" if experiment.paused and sys.stdout.isatty() else experiment.status
    return [*map(printable, (experiment.name, status, experiment.scheduler)), *counts]


def experiment_json(experiment: ExperimentRecord, form: JsonForm) -> str:
    """Return an experiment as one line of JSON."""
    return json_line(experiment.model_dump(exclude={"position"}), form)


def definition_text(experiment: ExperimentRecord) -> str:
    """Return the file by which the same experiment can be added again: with its seed, without its jobs."""
    content: dict[str, Any] = {"scheduler": experiment.scheduler, **experiment.settings}
    if "warm_start" in content:
        content["warm_start"] = [{"experiment": start.get("experiment")} for start in content["warm_start"]]
    limits = experiment.limits.model_dump(exclude_defaults=True)
    if limits.get("max_attempts") == _DEFAULT_ATTEMPTS:
        del limits["max_attempts"]
    if limits:
        content["limits"] = limits
    return json.dumps(content, indent=2)
