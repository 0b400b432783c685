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
from schedy_cli.printing.tables import print_table
from schedy_cli.printing.text import JsonForm, age, json_line, local_time
from schedy_cli.reading import Reader

_HEADER = ("program", "host", "pid", "since", "jobs", "heard", "done", "crashed", "lost", "state")


@click.command("workers", epilog="Example: schedy workers --all")
@click.option("--all", "with_ended", is_flag=True, help="Include workers that have exited.")
@JSON_OPTION
@click.pass_context
def workers_command(ctx: click.Context, *, with_ended: bool, as_json: JsonForm | None) -> None:
    """List the workers of the last seven days, oldest first.

    The state is `alive`; `silent` after a lease without a sign of life; `unhealthy`, with the reason, if the worker
    takes no more jobs; or `ended`.
    """
    with reader_for(settings_of(ctx)) as reader:
        workers = _all_workers(reader, with_ended=with_ended)
        if as_json is not None:
            for worker in workers:
                click.echo(json_line(worker.model_dump(exclude={"position"}), as_json))
        else:
            print_table(_HEADER, (_row(worker) for worker in workers))


def _all_workers(reader: Reader, *, with_ended: bool) -> Iterator[WorkerRecord]:
    for page in pages(reader.ask, GetWorkers(gone=with_ended)):
        yield from page.workers


def _row(worker: WorkerRecord) -> list[str]:
    return [
        printable(worker.program),
        printable(worker.host),
        str(worker.pid),
        _since(worker.since),
        printable(", ".join(worker.jobs)),
        f"{age(worker.heard_seconds_ago)} ago",
        str(worker.done),
        str(worker.crashed),
        str(worker.lost),
        _state(worker),
    ]


def _since(moment: datetime) -> str:
    """Return a time, to the minute on a terminal, where space is scarce."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if sys.stdout.isatty() else local_time(moment)


def _state(worker: WorkerRecord) -> str:
    reason = f": {printable(worker.detail)}" if worker.detail else ""
    if worker.silent:
        state = "" if worker.state == "alive" else f"{worker.state}, "
        return click.style(f"{state}silent {age(worker.heard_seconds_ago)}{reason}", fg="red")
    return click.style(f"{worker.state}{reason}", fg="red" if worker.state == "unhealthy" else None)
