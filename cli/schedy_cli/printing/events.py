"""Events of a history: one per line."""

import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

from schedy.escaping import printable
from schedy.wire.records import JobEvent
from schedy_cli.printing.text import JsonForm, json_line, local_time, short_time, values_lines
from schedy_cli.printing.width import cut, padded, width


def event_fields(event: JobEvent) -> dict[str, Any]:
    """Return the fields of an event for JSON; its position is of use only to the results service."""
    return event.model_dump(exclude={"position"})


class EventPrinter:
    """Prints events as JSON, or in columns: on a terminal as wide as the widest cell so far, in a pipe with tabs."""

    def __init__(
        self,
        *,
        as_json: JsonForm | None,
        with_job: bool = True,
        with_experiment: bool = False,
        with_results: bool = False,
        is_cut: bool = False,
        is_live: bool = False,
    ) -> None:
        """`is_cut`: a line is no longer than the terminal is wide. `is_live`: reports are printed as they come."""
        self._as_json = as_json
        self._with_job = with_job
        self._with_experiment = with_experiment
        self._with_results = with_results
        self._is_cut = is_cut
        self._is_live = is_live
        self._is_aligned = sys.stdout.isatty()
        self._widths: list[int] = []

    def show(self, events: Sequence[JobEvent]) -> None:
        """Print the events, which follow those of the last call."""
        if self._as_json is not None:
            for event in events:
                click.echo(json_line(event_fields(event), self._as_json))
            return
        rows = [self._row(event) for event in events]
        self._widen(rows)
        for event, row in zip(events, rows, strict=True):
            click.echo(self._line(row))
            if self._with_results and event.results is not None:
                click.echo("".join(f"{line}\n" for line in values_lines(event.results)), nl=False)

    def _widen(self, rows: Sequence[Sequence[str]]) -> None:
        for row in rows:
            widths = [width(cell) for cell in row]
            self._widths = [max(pair) for pair in zip(widths, self._widths or widths, strict=True)]

    def _row(self, event: JobEvent) -> list[str]:
        return [
            self._time(event),
            *([self._job(event)] if self._with_job else []),
            "" if event.attempt is None else str(event.attempt),
            event.kind,
            printable(event.worker or ""),
            " ".join(filter(None, [printable(event.detail), self._times(event)])),
        ]

    def _time(self, event: JobEvent) -> str:
        """Return the time of an event; that of the latest report where a job reports again and again."""
        at = event.last_at if self._is_live and event.last_at is not None else event.at
        return short_time(at) if self._is_aligned else local_time(at)

    def _times(self, event: JobEvent) -> str:
        if event.times == 1 or event.last_at is None or self._is_live:
            return ""
        until = short_time(event.last_at) if self._is_aligned else local_time(event.last_at)
        return f"({event.times} times until {until})"

    def _job(self, event: JobEvent) -> str:
        experiment = printable(event.experiment or "") if self._with_experiment else ""
        return "/".join(filter(None, [experiment, event.job_id]))

    def _line(self, row: Sequence[str]) -> str:
        if not self._is_aligned:
            return "\t".join(row)
        line = "  ".join(padded(cell, columns) for cell, columns in zip(row, self._widths, strict=True)).rstrip()
        return cut(line, shutil.get_terminal_size().columns) if self._is_cut else line
