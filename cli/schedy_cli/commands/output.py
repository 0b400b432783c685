"""`schedy output`."""

import click

from schedy.wire.answers import OutputAnswer
from schedy.wire.base import QUEUED
from schedy.wire.records import MOST_ATTEMPTS, ExperimentRecord
from schedy.wire.requests import GetOutput
from schedy_cli.context import reader_for, settings_of
from schedy_cli.following import ask_patiently, pause
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.output import OutputPrinter
from schedy_cli.printing.text import size
from schedy_cli.reading import Reader, find_experiment
from schedy_cli.running.output_file import MOST_BYTES


@click.command("output", epilog="Example: schedy output Digits fVKGjg -f")
@click.argument("name")
@click.argument("job")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is written, until the attempt ends.")
@click.option(
    "--attempt", type=click.IntRange(1, MOST_ATTEMPTS), metavar="N", help="Show attempt N (default: the latest)."
)
@click.pass_context
def output_command(ctx: click.Context, name: str, job: str, *, follow: bool, attempt: int | None) -> int:
    """Print what a JOB of the experiment NAME has written, and the traceback that ended it.

    The last 64 KiB of the output of `schedy run` are kept, of the last five attempts of a job.
    """
    with reader_for(settings_of(ctx)) as reader:
        shown = _Shown(reader, find_experiment(reader, name), job, attempt)
        try:
            return shown.follow() if follow else shown.once()
        except KeyboardInterrupt:
            return 130


class _Shown:
    """The output of an attempt on its way to stdout."""

    def __init__(self, reader: Reader, experiment: ExperimentRecord, job_id: str, attempt: int | None) -> None:
        self._reader = reader
        self._experiment = experiment
        self._request = GetOutput(experiment_uid=experiment.uid, job_id=job_id, attempt=attempt)
        self._printer = OutputPrinter()
        self._has_shown = False

    def once(self) -> int:
        """Print what there is; return the exit code."""
        answer = self._reader.ask(self._request)
        self._show(answer)
        self._show_traceback(answer)
        return self._exit_code(answer)

    def follow(self) -> int:
        """Print the output until the attempt has ended; return the exit code."""
        answer = self._reader.ask(self._request)
        is_told = False
        while answer.running or (answer.status == QUEUED and self._request.attempt is None):
            if answer.running:
                self._request = self._request.model_copy(update={"attempt": answer.attempt})
                self._show(answer)
            elif not is_told:
                print_message(f"Job {self._request.job_id} is QUEUED. Waiting for a worker to run it.")
                is_told = True
            pause()
            answer = ask_patiently(self._reader, self._request)
        self._show(answer)
        self._show_traceback(answer)
        print_message(f"Attempt {answer.attempt} has ended; job {self._request.job_id} is {answer.status}.")
        return self._exit_code(answer)

    def _show(self, answer: OutputAnswer) -> None:
        """Print what was written since the last answer, and say what is missing before it."""
        missing = answer.end - len(answer.text.encode()) - self._request.after
        if answer.text and missing > 0:
            self._printer.end_line()
            print_message(_where(answer, missing))
        self._printer.show(answer.text)
        self._has_shown = self._has_shown or bool(answer.text)
        self._request = self._request.model_copy(update={"after": max(answer.end, self._request.after)})

    def _show_traceback(self, answer: OutputAnswer) -> None:
        self._printer.end_line()
        if answer.traceback is not None and answer.traceback.strip() not in answer.text:
            self._printer.show(answer.traceback)
            self._printer.end_line()
            self._has_shown = True

    def _exit_code(self, answer: OutputAnswer) -> int:
        if not self._has_shown:
            print_message(self._why_nothing(answer))
        return 0 if self._has_shown else 1

    def _why_nothing(self, answer: OutputAnswer) -> str:
        job = f"job {self._request.job_id}"
        if answer.attempt == 0:
            return f"No worker has run {job} yet: it is {answer.status}."
        others = [str(attempt) for attempt in answer.attempts if attempt != answer.attempt]
        there = f" There is some of attempt {', '.join(others)}: use --attempt." if others else ""
        so_far = " so far; -f waits for it" if answer.running else ""
        return (
            f"Nothing is stored of attempt {answer.attempt} of {job}{so_far}.{there} `schedy run` stores what a program"
            " writes; a worker of the Python library writes to its own terminal, and stores the traceback of an error."
        )


def _where(answer: OutputAnswer, missing: int) -> str:
    """Return where the part is that is not stored."""
    if answer.path is None:
        return f"({size(missing)} before this are not stored.)"
    host = (answer.worker or "").split(":")[0]
    cut = ", of which the last 64 to 128 MiB are kept" if missing > MOST_BYTES else ""
    return f"({size(missing)} before this were written to {answer.path} on {host or 'its worker'}{cut}.)"
