"""`schedy watch`."""

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from schedy.errors import BrokerError, ServiceUnavailableError, StoreError
from schedy.wire.base import DONE, RUNNING
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import GetExperiments, GetHistory, GetOverviews
from schedy_cli.context import reader_for, settings_of
from schedy_cli.following import ask_patiently, pause
from schedy_cli.printing.events import EventPrinter
from schedy_cli.printing.messages import print_message
from schedy_cli.reading import Reader, find_experiment

if TYPE_CHECKING:
    from schedy_cli.watching.views import View

_SECONDS = 1.0
_PATIENCE_SECONDS = 1.0
_EVENTS = 500
_SINCE = "No answer since %H:%M:%S"


@click.command("watch", epilog="Example: schedy watch Digits")
@click.argument("name", required=False)
@click.pass_context
def watch_command(ctx: click.Context, name: str | None) -> int:
    """Watch the experiment NAME, or all that are RUNNING, until its search has ended.

    The screen is drawn once a second; q leaves it. In a pipe new events are printed, as `schedy log -f` does.
    """
    with reader_for(settings_of(ctx)) as reader:
        experiment = None if name is None else find_experiment(reader, name)
        try:
            if sys.stdout.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown"):
                _on_terminal(reader, experiment)
            else:
                _in_pipe(reader, experiment)
        except KeyboardInterrupt:
            return 130
    return 0


def _view(experiment: ExperimentRecord | None) -> "View":
    from schedy_cli.watching.views import ExperimentView, RunningExperimentsView  # noqa: PLC0415 - imports rich

    return RunningExperimentsView() if experiment is None else ExperimentView(experiment)


def _on_terminal(reader: Reader, experiment: ExperimentRecord | None) -> None:
    """Draw the screen until the search has ended or the user leaves it; the last one stays on the terminal."""
    from schedy_cli.watching.terminal import Happening, Keys, Screen  # noqa: PLC0415 - imports rich

    view, screen, keys = _view(experiment), Screen(), Keys()
    view.look(reader)
    trouble, pause_seconds = "", _SECONDS
    with keys.watched(), screen:
        while not view.is_over:
            screen.draw(view.lines(screen.width, screen.height - 1), trouble)
            happening = keys.wait(pause_seconds)
            if happening is Happening.LEFT:
                break
            if happening is Happening.NOTHING:
                started = time.monotonic()
                trouble = _trouble_of_look(view, reader, trouble)
                pause_seconds = max(_SECONDS, 2 * (time.monotonic() - started))
    screen.leave(view.lines(screen.width, screen.height - 1))


def _trouble_of_look(view: "View", reader: Reader, before: str) -> str:
    """Look again; return why there was no answer, and since when, an empty text if there was one."""
    try:
        view.look(reader, _PATIENCE_SECONDS)
    except (ServiceUnavailableError, BrokerError, StoreError) as error:
        since = before.split(": ", 1)[0] if before else time.strftime(_SINCE)
        return f"{since}: {error}"
    return ""


def _in_pipe(reader: Reader, experiment: ExperimentRecord | None) -> None:
    """Print what happens, a line for each event, until the search has ended."""
    printer = EventPrinter(as_json=None, with_experiment=experiment is None)
    uid = None if experiment is None else experiment.uid
    last = ask_patiently(reader, GetHistory(experiment_uid=uid, newest=True, limit=1)).last_position() or 0
    while True:
        end = _end(reader, experiment)
        more = True
        while more:
            answer = ask_patiently(reader, GetHistory(experiment_uid=uid, after=last, limit=_EVENTS))
            printer.show(answer.events)
            last, more = answer.last_position() or last, answer.more
        if end:
            print_message(end)
            return
        pause()


def _end(reader: Reader, experiment: ExperimentRecord | None) -> str:
    """Return what is to be said when nothing more will happen, else an empty text."""
    if experiment is None:
        found = ask_patiently(reader, GetOverviews(running=True, limit=1))
        return "" if found.overviews else "No experiment is RUNNING."
    now = ask_patiently(reader, GetExperiments(uid=experiment.uid)).experiments[0]
    if now.status != DONE or now.job_counts.get(RUNNING, 0):
        return ""
    return f"{now.name} is DONE{f': {now.search_end}' if now.search_end else '.'}"
