"""`schedy run --try`: one trial whose results are printed and not stored."""

import random
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from schedy.errors import SchedyError
from schedy.results.rounding import duration, short_value
from schedy.search.definition import Definition, read_definition
from schedy.settings import Settings
from schedy.wire.requests import GetJobs
from schedy_cli.context import reader_for
from schedy_cli.interruption import schedy_words
from schedy_cli.parsing.new_experiment import NewExperiment
from schedy_cli.printing.messages import print_message
from schedy_cli.reading import Reader, find_experiment
from schedy_cli.running.attempt import Attempt, Ended
from schedy_cli.running.command_line import Trial
from schedy_cli.running.failures import exit_text
from schedy_cli.running.findings import Findings
from schedy_cli.running.options import RunOptions, check_tokens
from schedy_cli.running.output_file import OutputFile
from schedy_cli.running.output_lines import plain
from schedy_cli.running.programs import NotStartedError, Programs
from schedy_cli.running.trials import missing_text


class _Subject(NamedTuple):
    """What is tried: hyperparameters, and what is looked for in the output."""

    definition: Definition
    hyperparameters: dict[str, Any]
    job_id: str


def try_once(settings: Settings, name: str, new: NewExperiment | None, options: RunOptions) -> int:
    """Run one trial with the hyperparameters of a queued job, or with random ones; return the exit code."""
    subject = _subject(settings, name, new)
    check_tokens(options.command, name, list(subject.hyperparameters))
    findings = Findings([objective.result for objective in subject.definition.objectives], options.patterns)
    observer = _Screen()
    programs = Programs()
    try:
        with tempfile.TemporaryDirectory(prefix="schedy-try-") as folder:
            trial = Trial(name, subject.job_id, 1, 0, Path(folder), subject.hyperparameters)
            words = options.command.words(trial)
            click.echo(f"$ {shlex.join(words)}")
            file = OutputFile(Path(folder) / ".output", complain=print_message)
            attempt = Attempt(programs, findings, observer, file, grace=lambda: options.grace_seconds)
            ended = attempt.run(words, options.command.environment(trial), slot=0)
    except NotStartedError as error:
        print_message(f"Error: {error}")
        return 1
    finally:
        programs.close()
    return _report(ended, findings, observer)


def _subject(settings: Settings, name: str, new: NewExperiment | None) -> _Subject:
    try:
        with reader_for(settings) as reader:
            return _stored_subject(reader, name)
    except SchedyError:
        if new is None:
            raise
    return _Subject(new.definition, _drawn(new.definition), "try")


def _stored_subject(reader: Reader, name: str) -> _Subject:
    experiment = find_experiment(reader, name)
    definition = read_definition(experiment.settings)
    queued = reader.ask(GetJobs(experiment_uid=experiment.uid, statuses=["QUEUED"], limit=1)).jobs
    if queued:
        return _Subject(definition, queued[0].hyperparameters, queued[0].job_id)
    if not definition.hyperparameters:
        raise click.UsageError(f"No job of {name} is queued. Push one first: {schedy_words('push', name, '-p')} ...")
    return _Subject(definition, _drawn(definition), "try")


def _drawn(definition: Definition) -> dict[str, Any]:
    return definition.space().draw(lambda _name, distribution: distribution.at(random.random()))  # noqa: S311


class _Screen:
    """Prints the output, and counts the points of the curve."""

    def __init__(self) -> None:
        self.curves: dict[str, set[int]] = {}

    def points(self, points: Mapping[int, Mapping[str, float]]) -> None:
        for step, values in points.items():
            for name in values:
                self.curves.setdefault(name, set()).add(step)

    def output(self, text: str, end: int) -> None:
        """Nothing is stored."""

    def lines(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            click.echo(plain(line).decode("utf-8", "replace"))

    def must_end(self) -> bool:
        return False


def _report(ended: Ended, findings: Findings, screen: _Screen) -> int:
    click.echo(f"\nThe program ended after {duration(ended.seconds)}: {exit_text(ended.code)}.")
    for name, value in findings.results.items():
        steps = screen.curves.get(name, set())
        curve = f", {len(steps)} point(s) of a curve, step {min(steps)} to {max(steps)}" if steps else ""
        click.echo(f"Result {name}: {short_value(value)}{curve}")
    if findings.missing and not ended.code:
        click.echo(missing_text(findings, ended))
    elif not findings.results and not ended.code:
        click.echo("No result was found. A line of numbers with their names is read, as loss 0.3 or loss=0.3.")
    click.echo("Nothing was stored.")
    return 1 if ended.code or findings.missing else 0
