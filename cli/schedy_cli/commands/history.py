"""`schedy history` and `schedy log`: what happened, an event a line."""

import select
import sys
from collections.abc import Sequence

import click

from schedy.errors import BrokerError, ServiceUnavailableError, StoreError
from schedy.wire.records import JobEvent
from schedy.wire.requests import GetHistory, GetJobs, pages
from schedy_cli.commands.list import JSON_OPTION
from schedy_cli.context import Reader, find_experiment, reader_for, settings_of
from schedy_cli.printing.jobs import any_json, local_time, printable, values_lines

_PAGE = 500
_POLL_SECONDS = 0.7
_PATIENCE_SECONDS = 2.0


@click.command("history")
@click.argument("name")
@click.argument("job", required=False)
@JSON_OPTION
@click.pass_context
def history_command(ctx: click.Context, name: str, job: str | None, as_json: bool) -> None:
    """Show all that happened to the experiment NAME and its jobs, or to one JOB of it, oldest first.

    Each line has the time, the job, the attempt, what happened, the worker and the details; below stand the results
    that are kept of an earlier attempt.
    """
    show = _Show(as_json=as_json, with_job=job is None, with_results=True)
    with reader_for(settings_of(ctx)) as reader:
        uid = find_experiment(reader, name).uid
        count = 0
        for page in pages(reader.ask, GetHistory(experiment_uid=uid, job_id=job, limit=_PAGE)):
            show(page.events)
            count += len(page.events)
        if job is not None and not count:
            reader.ask(GetJobs(experiment_uid=uid, job_id=job))  # says so if there is none


@click.command("log")
@click.argument("name", required=False)
@click.option(
    "-n", "--lines", "count", type=click.IntRange(min=0), default=20, show_default=True, metavar="N", help="How many."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@JSON_OPTION
@click.pass_context
def log_command(ctx: click.Context, name: str | None, count: int, follow: bool, as_json: bool) -> int:
    """Show the latest events, of everything or of the experiment NAME.

    The lines are those of `schedy history`; where no NAME is given the job is written EXPERIMENT/JOB.
    """
    show = _Show(as_json=as_json, with_experiment=name is None)
    with reader_for(settings_of(ctx)) as reader:
        uid = None if name is None else find_experiment(reader, name).uid
        newest = _newest(reader, uid, max(count, 1))
        show(newest[-count:] if count else [])
        try:
            if follow:
                _follow(reader, uid, newest[-1].position if newest else 0, show)
        except KeyboardInterrupt:
            return 130
    return 0


class _Show:
    """Prints events: in columns that grow with what they hold, by tabs in a pipe, or as JSON."""

    def __init__(
        self, *, as_json: bool, with_job: bool = True, with_experiment: bool = False, with_results: bool = False
    ) -> None:
        self._as_json = as_json
        self._with_job = with_job
        self._with_experiment = with_experiment
        self._with_results = with_results
        self._aligned = sys.stdout.isatty()
        self._widths: list[int] = []

    def __call__(self, events: Sequence[JobEvent]) -> None:
        if self._as_json:
            for event in events:
                click.echo(any_json(event.model_dump()))
            return
        rows = [self._row(event) for event in events]
        if rows:
            wanted = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
            self._widths = [max(pair) for pair in zip(wanted, self._widths or wanted, strict=True)]
        for event, row in zip(events, rows, strict=True):
            click.echo(self._line(row))
            if self._with_results and event.results is not None:
                click.echo("".join(f"{line}\n" for line in values_lines(event.results)), nl=False)

    def _row(self, event: JobEvent) -> list[str]:
        times = ""
        if event.times > 1 and event.last_at is not None:
            times = f"({event.times} times until {local_time(event.last_at)})"
        return [
            local_time(event.at),
            *([self._job(event)] if self._with_job else []),
            "" if event.attempt is None else str(event.attempt),
            event.kind,
            printable(event.worker or ""),
            " ".join(filter(None, [printable(event.detail), times])),
        ]

    def _job(self, event: JobEvent) -> str:
        experiment = printable(event.experiment or "") if self._with_experiment else ""
        return "/".join(filter(None, [experiment, event.job_id]))

    def _line(self, row: list[str]) -> str:
        if not self._aligned:
            return "\t".join(row)
        return "  ".join(cell.ljust(width) for cell, width in zip(row, self._widths, strict=True)).rstrip()


def _newest(reader: Reader, uid: str | None, count: int) -> list[JobEvent]:
    """The latest events, in the order in which they happened."""
    events: list[JobEvent] = []
    more = True
    while more and len(events) < count:
        before = events[0].position if events else None
        limit = min(_PAGE, count - len(events))
        answer = reader.ask(GetHistory(experiment_uid=uid, newest=True, before=before, limit=limit))
        events = answer.events + events
        more = answer.more
    return events


def _follow(reader: Reader, uid: str | None, last: int, show: _Show) -> None:
    """Show what happens after the position `last`. What answers no more is waited for, and that is said once."""
    is_silent = more = False
    while True:
        if not more:
            _pause()
        try:
            request = GetHistory(experiment_uid=uid, after=last, limit=_PAGE)
            answer = reader.ask(request, patience_seconds=_PATIENCE_SECONDS)
        except (ServiceUnavailableError, BrokerError, StoreError) as error:
            if not is_silent:
                click.echo(f"{error} Waiting for it.", err=True)
            is_silent, more = True, False
            continue
        if is_silent:
            click.echo("It answers again.", err=True)
        is_silent, more = False, answer.more
        show(answer.events)
        last = answer.last_position() or last


def _pause() -> None:
    """Wait for a moment. Raises BrokenPipeError as soon as whoever reads our output has left."""
    output = select.poll()
    output.register(sys.stdout, 0)
    if output.poll(_POLL_SECONDS * 1000):
        raise BrokenPipeError
