"""Spaces: which hyperparameters there are, and which exist only with a choice."""

from typing import Any

import pytest

from schedy.errors import InvalidValueError
from schedy.random import distributions_from_json
from schedy.search.space import Space

FORM = {
    "kind": {
        "choice": {
            "values": ["svm", 2],
            "then": {
                "svm": {"c": {"uniform": {"low": 0, "high": 1}}},
                "2": {"deep": {"choice": {"values": [True], "then": {"true": {"n": {"int": {"low": 1, "high": 2}}}}}}},
            },
        }
    },
    "x": {"uniform": {"low": 0, "high": 1}},
}


def _space() -> Space:
    return Space(distributions_from_json(FORM))


def test_all_hyperparameters_are_known_behind_what_opens_them() -> None:
    assert list(_space().parameters) == ["kind", "c", "deep", "n", "x"]


def test_only_what_exists_is_drawn() -> None:
    assert _space().draw(lambda _name, each: each.at(0.0)) == {"kind": "svm", "c": 0.0, "x": 0.0}
    assert _space().draw(lambda _name, each: each.at(0.9)) == {"kind": 2, "deep": True, "n": 2, "x": 0.9}


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"kind": "svm", "c": 0.5, "x": 1}, None),
        ({"kind": "svm", "c": 0.5}, "x is missing"),
        ({"kind": "svm", "c": 1.5, "x": 1}, "c lies outside"),
        ({"kind": "2", "c": 0.5, "x": 1}, "kind lies outside"),
        ({"kind": "svm", "c": 0.5, "x": 1, "n": 1}, "n is not in it"),
    ],
)
def test_a_fault_is_named(values: dict[str, Any], fault: str | None) -> None:
    assert _space().fault(values) == fault


def test_a_name_stands_once() -> None:
    twice = {"kind": {"choice": {"values": ["a"], "then": {"a": {"x": FORM["x"]}}}}, "x": FORM["x"]}
    with pytest.raises(InvalidValueError, match="x: there are two hyperparameters of this name"):
        Space(distributions_from_json(twice))
