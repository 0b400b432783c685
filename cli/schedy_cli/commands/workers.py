"""`schedy workers`."""

import sys
from collections.abc import Iterator
from datetime import datetime

import click

from schedy.escaping import printable
from schedy.wire.records import WorkerRecord
from schedy.wire.requests import GetWorkers, pages
from schedy_cli.context import reader_for, settings_of
from schedy_cli.parsing.option_groups import JSON_OPTION
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.tables import print_table
from schedy_cli.printing.text import JsonForm, age, json_line, local_time, short_time
from schedy_cli.reading import Reader

_HEADER = ("program", "state", "jobs", "done", "crashed", "lost", "heard", "host", "pid", "since")
_DULL = ("crashed", "lost")


@click.command("workers", epilog="Example: schedy workers --all")
@click.option("--all", "with_ended", is_flag=True, help="Include workers that have exited.")
@JSON_OPTION
@click.pass_context
def workers_command(ctx: click.Context, *, with_ended: bool, as_json: JsonForm | None) -> None:
    """List the workers of the last seven days, those that live first, then oldest first.

    The state is `alive`; `silent` after a lease without a sign of life; `unhealthy`, with the reason, if the worker
    takes no more jobs; or `ended`.
    """
    with reader_for(settings_of(ctx)) as reader:
        workers = sorted(_all_workers(reader, with_ended=with_ended), key=_is_gone)
        if as_json is not None:
            for worker in workers:
                click.echo(json_line(worker.model_dump(exclude={"position"}), as_json))
        else:
            print_table(_HEADER, map(_row, workers), kept=_HEADER[:3], dull=_DULL)
            if not workers and not with_ended and sys.stdout.isatty():
                print_message("No worker lives. `schedy workers --all` lists those that have ended.")


def _is_gone(worker: WorkerRecord) -> tuple[bool, bool]:
    """Return a key by which workers that live come first, those that have ended last."""
    return worker.state == "ended", worker.silent


def _all_workers(reader: Reader, *, with_ended: bool) -> Iterator[WorkerRecord]:
    for page in pages(reader.ask, GetWorkers(gone=with_ended)):
        yield from page.workers


def _row(worker: WorkerRecord) -> list[str]:
    return [
        printable(worker.program),
        _state(worker),
        printable(", ".join(worker.jobs)),
        str(worker.done),
        str(worker.crashed),
        str(worker.lost),
        f"{age(worker.heard_seconds_ago)} ago",
        printable(worker.host),
        str(worker.pid),
        _since(worker.since),
    ]


def _since(moment: datetime) -> str:
    return short_time(moment) if sys.stdout.isatty() else local_time(moment)


def _state(worker: WorkerRecord) -> str:
    reason = f": {printable(worker.detail)}" if worker.detail else ""
    if worker.silent:
        state = "" if worker.state == "alive" else f"{worker.state}, "
        return click.style(f"{state}silent {age(worker.heard_seconds_ago)}{reason}", fg="red")
    return click.style(f"{worker.state}{reason}", fg="red" if worker.state == "unhealthy" else None)
