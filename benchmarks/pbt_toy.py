"""The toy problem of population based training (Jaderberg et al. 2017, figure 2), with two members that take turns.

Wanted: the largest 1.2 - t0^2 - t1^2, by gradient steps on the surrogate 1.2 - h0 t0^2 - h1 t1^2. Each member sees
mostly one of the two: alone it cannot get there.
"""

from collections.abc import Mapping
from typing import Any

from schedy.search.definition import read_definition
from schedy_store.search.algorithms.pbt import Pbt
from schedy_store.search.protocol import History, Suggestion, Trial

_SMALL = 0.05
"""Where the paper begins with 0, which no factor moves."""
_BEGIN = ({"h0": _SMALL, "h1": 1.0}, {"h0": 1.0, "h1": _SMALL})
_STEPS, _RATE = 4, 0.02
GENERATIONS = 100


def alone() -> float:
    """Return the better score of the two, each by itself."""
    return max(_trained(values) for values in _BEGIN)


def _trained(values: Mapping[str, float]) -> float:
    results: dict[str, float] = {}
    for _ in range(GENERATIONS):
        results = _ascend(values, results)
    return results["score"]


def together(seed: int = 1) -> float:
    """Return the best score with exploit and explore."""
    perturb = {"perturb": {"min_factor": 0.5, "max_factor": 2}}
    definition = read_definition(
        {
            "hyperparameters": {name: {"uniform": {"low": 0, "high": 1}} for name in ("h0", "h1")},
            "objectives": [{"result": "score", "direction": "maximize"}],
            "seed": seed,
            "options": {
                "population_size": 2,
                "max_generations": GENERATIONS,
                "exploit": {"truncate": {"proportion": 0.5}},
                "explore": {"h0": perturb, "h1": perturb},
            },
        }
    )
    algorithm = Pbt(definition)
    ended: list[Trial] = []
    for number in range(2 * GENERATIONS):
        made = algorithm.suggest(number, History(ended, []))
        assert isinstance(made, Suggestion)
        values = _BEGIN[number] if number < len(_BEGIN) else made.hyperparameters
        results = _ascend(values, made.results)
        ended.append(
            Trial(
                job_id=f"J{number:05}",
                number=number,
                key=number,
                status="DONE",
                hyperparameters=values,
                results=results,
                values=(results["score"],),
                state=made.state,
                parent=made.parent,
                generation=made.generation,
            )
        )
    return max(float(trial.results["score"]) for trial in ended)


def _ascend(values: Mapping[str, Any], start: Mapping[str, Any]) -> dict[str, float]:
    t = [start.get("t0", 0.9), start.get("t1", 0.9)]
    for _ in range(_STEPS):
        t = [each - _RATE * 2 * values[name] * each for each, name in zip(t, ("h0", "h1"), strict=True)]
    return {"t0": t[0], "t1": t[1], "score": 1.2 - t[0] ** 2 - t[1] ** 2}
