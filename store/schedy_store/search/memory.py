"""The jobs of one experiment as its algorithm and its pruner see them, kept up to date from the store."""

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import select

from schedy.search.algorithms import ALGORITHMS
from schedy.search.definition import Constraint, Definition, as_observation, missing_result, observed, read_definition
from schedy.wire.base import CRASHED, DONE, RUNNING, JobStatus
from schedy.wire.values import load_values, stored_name
from schedy_store.schema.engine import Transaction
from schedy_store.schema.rows import columns_of, row_class
from schedy_store.schema.tables import OF_EXPERIMENT, CurvePoint, Experiment, Job
from schedy_store.search.protocol import WHY, History, Trial
from schedy_store.search.tried import TriedPoints
from schedy_store.search.wire import MadeJob

_PUSHED_KEY = 2**32
"""Keys of pushed jobs begin here, above the numbers of all suggestions."""
_BORROWED_KEY = 2**48
_MOST_PENDING = 2000


class Tally(NamedTuple):
    """How many of the jobs that a search has made had ended, and how many of them were not CRASHED."""

    ended: int
    kept: int


@row_class
class SearchSource:
    """The columns of an experiment from which its search is created: again, if one of them changes."""

    pk: int
    name: str
    scheduler: str
    settings: str
    rewritten: int


_SOURCE = select(*columns_of(SearchSource, Experiment))


def read_source(transaction: Transaction, experiment_pk: int) -> SearchSource | None:
    """Return the columns of an experiment; None if it was deleted."""
    row = transaction.sql.execute(_SOURCE.where(Experiment.pk == experiment_pk)).one_or_none()
    return None if row is None else SearchSource(*row)


def running_experiments(transaction: Transaction) -> set[int]:
    """Return the primary keys of all experiments that are RUNNING."""
    return set(transaction.sql.scalars(select(Experiment.pk).where(Experiment.status == "RUNNING")))


@row_class
class TrialRow:
    """The columns of a job from which a `Trial` is made."""

    pk: int
    job_id: str
    suggestion: int | None
    status: JobStatus
    hyperparameters: str
    results: str
    attempt: int
    ended: int | None
    parent: str | None
    generation: int | None
    search_state: str


_TRIALS = select(*columns_of(TrialRow, Job))


class Memory:
    """One experiment: its definition and its jobs. Reading is incremental, by the order in which jobs end."""

    def __init__(self, source: SearchSource) -> None:
        self.source = source
        self.definition: Definition = read_definition(load_values(source.settings))
        self._borrowed: list[Trial] | None = None
        """Jobs of other experiments (warm start); None before they are read."""
        self._ended: list[Trial] = []
        """Handed to the algorithm as it is, which is why the next two lists are separate."""
        self._order: list[int] = []
        """For each ended trial its `ended`; 0 for borrowed ones."""
        self._since_best: list[int] = []
        """For each ended trial of the experiment itself, the number of trials that had ended since the best one."""
        self._best_value: float | None = None
        self._tallies: list[Tally] = [Tally(0, 0)]
        """Before each ended trial of the experiment itself, and after the last."""
        self._reached: tuple[int, Trial] | None = None
        """The first job that reached the target of the search, and its `ended`."""
        self._pending: list[Trial] = []
        self._made: dict[int, Trial] = {}
        """Suggestions that are not stored yet, by number."""
        self._curves: dict[tuple[int, int], dict[int, float]] = {}
        self._last_point = 0
        self.may_repeat = source.scheduler not in ALGORITHMS or ALGORITHMS[source.scheduler].may_repeat
        """False for an algorithm that goes through the allowed points one by one."""
        wants_new = self.may_repeat and self.definition.avoids_repeats
        self.tried = TriedPoints(self.definition) if wants_new else None
        """The points that are not to be suggested again; None if all may be."""

    def read(self, transaction: Transaction) -> None:
        """Catch up with the store."""
        if self._borrowed is None:
            self._borrowed = self._read_borrowed(transaction)
            self._ended = list(self._borrowed)
            self._order = [0] * len(self._borrowed)
        self._read_curves(transaction)
        if self.tried is not None:
            self.tried.read(transaction, self.source.pk)
        of_experiment = _TRIALS.where(Job.experiment_pk == self.source.pk)
        for row in transaction.sql.execute(of_experiment.where(Job.ended > self.known).order_by(Job.ended)):
            self._add_ended(TrialRow(*row))
        pending = of_experiment.where(Job.status.in_(("QUEUED", "RUNNING"))).order_by(Job.pk).limit(_MOST_PENDING)
        self._pending = [self._trial(TrialRow(*row)) for row in transaction.sql.execute(pending)]
        for trial in self._pending:
            self._made.pop(trial.key, None)

    @property
    def known(self) -> int:
        """The number of jobs that have ended."""
        return self._order[-1] if self._order else 0

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
        """Return how many of the first `known` jobs to end did so since the best of them; 0 before there is one."""
        end = bisect_right(self._order, known) - len(self._borrowed or ())
        return self._since_best[end - 1] if end > 0 else 0

    def tally(self, known: int) -> Tally:
        """Return how many made jobs had ended among the first `known` jobs to end."""
        return self._tallies[bisect_right(self._order, known) - len(self._borrowed or ())]

    def reached(self, known: int) -> Trial | None:
        """Return the first job that reached the target of the search, if it was among the first `known` to end."""
        return self._reached[1] if self._reached is not None and self._reached[0] <= known else None

    def without_result(self, known: int) -> list[Trial]:
        """Return the made jobs that were DONE in a row without an objective, when `known` jobs had ended; last first.

        Jobs that crashed or were pruned, or were pushed, stand for nothing here.
        """
        end = bisect_right(self._order, known)
        own = (trial for trial in reversed(self._ended[:end]) if trial.number is not None and trial.status == DONE)
        return list(takewhile(lambda trial: missing_result(self.definition, trial.results) is not None, own))

    def remember(self, made: MadeJob) -> None:
        """Count a suggestion as made until the store has it."""
        if self.tried is not None:
            self.tried.remember(made.hyperparameters)
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
            state=_of_algorithm(made.state),
        )

    def to_prune(self, transaction: Transaction, job_pk: int) -> Trial | None:
        """Return a running job with its curve; None if it does not run any more."""
        row = transaction.sql.execute(_TRIALS.where(Job.pk == job_pk)).one_or_none()
        return self._trial(TrialRow(*row)) if row is not None and row.status == RUNNING else None

    def everything(self) -> History:
        """Return the jobs as they are now."""
        return History(self._ended, self._pending)

    def _add_ended(self, row: TrialRow) -> None:
        trial = self._trial(row)
        self._made.pop(trial.key, None)
        self._ended.append(trial)
        self._order.append(row.ended or 0)
        objective = self.definition.objective
        since = self._since_best[-1] + 1 if self._best_value is not None else 0
        if objective is not None and trial.values is not None and _is_feasible(trial):
            value = trial.values[0]
            if self._best_value is None or objective.better(value, self._best_value):
                self._best_value, since = value, 0
        self._since_best.append(since)
        ended, kept = self._tallies[-1]
        is_made = trial.number is not None
        self._tallies.append(Tally(ended + is_made, kept + (is_made and trial.status != CRASHED)))
        if self._reached is None and _reaches(self.definition, trial):
            self._reached = row.ended or 0, trial

    def _trial(self, row: TrialRow) -> Trial:
        results = load_values(row.results)
        hyperparameters = load_values(row.hyperparameters)
        return Trial(
            job_id=row.job_id,
            number=row.suggestion,
            key=_PUSHED_KEY + row.pk if row.suggestion is None else row.suggestion,
            status=row.status,
            hyperparameters={**self.definition.assumed, **hyperparameters},
            results=results,
            values=observed(self.definition, results) if row.status == DONE else None,
            violations=tuple(_violations(self.definition, results)) if row.status == DONE else (),
            curve=self._curves.get((row.pk, row.attempt), {}),
            state=_of_algorithm(json.loads(row.search_state)),
            parent=row.parent,
            generation=row.generation,
        )

    def _read_borrowed(self, transaction: Transaction) -> list[Trial]:
        """Read the jobs of other experiments from which this one starts."""
        borrowed: list[Trial] = []
        for source in self.definition.warm_start:
            found = (
                _TRIALS.join_from(Job, Experiment, OF_EXPERIMENT)
                .where(Experiment.uid == source.uid, Job.ended <= (source.ended or 0))
                .order_by(Job.ended)
            )
            for row in transaction.sql.execute(found):
                trial = replace(
                    self._trial(TrialRow(*row)),
                    number=None,
                    key=_BORROWED_KEY + len(borrowed),
                    parent=None,
                    generation=None,
                )
                borrowed.append(replace(trial, state={}, curve={}))
        return borrowed

    def _read_curves(self, transaction: Transaction) -> None:
        objective = self.definition.objective
        if objective is None:
            return
        found = (
            select(CurvePoint.pk, CurvePoint.job_pk, CurvePoint.attempt, CurvePoint.step, CurvePoint.value)
            .where(
                CurvePoint.experiment_pk == self.source.pk,
                CurvePoint.pk > self._last_point,
                CurvePoint.name == stored_name(objective.result),
            )
            .order_by(CurvePoint.pk)
        )
        for point in transaction.sql.execute(found):
            self._last_point = point.pk
            self._curves.setdefault((point.job_pk, point.attempt), {})[point.step] = point.value


def _of_algorithm(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the state without what is kept for people."""
    return {entry: value for entry, value in state.items() if entry != WHY} if WHY in state else state


def _violations(definition: Definition, results: dict[str, Any]) -> Iterable[float]:
    return _breaches(definition.constraints, results)


def _breaches(bounds: Iterable[Constraint], results: Mapping[str, Any]) -> Iterable[float]:
    """Return by how much results break each bound: 0 or less where they keep it, infinity where one is missing."""
    for constraint in bounds:
        value = as_observation(results.get(constraint.result))
        yield math.inf if value is None else constraint.violation(value)


def _reaches(definition: Definition, trial: Trial) -> bool:
    """Return whether a job has reached the target of the search, if it has one."""
    bounds = definition.stop_at
    return (
        bool(bounds)
        and trial.status == DONE
        and _is_feasible(trial)
        and all(each <= 0 for each in _breaches(bounds, trial.results))
    )


def _is_feasible(trial: Trial) -> bool:
    violations: Sequence[float] = trial.violations
    return all(violation <= 0 for violation in violations)
