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
from schedy_cli.parsing.space_change import SpaceOptions, parse_space, space_options
from schedy_cli.printing.messages import print_message
from schedy_cli.reading import Reader, find_experiment, jobs_by_age

_SHOWN = 5
"""Ids of jobs in a message."""


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
@space_options
@click.pass_context
def set_command(
    ctx: click.Context,
    name: str,
    *,
    status: ExperimentStatus | None,
    budget: BudgetOptions,
    limits: LimitOptions,
    space: SpaceOptions,
) -> None:
    """Change the status, the limits, the budget or the hyperparameters of the experiment NAME.

    What is not given stays as it is; `none` removes a limit or a hyperparameter, +N adds N to a limit. New limits also
    apply to running jobs. Once hyperparameters have changed, the search learns from those jobs that fit into the new
    ones.
    """
    settings_changes, limit_changes = parse_budget(budget), parse_limits(limits)
    if status is None and not settings_changes and not limit_changes and not any(vars(space).values()):
        raise click.UsageError("Nothing to change: give --status, a limit, or --space.")
    change = OneChange(f"{name} was changed", check=schedy_words("show", name))
    with accounted(change.account), session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        settings = _changed_settings(experiment, settings_changes, space)
        change.send(
            session,
            UpdateExperiment(
                request_id=uuid.uuid4().hex,
                experiment_uid=experiment.uid,
                status=status,
                settings=settings,
                limits=changed_limits(experiment.limits, limit_changes) if limit_changes else None,
            ),
        )
        if settings is not None and (space.space or space.where):
            _tell_misfits(reader, experiment, settings)


def _tell_misfits(reader: Reader, experiment: ExperimentRecord, settings: dict[str, Any]) -> None:
    """Say how many of the waiting jobs the search would not make any more."""
    definition = read_definition(settings)
    fitting, conditions = definition.space(), definition.conditions
    jobs = jobs_by_age(reader, experiment, statuses=["QUEUED"])
    misfits = [
        job.job_id
        for job in jobs
        if not fitting.holds(job.hyperparameters) or not all(each.holds(job.hyperparameters) for each in conditions)
    ]
    if misfits:
        first = schedy_words("cancel", experiment.name, *misfits[:_SHOWN])
        more = f" (and {len(misfits) - _SHOWN:,} more)" if len(misfits) > _SHOWN else ""
        print_message(
            f"{len(misfits):,} queued job(s) do not fit, and will run as they are: `{first}` withdraws them{more}."
        )


def _changed_settings(
    experiment: ExperimentRecord, changes: dict[str, Any], space: SpaceOptions
) -> dict[str, Any] | None:
    """Return the whole definition with the changes, None if there are none."""
    before = read_definition(experiment.settings)
    changes = {**changes, **parse_space(space, before)}
    if not changes:
        return None
    if before.objective is None and changes.get("stop_after_no_improvement") is not None:
        raise click.UsageError("--stop-after-no-improvement needs one objective, which is named in `schedy add`.")
    return changed_definition(experiment.scheduler, before, absolute(changes, before.as_json())).as_json()
