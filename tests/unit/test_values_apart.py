"""1, 1.0, true and "1" are four values to every algorithm, as what a choice draws and as what it learns from."""

from collections.abc import Mapping
from typing import Any

import pytest

from schedy.search.algorithms import ALGORITHMS
from schedy.wire.values import json_key
from schedy_store.search.catalogue import make_algorithm, missing_requirement
from tests.unit.search_support import define, minimize, run

OPENED = {"1": "number", "true": "truth", "1.0": "real", '"1"': "text"}
SPACE = {
    "kind": {
        "choice": {
            "values": [1, True, 1.0, "1"],
            "then": {key: {name: {"uniform": {"low": 0, "high": 1}}} for key, name in OPENED.items()},
        }
    }
}
OPTIONS: dict[str, dict[str, Any]] = {"grid": {"points": 2}, "pbt": {"population_size": 16}}


def _is_text(hyperparameters: Mapping[str, Any]) -> dict[str, float]:
    return {"loss": 0.0 if type(hyperparameters["kind"]) is str else 1.0, "size": 1.0}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_value_opens_its_own(name: str) -> None:
    objectives = minimize("loss", "size") if name == "nsga2" else minimize("loss")
    definition = define(SPACE, objectives=objectives, options=OPTIONS.get(name, {}))
    if missing_requirement(name, definition):
        assert name == "gp", "all others are installed for development"
        pytest.skip("gp needs PyTorch, which takes 4 GB")
    count = 8 if name == "grid" else 25
    jobs = run(definition, lambda: make_algorithm(name, definition), _is_text, jobs=count)
    names = {int: "number", bool: "truth", float: "real", str: "text"}
    for job in jobs:
        assert list(job.hyperparameters) == ["kind", names[type(job.hyperparameters["kind"])]]
    assert len({type(job.hyperparameters["kind"]) for job in jobs}) == 4
    if name == "tpe":
        assert sum("text" in job.hyperparameters for job in jobs[10:]) > 10


def test_keys_of_values() -> None:
    assert json_key({"values": [1, 1.0, True, "1"]}) != json_key({"values": [1, 1, True, "1"]})
    assert json_key({"a": 1, "b": [None]}) == json_key({"b": [None], "a": 1})
    assert len({json_key(value) for value in (1, 1.0, True, "1", "true", None, "null", [1], {"1": 1})}) == 9
