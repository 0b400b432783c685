"""The best value so far of experiments, as lines of a list.

They are made again when a better one was found, or a job that had ended was changed.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from schedy.results.ask import Ask
from schedy.results.plots.data import keeps
from schedy.search.definition import Definition, as_observation, definition_or_empty
from schedy.wire.records import ExperimentRecord, Standing
from schedy.wire.requests import GetSample
from schedy_web.reading import jobs_at

_SECONDS = 0.5
_MOST_KEPT = 2000

Trend = list[tuple[int, float]]
"""Each improvement: how many jobs had ended with it, and the best value from then on."""


class Trends:
    """The trends of experiments. Any thread may use it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, float | None, int], Trend] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self, ask: Ask, standings: Iterable[Standing], rewritten: Mapping[int, int]
    ) -> tuple[dict[int, Trend], bool]:
        """Return the trends by the numbers of the experiments, and True if there was no time for all of them.

        Those that are missing come with the next call. `rewritten`, by the same numbers, grows when a job that had
        ended is retried, amended or deleted.
        """
        deadline = time.monotonic() + _SECONDS
        trends: dict[int, Trend] = {}
        with self._lock:
            for standing in standings:
                definition = definition_or_empty(standing.experiment.settings)
                if not standing.best or not definition.objectives:
                    continue
                best = standing.best[0]
                value = as_observation(best.results.get(definition.objectives[0].result))
                number = standing.experiment.position
                key = (standing.experiment.uid, best.job_id, value, rewritten.get(number, 0))
                if key not in self._kept:
                    if time.monotonic() > deadline:
                        return trends, True
                    self._kept[key] = _trend(ask, standing.experiment, definition)
                self._kept.move_to_end(key)
                trends[number] = self._kept[key]
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return trends, False


def _trend(ask: Ask, experiment: ExperimentRecord, definition: Definition) -> Trend:
    """Return the improvements: the sample has all jobs that were the best when they ended."""
    objective = definition.objectives[0]
    sample = ask(GetSample(experiment_uid=experiment.uid, limit=2))
    places = dict(zip(sample.positions, sample.places, strict=True))
    values: list[tuple[int, Any]] = [
        (places[job.position], as_observation(job.results.get(objective.result)))
        for job in jobs_at(ask, experiment, sample.positions)
        if job.status == "DONE" and keeps(definition, job)
    ]
    trend: Trend = []
    for place, value in sorted(values, key=lambda each: each[0]):
        if value is not None and (not trend or objective.better(value, trend[-1][1])):
            trend.append((place, value))
    return trend
