"""Distributions: quantiles to values and back, bounds, weights, and what is refused."""

import math
import random
from typing import Any

import numpy as np
import pytest

from schedy.errors import InvalidValueError
from schedy.random import (
    Choice,
    Distribution,
    Int,
    Numeric,
    distribution_from_json,
    distributions_from_json,
    distributions_to_json,
)
from schedy.random.axes import Integers

FORMS: dict[str, Any] = {
    "uniform": {"low": -2, "high": 3},
    "loguniform": {"low": 1e-4, "high": 10},
    "normal": {"mean": 1, "std": 2},
    "lognormal": {"mean": 0, "std": 1},
    "int": {"low": -2, "high": 5},
    "quniform": {"low": 0, "high": 1, "q": 0.1},
    "choice": {"values": [1, True, "1", None, [1]]},
    "ordinal": {"values": ["small", "large", 3]},
    "const": {"a": 1},
}
QUANTILES = [0.0, 0.001, 0.25, 0.5, 0.77, 0.999, 1 - 2.0**-53]


@pytest.mark.parametrize("kind", FORMS)
def test_a_value_comes_back_from_its_rank(kind: str) -> None:
    each = distribution_from_json(kind, FORMS[kind])
    for quantile in QUANTILES:
        value = each.at(quantile)
        rank = each.rank(value)
        assert rank is not None
        back = each.at(rank)
        assert type(back) is type(value)
        assert back == (pytest.approx(value) if isinstance(value, float) else value)
    assert distributions_from_json(distributions_to_json({"x": each})) == {"x": each}


@pytest.mark.parametrize("kind", ["uniform", "loguniform", "normal", "lognormal"])
def test_a_quantile_comes_back_from_its_value(kind: str) -> None:
    each = distribution_from_json(kind, FORMS[kind])
    for quantile in (0.01, 0.3, 0.9):
        assert each.rank(each.at(quantile)) == pytest.approx(quantile)


@pytest.mark.parametrize("kind", ["uniform", "loguniform", "int", "quniform"])
def test_bounds_are_kept_and_reached(kind: str) -> None:
    each = distribution_from_json(kind, FORMS[kind])
    low, high = FORMS[kind]["low"], FORMS[kind]["high"]
    assert (each.at(0.0), each.at(1 - 2.0**-53)) == (pytest.approx(low), pytest.approx(high))
    assert all(low <= each.at(quantile) <= high for quantile in QUANTILES)
    for outside in (low - 1, high + 1, "a", True, None, math.nan, math.inf):
        assert each.rank(outside) is None


def test_whole_numbers_are_equally_likely_unless_log() -> None:
    values = [distribution_from_json("int", {"low": 1, "high": 4}).at(n / 1000) for n in range(1000)]
    assert [values.count(n) for n in (1, 2, 3, 4)] == [250] * 4
    values = [distribution_from_json("int", {"low": 1, "high": 64, "log": True}).at(n / 1000) for n in range(1000)]
    assert values.count(1) > 5 * values.count(8) > 0


def test_weights_say_how_likely_a_value_is() -> None:
    each = Choice(["a", "b", "c"], weights=[1, 0, 3])
    values = [each.at(n / 1000) for n in range(1000)]
    assert [values.count(value) for value in "abc"] == [250, 0, 750]
    assert [each.rank(value) for value in "abcd"] == [0.125, None, 0.625, None]


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("unifrom", {}, r"There is no distribution 'unifrom'\. Did you mean 'uniform'\?"),
        ("uniform", {"low": 1}, r"uniform needs 'high'; it takes low, high\."),
        ("uniform", {"low": 1, "hi": 2}, r"uniform has no 'hi'"),
        ("uniform", [1, 2], r"uniform takes a JSON object with low, high, not \[1, 2\]\."),
        ("uniform", {"low": 2, "high": 1}, r"'low' \(2\) must be less than 'high' \(1\)"),
        ("uniform", {"low": "a", "high": 1}, r"'low' is a finite number, not 'a'"),
        ("loguniform", {"low": 0, "high": 1}, r"'low' must be more than 0, not 0"),
        ("normal", {"mean": 0, "std": 0}, r"'std' must be more than 0, not 0"),
        ("int", {"low": 0.5, "high": 1}, r"'low' is a whole number, not 0\.5"),
        ("int", {"low": 0, "high": 1, "log": True}, r"with 'log' 'low' must be at least 1, not 0"),
        ("quniform", {"low": 0.1, "high": 0.2, "q": 1}, r"'q' \(1\) is larger than the range from 0\.1 to 0\.2"),
        ("uniform", {"low": -1e308, "high": 1e308}, r"the range from -1e\+308 to 1e\+308 is too wide"),
        ("uniform", {"low": 0, "high": 10**400}, r"'high' is a finite number, not 1000"),
        ("loguniform", {"low": 1e-320, "high": 1e308}, r"'high' must be less than 1\.8e\+308 times 'low'"),
        ("normal", {"mean": 1e308, "std": 1e308}, r"values that lie 8 times 'std' from 'mean' must be less"),
        ("normal", {"mean": 0, "std": 1e308}, r"'mean' \(0\) and 'std' \(1e\+308\) are too large"),
        ("lognormal", {"mean": 1000, "std": 200}, r"are of the logarithm, .* For values around 1000, 'mean' is 6\.908"),
        ("lognormal", {"mean": 0, "std": 300}, r"'mean' \(0\) and 'std' \(300\) are of the logarithm"),
        ("lognormal", {"mean": -1000, "std": 1}, r"values would lie between e\^-1008 and e\^-991\.8"),
        ("int", {"low": -(10**308), "high": 10**308}, r"the range from 'low' to 'high' is too wide"),
        ("quniform", {"low": 0, "high": 1, "q": 1e-320}, r"'q' \(1e-320\) is too small for the range from 0 to 1"),
        ("quniform", {"low": 0, "high": 1e300, "q": 1e-10}, r"bounds are at most 1e\+14 times 'q'"),
        ("int", {"low": 1, "high": 8, "step": 0}, r"'step' is from 1 to 7, the width of the range, not 0"),
        ("int", {"low": 1, "high": 8, "step": 2, "log": True}, r"'log' and 'step' do not go together"),
        ("normal", {"mean": 0, "std": 1, "low": 1, "high": 1}, r"'low' \(1\) must be less than 'high' \(1\)"),
        ("normal", {"mean": 0, "std": 1, "low": 9}, r"hardly a value lies between the bounds: they are too far from"),
        ("normal", {"mean": 0, "std": 1, "low": "a"}, r"'low' is a finite number, not 'a'"),
        ("lognormal", {"mean": 0, "std": 1, "low": 0}, r"'low' must be more than 0, not 0"),
        ("ordinal", {"values": []}, r"ordinal: 'values' is a list with at least one value"),
        ("choice", {"values": []}, r"'values' is a list with at least one value"),
        ("choice", {"values": [1, 2], "weights": [1]}, r"2 values need as many weights, not 1"),
        ("choice", {"values": [1], "weights": [0]}, r"weights are numbers of at least 0, and one is more"),
        ("choice", {"values": ["a"], "then": {"b": {}}}, r"'then' names 'b', which is none of a"),
    ],
)
def test_bad_parameters_are_refused(kind: str, parameters: Any, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        distribution_from_json(kind, parameters)


def _random_number(drawn: random.Random) -> float:
    magnitude = drawn.choice([1.0, 10.0, 1e15, 1e300, 1e-300])
    return drawn.choice([0, 1, -1, drawn.uniform(-9, 9)]) * magnitude


def test_what_is_accepted_can_be_drawn_at_every_quantile() -> None:
    drawn, accepted = random.Random(1), 0  # noqa: S311
    names = {"uniform": "low high", "loguniform": "low high", "normal": "mean std", "lognormal": "mean std"}
    names |= {"quniform": "low high q"}
    for _ in range(4000):
        kind = drawn.choice(list(names))
        try:
            each = distribution_from_json(kind, {name: _random_number(drawn) for name in names[kind].split()})
        except InvalidValueError:
            continue
        accepted += 1
        for quantile in QUANTILES:
            value = each.at(quantile)
            assert math.isfinite(value), each
            rank = each.rank(value)
            assert rank is not None, (each, value)
            assert 0 <= rank <= 1, (each, value)
    assert accepted > 500


@pytest.mark.parametrize(
    ("kind", "parameters", "points", "wanted"),
    [
        ("uniform", {"low": 0.1, "high": 0.5}, 5, [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("uniform", {"low": -0.3, "high": 0.3}, 7, [-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]),
        ("uniform", {"low": 0, "high": 1}, 4, [0, 1 / 3, 2 / 3, 1]),
        ("uniform", {"low": np.float64(0.1), "high": np.float64(0.3)}, 3, [0.1, 0.2, 0.3]),
        ("loguniform", {"low": 1e-5, "high": 0.1}, 5, [1e-5, 1e-4, 1e-3, 0.01, 0.1]),
        ("loguniform", {"low": 1, "high": 1000}, 4, [1, 10, 100, 1000]),
        ("quniform", {"low": 0.0229, "high": 0.026, "q": 0.001}, None, [0.0229, 0.0239, 0.0249, 0.0259]),
        ("quniform", {"low": 1e9, "high": 1e9 + 0.002, "q": 0.001}, None, [1e9, 1e9 + 0.001, 1e9 + 0.002]),
        ("quniform", {"low": 1, "high": 9, "q": 2}, None, [1, 3, 5, 7, 9]),
        ("int", {"low": 1, "high": 8, "step": 3}, None, [1, 4, 7]),
        ("int", {"low": -3, "high": 3, "step": 2}, None, [-3, -1, 1, 3]),
        ("quniform", {"low": 0, "high": 1, "q": 0.1}, None, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
    ],
)
def test_points_of_a_grid_are_what_a_person_would_write(
    kind: str, parameters: Any, points: int | None, wanted: list[float]
) -> None:
    each = distribution_from_json(kind, parameters)
    assert each.grid(points) == wanted
    assert all(each.rank(value) is not None for value in wanted)


def test_a_multiple_that_is_off_by_rounding_is_still_one() -> None:
    each = distribution_from_json("quniform", {"low": 0, "high": 1, "q": 0.1})
    assert each.rank(0.1 + 0.2) == each.rank(0.3)
    assert each.rank(0.31) is None


@pytest.mark.parametrize(
    ("kind", "bounds", "inner"),
    [
        ("normal", {"low": -1, "high": 0.5}, 0.0),
        ("normal", {"low": 2}, 2.5),
        ("lognormal", {"high": 1.5}, 1.0),
        ("lognormal", {"low": 0.5, "high": 4}, 1.0),
    ],
)
def test_a_bounded_bell_is_the_part_between_its_bounds(kind: str, bounds: dict[str, float], inner: float) -> None:
    free = distribution_from_json(kind, {"mean": 0, "std": 1})
    each = distribution_from_json(kind, {"mean": 0, "std": 1, **bounds})
    low, high = bounds.get("low", -math.inf), bounds.get("high", math.inf)
    drawn = [each.at(n / 1000) for n in range(1000)]
    assert drawn == sorted(drawn)
    assert low <= drawn[0] <= drawn[-1] <= high
    below = _rank(free, low) if math.isfinite(low) else 0.0
    above = _rank(free, high) if math.isfinite(high) else 1.0
    expected = 1000 * (_rank(free, inner) - below) / (above - below)
    assert sum(value <= inner for value in drawn) == pytest.approx(expected, abs=2)
    assert each.rank(low - 0.1) is None
    assert each.rank(high + 0.1) is None
    assert isinstance(each, Numeric)
    assert [each.nearest(number) for number in bounds.values()] == list(bounds.values())


def _rank(distribution: Distribution, value: float) -> float:
    rank = distribution.rank(value)
    assert rank is not None
    return rank


def test_steps_of_integers_are_kept_by_everything_that_moves_a_value() -> None:
    each = Int(1, 8, step=3)
    axis = each.axis()
    assert [axis.outward(axis.inward(value)) for value in (1, 4, 7)] == [1, 4, 7]
    assert [each.rank(value) for value in (0, 2, 8, 4.0)] == [None, None, None, 0.5]
    assert [each.nearest(number) for number in (-9, 2, 3, 6, 99)] == [1, 1, 4, 7, 7]
    assert [each.scaled(4, factor) for factor in (0.9, 1.1)] == [1, 7]
    assert str(each) == "int(1, 8, step=3)"


def test_an_order_is_searched_as_one() -> None:
    each = distribution_from_json("ordinal", {"values": ["small", "medium", "large"]})
    axis = each.axis()
    assert axis is not None
    assert (axis.span, axis.inward("large"), axis.outward(1)) == (Integers(0, 2), 2, "medium")
    assert str(each) == "ordinal(small, medium, large)"
