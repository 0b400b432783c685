"""Experiments that are simulated: an algorithm, a function, and jobs that end at once or in some order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schedy.search.definition import Definition, observed, read_definition
from schedy_store.search.protocol import Algorithm, History, Suggestion, Trial

Results = Mapping[str, Any]


def define(space: Mapping[str, Any], **settings: Any) -> Definition:
    return read_definition({"hyperparameters": dict(space), "seed": 7, **settings})


def minimize(*results: str) -> list[dict[str, str]]:
    return [{"result": result, "direction": "minimize"} for result in results]


def trial(key: int, **changes: Any) -> Trial:
    """A job that has just been suggested."""
    return replace(Trial(f"J{key:05}", key, key, "QUEUED", {}, {}, None), **changes)


@dataclass
class Experiment:
    """Creates jobs and ends them; `algorithm` gets the history of the moment."""

    definition: Definition
    ended: list[Trial] = field(default_factory=list)
    pending: list[Trial] = field(default_factory=list)

    def make(self, number: int, algorithm: Algorithm) -> Trial:
        made = algorithm.suggest(number, History(self.ended, self.pending))
        assert isinstance(made, Suggestion), made
        new = trial(
            number,
            hyperparameters=made.hyperparameters,
            results=made.results,
            parent=made.parent,
            generation=made.generation,
            state=made.state,
        )
        self.pending = [*self.pending, new]
        return new

    def end(self, job: Trial, results: Results, **changes: Any) -> Trial:
        values = observed(self.definition, results)
        done = replace(job, **{"status": "DONE", "results": results, "values": values, **changes})
        self.pending = [other for other in self.pending if other.key != job.key]
        self.ended.append(done)
        return done


def run(
    definition: Definition,
    make_algorithm: Callable[[], Algorithm],
    results_of: Callable[[Mapping[str, Any]], Results],
    *,
    jobs: int,
    parallel: int = 1,
    rebuild: bool = False,
) -> list[Trial]:
    """Return the jobs of an experiment in the order in which they were made; the oldest of `parallel` ends first."""
    experiment, algorithm = Experiment(definition), make_algorithm()
    made: list[Trial] = []
    for number in range(jobs):
        if len(experiment.pending) == parallel:
            oldest = experiment.pending[number % parallel]
            experiment.end(oldest, results_of(oldest.hyperparameters))
        if rebuild:
            algorithm = make_algorithm()
        made.append(experiment.make(number, algorithm))
    return made
