"""`schedy workers`."""

import sys
from collections.abc import Iterator
from datetime import datetime

import click

from schedy.wire.records import WorkerRecord
from schedy.wire.requests import GetWorkers, pages
from schedy_cli.commands.list import JSON_OPTION
from schedy_cli.context import Reader, reader_for, settings_of
from schedy_cli.printing.jobs import age, any_json, local_time, print_table, printable

_HEADER = ("program", "host", "pid", "since", "jobs", "heard", "done", "crashed", "lost", "state")


@click.command("workers")
@click.option("--all", "with_ended", is_flag=True, help="Also those that have ended.")
@JSON_OPTION
@click.pass_context
def workers_command(ctx: click.Context, with_ended: bool, as_json: bool) -> None:
    """List the workers of the last seven days, oldest first.

    The state is `alive`; `silent` if nothing was heard of the worker for a lease; `unhealthy` if it takes no more jobs,
    with the reason; or `ended`.
    """
    with reader_for(settings_of(ctx)) as reader:
        workers = _all_workers(reader, with_ended)
        if as_json:
            for worker in workers:
                click.echo(any_json(worker.model_dump(exclude={"position"})))
        else:
            print_table(_HEADER, (_row(worker) for worker in workers))


def _all_workers(reader: Reader, with_ended: bool) -> Iterator[WorkerRecord]:
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
    """A time; on a terminal, where room is scarce, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if sys.stdout.isatty() else local_time(moment)


def _state(worker: WorkerRecord) -> str:
    reason = f": {printable(worker.detail)}" if worker.detail else ""
    if worker.silent:
        state = "" if worker.state == "alive" else f"{worker.state}, "
        return click.style(f"{state}silent {age(worker.heard_seconds_ago)}{reason}", fg="red")
    return click.style(f"{worker.state}{reason}", fg="red" if worker.state == "unhealthy" else None)
