"""What the search process knows of the jobs of one experiment, kept up to date from the store."""

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from schedy.search.definition import Definition, as_observation, observed, read_definition
from schedy.wire.base import DONE, RUNNING
from schedy.wire.values import load_values, stored_name
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import AnyRow
from schedy_store.schema.tables import CurvePoint, Experiment, Job
from schedy_store.search.protocol import History, Trial
from schedy_store.search.wire import MadeJob

_PUSHED_KEY = 2**32
_LENT_KEY = 2**48
_MOST_PENDING = 2000

_COLUMNS = (
    Job.pk,
    Job.job_id,
    Job.suggestion,
    Job.status,
    Job.hyperparameters,
    Job.results,
    Job.attempt,
    Job.ended,
    Job.parent,
    Job.generation,
    Job.search_state,
)


class Memory:
    """One experiment: its definition and its jobs. Reading is incremental, by the order in which jobs end."""

    def __init__(self, experiment: AnyRow) -> None:
        self.scheduler: str = experiment.scheduler
        self.settings: str = experiment.settings
        self.definition: Definition = read_definition(load_values(experiment.settings))
        self.rewritten: int = experiment.rewritten
        self._pk: int = experiment.pk
        self._lent: list[Trial] | None = None
        self._ended: list[Trial] = []
        self._order: list[int] = []
        """For each ended trial its place among the ended ones of the experiment; those that are lent have 0."""
        self._best: list[int] = []
        """For each ended trial of the experiment how many ended since the best one."""
        self._best_value: float | None = None
        self._pending: list[Trial] = []
        self._made: dict[int, Trial] = {}
        """Suggestions that the store does not have yet."""
        self._curves: dict[tuple[int, int], dict[int, float]] = {}
        self._last_point = 0

    def read(self, transaction: Transaction) -> None:
        """Catch up with the store."""
        if self._lent is None:
            self._lent = self._read_lent(transaction)
            self._ended = list(self._lent)
            self._order = [0] * len(self._lent)
        self._read_curves(transaction)
        last = self._order[-1] if self._order else 0
        of_experiment = select(*_COLUMNS).where(Job.experiment_pk == self._pk)
        for row in transaction.sql.execute(of_experiment.where(Job.ended > last).order_by(Job.ended)):
            self._add_ended(row)
        pending = of_experiment.where(Job.status.in_(("QUEUED", "RUNNING"))).order_by(Job.pk).limit(_MOST_PENDING)
        self._pending = [self._trial(row) for row in transaction.sql.execute(pending)]
        for trial in self._pending:
            self._made.pop(trial.key, None)

    def history(self, *, number: int, known: int) -> History:
        """Return the jobs as they were when suggestion `number` was wanted."""
        end = bisect_right(self._order, known)
        later = [replace(trial, status=RUNNING, values=None, violations=()) for trial in self._ended[end:]]
        pending = [
            trial
            for trial in (*later, *self._pending, *self._made.values())
            if trial.number is None or trial.number < number
        ]
        return History(self._ended[:end], sorted(pending, key=lambda trial: trial.key))

    def without_improvement(self, known: int) -> int:
        """Return how many of the jobs that had ended by then did so since the best one; 0 before there is one."""
        end = bisect_right(self._order, known)
        return self._best[end - 1 - len(self._lent or ())] if end > len(self._lent or ()) else 0

    def remember(self, made: MadeJob) -> None:
        """Count a suggestion as made, before the store has it."""
        self._made[made.number] = Trial(
            job_id="",
            number=made.number,
            key=made.number,
            status="QUEUED",
            hyperparameters=made.hyperparameters,
            results=made.results,
            values=None,
            parent=made.parent,
            generation=made.generation,
            state=made.state,
        )

    def to_prune(self, transaction: Transaction, job_pk: int) -> Trial | None:
        """Return a job that runs, with its curve; None if it does not any more."""
        row = transaction.sql.execute(select(*_COLUMNS).where(Job.pk == job_pk)).one_or_none()
        return self._trial(row) if row is not None and row.status == RUNNING else None

    def everything(self) -> History:
        """Return the jobs as they are."""
        return History(self._ended, self._pending)

    def _add_ended(self, row: AnyRow) -> None:
        trial = self._trial(row)
        self._made.pop(trial.key, None)
        self._ended.append(trial)
        self._order.append(row.ended)
        objective = self.definition.objective
        since = self._best[-1] + 1 if self._best_value is not None else 0
        if objective is not None and trial.values is not None and _is_feasible(trial):
            value = trial.values[0]
            if self._best_value is None or objective.better(value, self._best_value):
                self._best_value, since = value, 0
        self._best.append(since)

    def _trial(self, row: AnyRow) -> Trial:
        results = load_values(row.results)
        return Trial(
            job_id=row.job_id,
            number=row.suggestion,
            key=_PUSHED_KEY + row.pk if row.suggestion is None else row.suggestion,
            status=row.status,
            hyperparameters=load_values(row.hyperparameters),
            results=results,
            values=observed(self.definition, results) if row.status == DONE else None,
            violations=tuple(_violations(self.definition, results)) if row.status == DONE else (),
            curve=self._curves.get((row.pk, row.attempt), {}),
            state=json.loads(row.search_state),
            parent=row.parent,
            generation=row.generation,
        )

    def _read_lent(self, transaction: Transaction) -> list[Trial]:
        """The jobs of other experiments from which this one starts."""
        lent: list[Trial] = []
        for source in self.definition.warm_start:
            found = (
                select(*_COLUMNS)
                .join_from(Job, Experiment)
                .where(Experiment.uid == source.uid, Job.ended <= (source.ended or 0))
                .order_by(Job.ended)
            )
            for row in transaction.sql.execute(found):
                trial = replace(self._trial(row), number=None, key=_LENT_KEY + len(lent), parent=None, generation=None)
                lent.append(replace(trial, state={}, curve={}))
        return lent

    def _read_curves(self, transaction: Transaction) -> None:
        objective = self.definition.objective
        if objective is None:
            return
        found = (
            select(CurvePoint.pk, CurvePoint.job_pk, CurvePoint.attempt, CurvePoint.step, CurvePoint.value)
            .where(
                CurvePoint.experiment_pk == self._pk,
                CurvePoint.pk > self._last_point,
                CurvePoint.name == stored_name(objective.result),
            )
            .order_by(CurvePoint.pk)
        )
        for point in transaction.sql.execute(found):
            self._last_point = point.pk
            self._curves.setdefault((point.job_pk, point.attempt), {})[point.step] = point.value


def _violations(definition: Definition, results: dict[str, Any]) -> Iterable[float]:
    for constraint in definition.constraints:
        value = as_observation(results.get(constraint.result))
        yield math.inf if value is None else constraint.violation(value)


def _is_feasible(trial: Trial) -> bool:
    violations: Sequence[float] = trial.violations
    return all(violation <= 0 for violation in violations)
