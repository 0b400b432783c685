"""A new distribution is one class: defined here, it works with every algorithm, in JSON and on the command line."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from schedy.random import KINDS, Numeric, distributions_from_json, distributions_to_json, parse_distribution
from schedy.search.checks import check_definition
from schedy.search.definition import Definition
from schedy_cli.parsing.distribution_words import read_distribution
from schedy_store.search.catalogue import make_algorithm
from tests.unit.search_support import define, minimize, run

SPACE = {"x": {"triangular": {"width": 2}}}
OPTIONS: dict[str, dict[str, Any]] = {
    "random": {},
    "grid": {"points": 40},
    "sobol": {},
    "tpe": {},
    "cmaes": {},
    "pbt": {"population_size": 5, "max_generations": 8, "explore": {"x": {"perturb": {"max_factor": 9}}}},
}


@pytest.fixture(autouse=True)
def triangular() -> Iterator[type[Numeric]]:
    """A distribution that no other file knows."""

    @dataclass(frozen=True, slots=True)
    class Triangular(Numeric):
        kind: ClassVar[str] = "triangular"
        width: float

        def at(self, quantile: float) -> float:
            return self.width * math.sqrt(quantile)

        def rank(self, value: Any) -> float | None:
            return (value / self.width) ** 2 if isinstance(value, float) and 0 <= value <= self.width else None

        def nearest(self, number: float) -> float:
            return min(max(number, 0.0), float(self.width))

    yield Triangular
    del KINDS["triangular"]


def _loss(values: Mapping[str, Any]) -> dict[str, float]:
    return {"loss": -values["x"]}


@pytest.mark.parametrize("scheduler", OPTIONS)
def test_every_algorithm_takes_it(scheduler: str) -> None:
    definition = define(SPACE, objectives=minimize("loss"), options=OPTIONS[scheduler])
    check_definition(scheduler, definition)
    jobs = run(definition, lambda: make_algorithm(scheduler, definition), _loss, jobs=40)
    assert all(definition.space().holds(job.hyperparameters) for job in jobs)
    found = {job.hyperparameters["x"] for job in jobs}
    assert len(found) > 5
    if scheduler in ("tpe", "cmaes", "pbt"):
        assert max(found) == pytest.approx(2, abs=0.1)


def test_json_and_the_command_line_know_it(triangular: type[Numeric]) -> None:
    made = distributions_from_json(SPACE)
    assert made == {"x": triangular(width=2)}  # type: ignore[call-arg]
    assert distributions_to_json(made) == SPACE
    assert read_distribution("triangular", '{"width": 2}') == made["x"] == parse_distribution(str(made["x"]))
    assert Definition(hyperparameters=made).as_json() == {"hyperparameters": SPACE}


def test_a_number_without_bounds_must_say_what_is_nearest() -> None:
    class Unbounded(Numeric):
        def at(self, quantile: float) -> float:
            return quantile

        def rank(self, value: Any) -> float | None:
            return None

    with pytest.raises(TypeError, match="nearest"):
        Unbounded()  # type: ignore[abstract]
