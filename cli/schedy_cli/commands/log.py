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
    printer = EventPrinter(as_json=as_json, with_experiment=name is None, is_cut=True, is_live=follow)
    with reader_for(settings_of(ctx)) as reader:
        uid = None if name is None else find_experiment(reader, name).uid
        newest = _newest(reader, uid, max(count, _PAGE if follow else 1))
        printer.show(newest[-count:] if count else [])
        try:
            if follow:
                _Follower(reader, uid, printer).follow(newest)
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


class _Follower:
    """Prints events as they happen, and those that happen again, as reports of a job do."""

    def __init__(self, reader: Reader, uid: str | None, printer: EventPrinter) -> None:
        self._reader = reader
        self._uid = uid
        self._printer = printer
        self._last = 0
        self._repeating: dict[str, JobEvent] = {}
        """The latest event of a job, if it is a report, by the job."""

    def follow(self, newest: list[JobEvent]) -> None:
        """Print what follows these events."""
        self._take(newest)
        more = False
        while True:
            if not more:
                pause()
            more = self._look()

    def _look(self) -> bool:
        """Print what is new; return whether there is more."""
        answer = ask_patiently(self._reader, GetHistory(experiment_uid=self._uid, after=self._last, limit=_PAGE))
        events = [*self._again(), *answer.events]
        self._printer.show(events)
        self._take(events)
        return answer.more

    def _again(self) -> list[JobEvent]:
        """Return the reports that have come again, as they are now."""
        known = {event.position: event.times for event in self._repeating.values()}
        if not known:
            return []
        request = GetHistory(experiment_uid=self._uid, positions=list(known)[-_PAGE:], limit=_PAGE)
        events = ask_patiently(self._reader, request).events
        return [event for event in events if event.times > known[event.position]]

    def _take(self, events: list[JobEvent]) -> None:
        for event in events:
            self._last = max(self._last, event.position)
            job = f"{event.experiment}/{event.job_id}"
            self._repeating.pop(job, None)
            if event.kind == "reported":
                self._repeating[job] = event
