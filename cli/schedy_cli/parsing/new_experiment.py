"""An experiment as the command line, or a file, defines it; for `schedy add` and `schedy run`."""

import uuid
from dataclasses import dataclass
from typing import Any

import click

from schedy.search.algorithms import ALGORITHMS, DEFAULT, MANUAL
from schedy.search.definition import Definition
from schedy.search.written import WrittenDefinition
from schedy.wire.base import ExperimentStatus, check_experiment_name
from schedy.wire.changes import AddExperiment
from schedy.wire.records import Limits
from schedy.wire.values import checked_size
from schedy_cli.parsing.definition_files import read_definition_file
from schedy_cli.parsing.limits import (
    BudgetOptions,
    LimitOptions,
    absolute,
    changed_limits,
    parse_budget,
    parse_limits,
)
from schedy_cli.parsing.search_options import SearchOptions, merged_definition, parse_search
from schedy_cli.parsing.space_line import given_line

source_option = click.option(
    "--from",
    "source",
    metavar="FILE",
    help="Read the definition from FILE, JSON or .toml (-: standard input).",
)


@dataclass(frozen=True)
class NewExperiment:
    """An experiment that is to be added."""

    scheduler: str
    definition: Definition
    limits: Limits

    def settings(self) -> dict[str, Any]:
        """Return all that defines it, by the names of the settings."""
        limits = {name: value for name, value in self.limits.model_dump().items() if value}
        return {"algorithm": self.scheduler, **self.definition.as_json(), **limits}

    def creation(self, name: str, *, status: ExperimentStatus = "RUNNING", limit_bytes: int) -> AddExperiment:
        """Return the message that adds it. Raises InvalidValueError if the definition is larger than the limit."""
        settings = self.definition.as_json()
        checked_size(settings, limit_bytes=limit_bytes, what="settings of the experiment")
        return AddExperiment(
            request_id=uuid.uuid4().hex,
            name=check_experiment_name(name),
            scheduler=self.scheduler,
            settings=settings,
            status=status,
            limits=self.limits,
        )


def is_defined(
    ctx: click.Context,
    *,
    algorithm: str | None,
    source: str | None,
    search: SearchOptions,
    budget: BudgetOptions,
    limits: LimitOptions,
) -> bool:
    """Return True if the command line says anything of an experiment but its name."""
    parts = (algorithm, source, parse_search(search, given_line(ctx)), parse_budget(budget), parse_limits(limits))
    return any(part not in (None, {}) for part in parts)


def parse_experiment(
    ctx: click.Context,
    *,
    algorithm: str | None,
    source: str | None,
    search: SearchOptions,
    budget: BudgetOptions,
    limits: LimitOptions,
) -> NewExperiment:
    """Return the experiment that the command line defines. Raises click.UsageError and InvalidValueError."""
    given = parse_search(search, given_line(ctx))
    file = WrittenDefinition() if source is None else read_definition_file(source)
    settings = {**given, **absolute(parse_budget(budget), file.settings)}
    has_objective = bool(settings.get("objectives") or file.settings.get("objectives"))
    scheduler = _scheduler(algorithm, file.algorithm, has_objective=has_objective)
    definition = merged_definition(scheduler, file.settings, settings)
    return NewExperiment(scheduler, definition, changed_limits(file.limits, parse_limits(limits)))


def _scheduler(algorithm: str | None, in_file: str | None, *, has_objective: bool) -> str:
    """Return the algorithm of the command line or the file, or the default one for something to optimize.

    Raises click.UsageError for none, and for two.
    """
    if algorithm is not None and in_file is not None and algorithm != in_file:
        raise click.UsageError(f"The file has {in_file!r} and the command line {algorithm!r}. Remove one of them.")
    found = algorithm or in_file or (DEFAULT if has_objective else None)
    if not found:
        raise click.UsageError(
            f"Missing argument 'ALGORITHM', or --minimize RESULT or --maximize RESULT, for which {DEFAULT} is taken."
            f" There are {MANUAL}, {', '.join(ALGORITHMS)}."
        )
    return found
