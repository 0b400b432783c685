"""Spaces: which hyperparameters there are, and which exist only with a choice."""

from typing import Any

import pytest

from schedy.errors import InvalidValueError
from schedy.random import distributions_from_json
from schedy.search.space import Fit, Space

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
    ("values", "fit"),
    [
        ({"kind": "svm", "c": 0.5, "x": 1}, Fit()),
        ({"kind": 2, "deep": True, "n": 1, "x": 1}, Fit()),
        ({"kind": "svm", "c": 0.5}, Fit(missing=("x",))),
        ({}, Fit(missing=("kind", "x"))),
        ({"kind": "svm", "c": 1.5, "x": 1}, Fit(outside=("c",))),
        ({"kind": "2", "deep": True, "x": 1}, Fit(outside=("kind",), strange=("deep",))),
        ({"kind": 2, "deep": 1, "x": 1}, Fit(outside=("deep",))),
        ({"kind": "svm", "c": 0.5, "x": 1, "n": 1}, Fit(strange=("n",))),
    ],
)
def test_tells_what_is_wrong_with_hyperparameters(values: dict[str, Any], fit: Fit) -> None:
    assert _space().fit(values) == fit
    assert _space().holds(values) == (fit == Fit())


def test_then_tells_1_true_and_text_apart() -> None:
    opened = {key: {f"x{place}": {"const": place}} for place, key in enumerate(["1", "true", "1.0", '"1"', "one"])}
    choice = {"choice": {"values": [1, "1", True, 1.0, "one", "true"], "then": opened}}
    kind = distributions_from_json({"kind": choice})["kind"]
    assert kind.to_json() == choice
    names = [list(kind.opens(value)) for value in (1, "1", True, 1.0, "one", "true", 2, "x")]
    assert names == [["x0"], ["x3"], ["x1"], ["x2"], ["x4"], [], [], []]
    assert [kind.rank(value) is None for value in (1, 1.0, True, False, "1.0")] == [False, False, False, True, True]
    with pytest.raises(InvalidValueError, match="names values as text: 'true', not True"):
        distributions_from_json({"kind": {"choice": {"values": [True], "then": {True: {}}}}})
    with pytest.raises(InvalidValueError, match="names one value twice, as 'one' and as '\"one\"'"):
        distributions_from_json({"kind": {"choice": {"values": ["one"], "then": {"one": {}, '"one"': {}}}}})


def test_a_space_has_a_thousand_hyperparameters_at_most() -> None:
    opened = {"kind": {"choice": {"values": ["a"], "then": {"a": {f"x{n}": FORM["x"] for n in range(999)}}}}}
    assert len(Space(distributions_from_json(opened)).parameters) == 1000
    with pytest.raises(InvalidValueError, match="A search has at most 1,000 hyperparameters, not 1,001"):
        Space(distributions_from_json({**opened, "x": FORM["x"]}))


def test_a_name_stands_once() -> None:
    twice = {"kind": {"choice": {"values": ["a"], "then": {"a": {"x": FORM["x"]}}}}, "x": FORM["x"]}
    with pytest.raises(InvalidValueError, match="x: there are two hyperparameters of this name"):
        Space(distributions_from_json(twice))
