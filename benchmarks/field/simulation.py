"""Workers that are simulated: they ask a search for jobs, which last random times, and tell it what came of them."""

import heapq
import math
import random
from collections.abc import Mapping
from typing import Any, Protocol

from benchmarks.field.problems import Task

WORKERS = 8


class Tool(Protocol):
    """A search of one problem with one seed."""

    def ask(self, key: int) -> Mapping[str, Any]:
        """Return the hyperparameters of job `key` (0, 1, 2, ...), for which a worker is free."""

    def tell(self, key: int, loss: float | None, violation: float) -> None:
        """Note that a job has ended; without a loss it has crashed, with a violation over 0 it broke the constraint."""


def simulate(task: Task, seed: int, jobs: int, tool: Tool) -> list[float]:
    """Return the best loss, without noise and within the constraint, of the first 1, 2, ... `jobs` jobs."""
    lasting = random.Random(seed)  # noqa: S311 - nothing secret
    times = [lasting.uniform(0.5, 1.5) for _ in range(jobs)]
    running: list[tuple[float, int, float | None, float]] = []
    best, now = [math.inf], 0.0
    for key in range(jobs):
        if len(running) == WORKERS:
            now, ended, told, violation = heapq.heappop(running)
            tool.tell(ended, told, violation)
        values = tool.ask(key)
        violation = 0.0 if task.violation is None else task.violation(values)
        loss, told = math.inf, None
        if not task.crashes(values):
            loss = task.loss(values)
            told = loss + task.noise * lasting.gauss(0, 1)
        best.append(min(best[-1], loss if violation <= 0 else math.inf))
        heapq.heappush(running, (now + times[key], key, told, violation))
    return best[1:]
