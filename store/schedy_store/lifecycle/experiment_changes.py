"""Changes to experiments: added, updated, deleted; and how an experiment opens and closes."""

import shlex
import uuid
from typing import Any

from sqlalchemy import bindparam, exists, insert, select, update

from schedy.errors import InvalidValueError
from schedy.search.algorithms import MANUAL
from schedy.search.definition import SPACE
from schedy.wire.answers import ExperimentChangedAnswer, Refusal
from schedy.wire.changes import AddExperiment, DeleteExperiment, UpdateExperiment
from schedy.wire.records import ExperimentRecord, Limits
from schedy.wire.values import json_key, load_values
from schedy_store.lifecycle.effects import Effects, SearchCheck
from schedy_store.lifecycle.journal import Journal
from schedy_store.lifecycle.kept_answers import kept_text
from schedy_store.lifecycle.removals import remove_experiment
from schedy_store.lifecycle.search_settings import Definitions, definition_columns
from schedy_store.schema.engine import Transaction
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.records import experiment_record, findable
from schedy_store.schema.rows import (
    EXPERIMENT_RECORD_COLUMNS,
    EXPERIMENT_ROW_COLUMNS,
    ExperimentRecordRow,
    ExperimentRow,
)
from schedy_store.schema.tables import AppliedChange, Experiment, Job

_BY_NAME = Prepared(select(*EXPERIMENT_ROW_COLUMNS).where(Experiment.name == bindparam("name_is")))
_BY_UID = Prepared(select(*EXPERIMENT_ROW_COLUMNS).where(Experiment.uid == bindparam("uid_is")))
_GONE = "The experiment is already gone."


class ExperimentRows:
    """The experiments, within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._journal = Journal(transaction)

    def named(self, name: str) -> ExperimentRow | None:
        """Return the experiment of this name, None if there is none."""
        return self._found(_BY_NAME, {"name_is": findable(name)})

    def with_uid(self, uid: str) -> ExperimentRow | None:
        """Return the experiment with this uid, None if there is none."""
        return self._found(_BY_UID, {"uid_is": uid})

    def _found(self, statement: Prepared, values: dict[str, str]) -> ExperimentRow | None:
        rows = statement.read(self._transaction.sql_before_writes, values)
        return ExperimentRow(*rows[0]) if rows else None

    def record(self, pk: int) -> ExperimentRecord:
        """Return an experiment as it is stored now, without the counts of its jobs."""
        found = self._transaction.sql.execute(select(*EXPERIMENT_RECORD_COLUMNS).where(Experiment.pk == pk)).one()
        return experiment_record(ExperimentRecordRow(*found), {})

    def reopen(self, experiment: ExperimentRow, effects: Effects) -> None:
        """Make an experiment RUNNING again that is DONE only because no job was left."""
        if experiment.completed:
            self._transaction.sql.execute(
                update(Experiment).where(Experiment.pk == experiment.pk).values(status="RUNNING", completed=False)
            )
            self._journal.record("status", "The experiment is RUNNING again.", experiment_pk=experiment.pk)
            effects.queues.append(("wanted", experiment.name))


class ExperimentChanges:
    """Applies changes to experiments within one transaction."""

    def __init__(self, transaction: Transaction, *, max_attempts: int) -> None:
        self._transaction = transaction
        self._transaction = transaction
        self._now = transaction.now
        self._max_attempts = max_attempts
        self._rows = ExperimentRows(transaction)
        self._journal = Journal(transaction)
        self._definitions = Definitions(transaction)

    def add(self, change: AddExperiment) -> Effects:
        """Add an experiment."""
        if self._rows.named(change.name) is not None:
            return Effects(
                Refusal(
                    code="exists",
                    reason=f"There is an experiment {change.name!r} already. Choose another name. `schedy set"
                    f" {shlex.quote(change.name)}` changes its limits, `schedy rm {shlex.quote(change.name)}` removes"
                    " it with its jobs.",
                )
            )
        try:
            definition = self._definitions.of_new(change)
        except InvalidValueError as fault:
            return Effects(Refusal(code="invalid", reason=str(fault)))
        added = self._transaction.sql.scalars(
            insert(Experiment)
            .values(
                uid=uuid.uuid4().hex,
                name=change.name,
                scheduler=change.scheduler,
                status=change.status,
                paused=False,
                created_at=self._now,
                timed_from=self._now,
                **definition_columns(definition),
                **self._limits(change.limits),
            )
            .returning(Experiment.pk)
        ).one()
        effects = Effects(ExperimentChangedAnswer(experiment=self._rows.record(added)), touched={added})
        if change.status == "RUNNING":
            effects.queues.append(("wanted", change.name))
        effects.checking = search_check(change, added)
        return effects

    def update(self, change: UpdateExperiment) -> Effects:
        """Change the status, limits or definition of an experiment, pause or resume it."""
        before = self._rows.with_uid(change.experiment_uid)
        if before is None:
            return Effects(Refusal(code="not_found", reason=_GONE))
        try:
            values = self._changed_columns(before, change)
        except InvalidValueError as fault:
            return Effects(Refusal(code="invalid", reason=str(fault)))
        if values:
            self._transaction.sql.execute(update(Experiment).where(Experiment.pk == before.pk).values(values))
        after = self._rows.record(before.pk)
        self._note_status(before, after)
        self._note_space(before, after)
        effects = Effects(ExperimentChangedAnswer(experiment=after), tickets_wanted={before.pk}, touched={before.pk})
        self._settle_queue(before, after, effects)
        return effects

    def delete(self, change: DeleteExperiment) -> Effects:
        """Remove an experiment with its jobs and events."""
        experiment = self._rows.with_uid(change.experiment_uid)
        if experiment is None:
            return Effects(Refusal(code="not_found", reason=_GONE))
        record = self._rows.record(experiment.pk)
        remove_experiment(self._transaction, experiment.pk, experiment.name)
        detail = f"The experiment {experiment.name} was deleted."
        self._journal.record("deleted", detail, experiment_pk=None, token=change.experiment_uid)
        return Effects(
            ExperimentChangedAnswer(experiment=record),
            queues=[("gone", experiment.name)],
            log=[f"{experiment.name}: the experiment was deleted"],
        )

    def _limits(self, limits: Limits) -> dict[str, Any]:
        return {**limits.model_dump(), "max_attempts": limits.max_attempts or self._max_attempts}

    def _changed_columns(self, before: ExperimentRow, change: UpdateExperiment) -> dict[str, Any]:
        """Return the columns that an update sets. Raises InvalidValueError."""
        values: dict[str, Any] = {}
        if change.settings is not None:
            values |= definition_columns(self._definitions.of_changed(before, change.settings))
            values |= {"search_end": None}
            if before.completed:
                values |= {"status": "RUNNING", "completed": False}
        if change.status is not None and change.status != before.status:
            values |= {"status": change.status, "completed": False}
            if change.status == "RUNNING":
                values["search_end"] = None
        if change.paused is not None:
            values["paused"] = change.paused
        if change.limits is not None:
            values |= self._limits(change.limits)
        return values

    def _note_status(self, before: ExperimentRow, after: ExperimentRecord) -> None:
        if after.paused != before.paused:
            kind = "paused" if after.paused else "resumed"
            self._journal.record(kind, f"The experiment was {kind}.", experiment_pk=before.pk)
        if after.status != before.status:
            self._journal.record("status", f"The experiment is {after.status}.", experiment_pk=before.pk)

    def _note_space(self, before: ExperimentRow, after: ExperimentRecord) -> None:
        old, new = load_values(before.settings), after.settings
        changed = [name for name in SPACE if json_key(old.get(name)) != json_key(new.get(name))]
        if changed:
            was, is_now = (settings.get("hyperparameters", {}) for settings in (old, new))
            names = [name for name in {**was, **is_now} if json_key(was.get(name)) != json_key(is_now.get(name))]
            what = ", ".join([*names, *(name for name in changed if name != "hyperparameters")])
            self._journal.record("space", f"The space of the search was changed: {what}.", experiment_pk=before.pk)

    def _settle_queue(self, before: ExperimentRow, after: ExperimentRecord, effects: Effects) -> None:
        """Delete the queue of a DONE experiment, which wakes its waiting workers; empty that of a paused one."""
        if after.status == "DONE":
            effects.queues.append(("gone", after.name))
        else:
            effects.queues.append(("wanted", after.name))
            if after.paused and not before.paused:
                effects.queues.append(("purged", after.name))
        if after.status == "DONE" or after.paused:
            effects.tickets_withdrawn.add(before.pk)


def search_check(change: AddExperiment, pk: int) -> SearchCheck | None:
    """Return the check that a new experiment wants, None if it has neither an algorithm nor a pruner."""
    if change.scheduler == MANUAL and not change.settings.get("pruner"):
        return None
    return SearchCheck(pk, change.scheduler, change.request_id)


def withdraw(transaction: Transaction, check: SearchCheck, problem: str) -> Effects:
    """Remove a new experiment whose definition is refused by what should run it, and answer so from now on.

    An experiment that has jobs already stays, and no answer is returned.
    """
    has_no_job = ~exists().where(Job.experiment_pk == Experiment.pk)
    name = transaction.sql.scalar(select(Experiment.name).where(Experiment.pk == check.experiment_pk, has_no_job))
    if name is None:
        return Effects()
    remove_experiment(transaction, check.experiment_pk, name)
    refusal = Refusal(code="invalid", reason=problem)
    first_answer = update(AppliedChange).where(AppliedChange.request_id == check.request_id)
    transaction.sql.execute(first_answer.values(answer=kept_text(refusal)))
    return Effects(refusal, queues=[("gone", name)], log=[f"{name}: the experiment was refused: {problem}"])
