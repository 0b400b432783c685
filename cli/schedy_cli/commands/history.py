"""`schedy history`."""

import click

from schedy.wire.requests import GetHistory, pages
from schedy_cli.context import reader_for, settings_of
from schedy_cli.parsing.option_groups import JSON_OPTION
from schedy_cli.printing.events import EventPrinter
from schedy_cli.printing.text import JsonForm
from schedy_cli.reading import find_experiment, find_job

_PAGE = 500


@click.command("history", epilog="Example: schedy history MinimizeManual fVKGjg")
@click.argument("name")
@click.argument("job", required=False)
@JSON_OPTION
@click.pass_context
def history_command(ctx: click.Context, name: str, *, job: str | None, as_json: JsonForm | None) -> None:
    """Show all events of the experiment NAME and its jobs, or of one JOB, oldest first.

    A line has the time, the job, the attempt, the event, the worker and details. The results that are kept of an
    earlier attempt follow below its line.
    """
    printer = EventPrinter(as_json=as_json, with_job=job is None, with_results=True, is_cut=job is None)
    with reader_for(settings_of(ctx)) as reader:
        experiment = find_experiment(reader, name)
        count = 0
        for page in pages(reader.ask, GetHistory(experiment_uid=experiment.uid, job_id=job, limit=_PAGE)):
            printer.show(page.events)
            count += len(page.events)
        if job is not None and not count:
            find_job(reader, experiment, job)  # raises NotFoundError if there is none
