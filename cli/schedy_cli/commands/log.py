"""`schedy log`."""

import click

from schedy.wire.records import JobEvent
from schedy.wire.requests import GetHistory
from schedy_cli.context import reader_for, settings_of
from schedy_cli.following import ask_patiently, pause
from schedy_cli.parsing.option_groups import JSON_OPTION
from schedy_cli.printing.events import EventPrinter
from schedy_cli.printing.text import JsonForm
from schedy_cli.reading import Reader, find_experiment

_PAGE = 500


@click.command("log", epilog="Example: schedy log -f")
@click.argument("name", required=False)
@click.option(
    "-n",
    "--lines",
    "count",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="Print the latest N events.",
)
@click.option("-f", "--follow", is_flag=True, help="Print new events as they happen, until Ctrl-C.")
@JSON_OPTION
@click.pass_context
def log_command(ctx: click.Context, name: str | None, *, count: int, follow: bool, as_json: JsonForm | None) -> int:
    """Show the latest events, of all experiments or of the experiment NAME.

    The lines are those of `schedy history`; without NAME, a job is written EXPERIMENT/JOB.
    """
    printer = EventPrinter(as_json=as_json, with_experiment=name is None)
    with reader_for(settings_of(ctx)) as reader:
        uid = None if name is None else find_experiment(reader, name).uid
        newest = _newest(reader, uid, max(count, 1))
        printer.show(newest[-count:] if count else [])
        try:
            if follow:
                _follow(reader, uid, newest[-1].position if newest else 0, printer)
        except KeyboardInterrupt:
            return 130
    return 0


def _newest(reader: Reader, uid: str | None, count: int) -> list[JobEvent]:
    """Return the latest events, oldest first."""
    events: list[JobEvent] = []
    more = True
    while more and len(events) < count:
        before = events[0].position if events else None
        limit = min(_PAGE, count - len(events))
        answer = reader.ask(GetHistory(experiment_uid=uid, newest=True, before=before, limit=limit))
        events = answer.events + events
        more = answer.more
    return events


def _follow(reader: Reader, uid: str | None, last: int, printer: EventPrinter) -> None:
    """Print the events after the position `last`."""
    more = False
    while True:
        if not more:
            pause()
        answer = ask_patiently(reader, GetHistory(experiment_uid=uid, after=last, limit=_PAGE))
        printer.show(answer.events)
        last, more = answer.last_position() or last, answer.more
