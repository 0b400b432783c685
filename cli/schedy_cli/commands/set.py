"""`schedy set`."""

import uuid
from typing import Any

import click

from schedy.search.checks import changed_definition
from schedy.search.definition import read_definition
from schedy.wire.base import EXPERIMENT_STATUSES, ExperimentStatus
from schedy.wire.changes import UpdateExperiment
from schedy.wire.records import ExperimentRecord
from schedy_cli.context import session_and_reader, settings_of
from schedy_cli.interruption import OneChange, accounted, schedy_words
from schedy_cli.parsing.limits import (
    BudgetOptions,
    LimitOptions,
    absolute,
    budget_options,
    changed_limits,
    limit_options,
    parse_budget,
    parse_limits,
)
from schedy_cli.parsing.option_groups import StatusChoice
from schedy_cli.reading import find_experiment


@click.command("set", epilog="Example: schedy set MinimizeRandom --max-jobs 200 --job-timeout none")
@click.argument("name")
@click.option(
    "-s",
    "--status",
    type=StatusChoice(EXPERIMENT_STATUSES),
    help="DONE: start no more jobs; RUNNING: start queued jobs again.",
)
@budget_options
@limit_options
@click.pass_context
def set_command(
    ctx: click.Context, name: str, *, status: ExperimentStatus | None, budget: BudgetOptions, limits: LimitOptions
) -> None:
    """Change the status, the limits or the budget of the experiment NAME.

    What is not given stays as it is; `none` removes a limit, +N adds N to it. New limits also apply to running jobs.
    """
    settings_changes, limit_changes = parse_budget(budget), parse_limits(limits)
    if status is None and not settings_changes and not limit_changes:
        raise click.UsageError("Nothing to change: give --status, or a limit.")
    change = OneChange(f"{name} was changed", check=schedy_words("show", name))
    with accounted(change.account), session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        change.send(
            session,
            UpdateExperiment(
                request_id=uuid.uuid4().hex,
                experiment_uid=experiment.uid,
                status=status,
                settings=_changed_settings(experiment, settings_changes) if settings_changes else None,
                limits=changed_limits(experiment.limits, limit_changes) if limit_changes else None,
            ),
        )


def _changed_settings(experiment: ExperimentRecord, changes: dict[str, Any]) -> dict[str, Any]:
    before = read_definition(experiment.settings)
    if before.objective is None and changes.get("stop_after_no_improvement") is not None:
        raise click.UsageError("--stop-after-no-improvement needs one objective, which is named in `schedy add`.")
    return changed_definition(experiment.scheduler, before, absolute(changes, before.as_json())).as_json()
