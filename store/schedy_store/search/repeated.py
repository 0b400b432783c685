"""Points that are tried several times: an algorithm sees the mean of their jobs, since each alone is noisy."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from schedy.search.definition import Definition
from schedy.wire.base import DONE, PRUNED
from schedy_store.search.protocol import PRUNER_STATE, Algorithm, Exhausted, History, NotYet, Suggestion, Trial


class Repeated:
    """An algorithm each of whose suggestions stands for so many jobs in a row.

    Suggestion `number` is the point `number // repeats`. The algorithm sees a point as one trial: pending until all of
    its jobs have ended, then with the mean of the values of those that are DONE.
    """

    def __init__(self, definition: Definition, make_algorithm: Callable[[Definition], Algorithm]) -> None:
        self._repeats = definition.repeats
        self._algorithm = make_algorithm(definition)

    def suggest(self, number: int, history: History) -> Suggestion | NotYet | Exhausted:
        point, again = divmod(number, self._repeats)
        if again:
            before = [trial for trial in (*history.ended, *history.pending) if self._point_of(trial) == point]
            if before:
                first = min(before, key=lambda trial: trial.key)
                state = {name: value for name, value in first.state.items() if name != PRUNER_STATE}
                return Suggestion(first.hyperparameters, state=state)
        return self._algorithm.suggest(point, self._by_point(history, before=point))

    def _point_of(self, trial: Trial) -> int | None:
        """Return the point of a job; None for one that was pushed, or is of another experiment."""
        return None if trial.number is None else trial.number // self._repeats

    def _by_point(self, history: History, *, before: int) -> History:
        """Return the history with a trial for each point; jobs that the search has not made stay as they are."""
        open_trials: dict[int, Trial] = {}
        pending: list[Trial] = []
        for trial in history.pending:
            point = self._point_of(trial)
            if point is None:
                pending.append(trial)
            elif point < before:
                open_trials.setdefault(point, _numbered(trial, point))
        pending += open_trials.values()
        last = {self._point_of(trial): place for place, trial in enumerate(history.ended)}
        groups: dict[int, list[Trial]] = {}
        ended: list[Trial] = []
        for place, trial in enumerate(history.ended):
            point = self._point_of(trial)
            if point is None:
                ended.append(trial)
                continue
            groups.setdefault(point, []).append(trial)
            if last[point] == place and point not in open_trials:
                ended.append(_mean(groups[point], point))
        return History(ended, sorted(pending, key=lambda trial: trial.key))


def _numbered(trial: Trial, point: int) -> Trial:
    return replace(trial, number=point, key=point)


def _mean(trials: Sequence[Trial], point: int) -> Trial:
    """Return one trial for the jobs of a point: DONE if one is, else PRUNED if one is."""
    done = [trial for trial in trials if trial.values is not None]
    if not done:
        pruned = (trial for trial in trials if trial.status in (DONE, PRUNED))
        return _numbered(next(pruned, trials[0]), point)
    columns = zip(*(trial.values for trial in done if trial.values is not None), strict=True)
    violations = zip(*(trial.violations for trial in done), strict=True)
    first = _numbered(done[0], point)
    return replace(first, values=tuple(map(fmean, columns)), violations=tuple(map(fmean, violations)))
