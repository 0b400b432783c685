"""Points that are tried several times: the same hyperparameters, and one trial for the algorithm."""

from collections.abc import Mapping
from typing import Any

import pytest

from schedy.errors import InvalidValueError
from schedy.search.checks import check_definition
from schedy.search.definition import Definition
from schedy_store.search.catalogue import make_algorithm
from schedy_store.search.protocol import PRUNER_STATE, History, Suggestion, Trial
from schedy_store.search.repeated import Repeated
from tests.unit.search_support import define, minimize, run, trial

SPACE = {"x": {"uniform": {"low": 0, "high": 1}}}


class Witness:
    """An algorithm that keeps what it was shown."""

    def __init__(self, definition: Definition) -> None:
        self.seen: list[tuple[int, History]] = []

    def suggest(self, number: int, history: History) -> Suggestion:
        self.seen.append((number, history))
        return Suggestion({"x": number / 10}, state={"of": number})


def of(key: int, x: float, *values: float, **changes: Any) -> Trial:
    status = "DONE" if values else "RUNNING"
    fields: dict[str, Any] = {"hyperparameters": {"x": x}, "status": status, "values": values or None, **changes}
    return trial(key, **fields)


def shown(trials: Any) -> list[Any]:
    return [(each.number, each.key, each.status, each.values, each.violations) for each in trials]


def test_the_algorithm_sees_a_point_as_one_job() -> None:
    witness = Witness(define(SPACE))
    repeated = Repeated(define(SPACE, repeats=3), lambda _definition: witness)
    pushed = of(2**32, 0.5, 7.0, number=None)
    ended = [
        of(0, 0.0, 1.0, violations=(0.0,)),
        of(3, 0.1, status="CRASHED"),
        pushed,
        of(1, 0.0, 2.0, violations=(3.0,)),
        of(4, 0.1, 5.0),
        of(2, 0.0, status="CRASHED"),
        of(6, 0.2, 9.0),
    ]
    pending = [of(5, 0.1), of(7, 0.2), of(8, 0.2), of(2**32 + 1, 0.6, number=None)]
    repeated.suggest(9, History(ended, pending))
    ((number, history),) = witness.seen
    assert number == 3
    assert shown(history.ended) == [shown([pushed])[0], (0, 0, "DONE", (1.5,), (1.5,))]
    assert [each.number for each in history.pending] == [1, 2, None]
    repeated.suggest(9, History([*ended, of(5, 0.1, status="PRUNED", curve={1: 4.0})], pending[1:]))
    assert shown(witness.seen[-1][1].ended)[-1] == (1, 1, "DONE", (5.0,), ())


def test_a_point_without_a_value_is_pruned_or_has_crashed() -> None:
    witness = Witness(define(SPACE))
    repeated = Repeated(define(SPACE, repeats=2), lambda _definition: witness)
    ended = [of(n, 0.1, status=status) for n, status in enumerate(["CRASHED", "PRUNED", "CRASHED", "CRASHED"])]
    repeated.suggest(4, History(ended, []))
    assert [each.status for each in witness.seen[0][1].ended] == ["PRUNED", "CRASHED"]


def test_the_next_jobs_of_a_point_are_as_its_first() -> None:
    repeated = Repeated(define(SPACE, repeats=3), Witness)
    first = of(3, 0.25, state={"of": 1, PRUNER_STATE: {"rung": 1}})
    for history in (History([], [first]), History([first], []), History([of(4, 0.25)], [first])):
        again = repeated.suggest(5, history)
        assert again == Suggestion({"x": 0.25}, state={"of": 1})
    removed = repeated.suggest(5, History([], []))
    assert isinstance(removed, Suggestion)
    assert removed.hyperparameters == {"x": 0.1}  # the jobs were removed: the point is made again


@pytest.mark.parametrize("name", ["random", "grid", "sobol", "tpe", "cmaes", "auto"])
@pytest.mark.parametrize("rebuild", [False, True], ids=["one process", "made anew each time"])
def test_every_algorithm_can_repeat_its_points(name: str, *, rebuild: bool) -> None:
    more = {"options": {"points": 5}} if name == "grid" else {}
    definition = define(SPACE, objectives=minimize("loss"), repeats=3, **more)
    check_definition(name, definition)

    def _new() -> Repeated:
        return Repeated(definition, lambda defined: make_algorithm(name, defined))

    def _results(point: Mapping[str, Any]) -> dict[str, float]:
        return {"loss": point["x"]}

    made = [job.hyperparameters["x"] for job in run(definition, _new, _results, jobs=15, parallel=4, rebuild=rebuild)]
    assert [made[n : n + 3] for n in range(0, 15, 3)] == [[made[n]] * 3 for n in range(0, 15, 3)]
    assert len(set(made)) == 5


def test_population_based_training_cannot() -> None:
    with pytest.raises(InvalidValueError, match=r"pbt continues jobs, .* so it has no repeats"):
        check_definition("pbt", define(SPACE, objectives=minimize("loss"), repeats=2))
