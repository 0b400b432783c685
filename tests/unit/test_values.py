"""Values: what comes back is what JSON makes of what went in; what is no JSON is refused by name."""

import json
import math
import random
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from schedy.errors import InvalidValueError
from schedy.wire.values import (
    dump_values,
    load_values,
    plain_values,
    shown_name,
    sort_keys,
    split_sendable,
    stored_name,
)

NASTY_TEXTS = ["", "\x00", "\ud800", "\udcff", "a\ud83d", "😀", "\u2028", "\x1b[31m", '"\\', "NaN", " x ", "é" * 99]


@pytest.mark.parametrize(
    "value",
    [0, -1, 2**63, 10**400, 0.1, -0.0, 5e-324, 1.7976931348623157e308, True, None, [], {}, [[None]], {"": {"a": []}}],
    ids=lambda value: repr(value)[:20],
)
def test_json_comes_back_as_it_was(value: Any) -> None:
    back = plain_values({"x": value})["x"]
    assert back == value
    assert type(back) is type(value)
    assert str(back) == str(value)


@pytest.mark.parametrize("text", NASTY_TEXTS, ids=ascii)
def test_any_text_comes_back_and_is_stored_as_ascii(text: str) -> None:
    values = {f"name{text}": text, "inner": {text: [text]}}
    assert plain_values(values) == values
    assert dump_values(values).isascii()
    assert "\x00" not in dump_values(values)


def test_nan_and_infinities_come_back() -> None:
    back = plain_values({"nan": math.nan, "up": math.inf, "down": [-math.inf]})
    assert math.isnan(back["nan"])
    assert (back["up"], back["down"]) == (math.inf, [-math.inf])


def test_the_order_of_names_is_kept() -> None:
    assert list(plain_values({"b": 1, "a": 2, "c": 3})) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.float64("nan"), math.nan),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array(3.0), 3.0),
        ([np.int8(1), {"k": np.zeros(2)}], [1, {"k": [0.0, 0.0]}]),
        ((1, (2,)), [1, [2]]),
        (OrderedDict(a=1), {"a": 1}),
    ],
    ids=repr,
)
def test_numpy_tuples_and_mappings_become_plain(value: Any, plain: Any) -> None:
    back = plain_values({"x": value})["x"]
    assert json.dumps(back) == json.dumps(plain)


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"x", 1 + 2j, {1: 2}, {"a": {None: 1}}, np.array([1j]), np.datetime64("2026-01-01"), float],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"^The value of 'weights' is not JSON: .* Use numbers"):
        dump_values({"fine": 1, "weights": value})


def test_a_value_within_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidValueError, match="'loop' is not JSON: it is nested too deeply, or contains itself"):
        dump_values({"loop": loop})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([("x", 1)], "Expected a mapping of names to values, got list"),
        (None, "got NoneType"),
        ({1: 2}, "The name 1 is of type int, not text"),
        ({"": 1}, "A name has 1 to 200 characters"),
        ({"n" * 201: 1}, "'nnnnnnnnnnnnnnnnnnnn' has 201"),
    ],
)
def test_names_are_text_of_1_to_200_characters(values: Any, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        dump_values(values)


def test_the_sendable_part_is_kept_and_each_fault_told() -> None:
    sendable, faults = split_sendable({"loss": np.float32(0.5), "model": object(), "ok": math.inf, "set": {1}})
    assert sendable == {"loss": 0.5, "ok": math.inf}
    assert [fault.split(" is not")[0] for fault in faults] == ["The value of 'model'", "The value of 'set'"]


@pytest.mark.parametrize("name", [*NASTY_TEXTS[1:], "\\u0041", "a"], ids=ascii)
def test_a_stored_name_is_ascii_and_shows_as_it_was(name: str) -> None:
    assert stored_name(name).isascii()
    assert shown_name(stored_name(name)) == name


@pytest.mark.parametrize(
    ("value", "number", "text"),
    [
        (3, 3.0, None),
        (True, 1.0, None),
        (-math.inf, -math.inf, None),
        (10**400, math.inf, None),
        (-(10**400), -math.inf, None),
        (math.nan, None, None),
        (None, None, None),
        ([1], None, None),
        ({"a": 1}, None, None),
        ("adam", None, "adam"),
        ("", None, ""),
        ("\x00\ud800", None, "\\u0000\\ud800"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_sort_keys(value: Any, number: float | None, text: str | None) -> None:
    assert list(sort_keys({"x": value})) == [("x", number, text)]


def test_sort_keys_of_long_texts_are_short_and_keep_their_order() -> None:
    texts = ["adam", "adam w", "adam!", "adamw", "b" * 63, "b" * 64, "b" * 900]
    keys = [text for _name, _number, text in sort_keys(dict(zip("abcdefg", texts, strict=True)))]
    assert keys == sorted(text for text in keys if text is not None)
    assert max(len(text) for text in keys if text is not None) == 64


def test_random_values_come_back() -> None:
    source = random.Random(20260101)  # noqa: S311 - repeatable, not secret
    for _ in range(300):
        values = {f"name {place}": random_value(source) for place in range(3)}
        assert load_values(dump_values(values)) == json.loads(json.dumps(values))


def random_value(source: random.Random, depth: int = 0) -> Any:
    """Any JSON value but NaN, which is not equal to itself."""
    makers: list[Any] = [
        lambda: None,
        lambda: source.random() < 0.5,
        lambda: source.randint(-(2**70), 2**70),
        lambda: source.uniform(-1, 1) * 10.0 ** source.randint(-320, 300),
        lambda: source.choice([math.inf, -math.inf, 0.0, -0.0, 1e16, 1e-7]),
        lambda: random_text(source),
        lambda: [random_value(source, depth + 1) for _ in range(source.randint(0, 3))],
        lambda: {random_text(source): random_value(source, depth + 1) for _ in range(source.randint(0, 3))},
    ]
    return source.choice(makers if depth < 4 else makers[:6])()


WORDS = ["true", "null", "NaN", "nan", "inf", "-inf", "Infinity", "-Infinity", "True", "None", "1e5", "-s", "--", "-1"]


def random_text(source: random.Random) -> str:
    if source.random() < 0.3:
        return source.choice(NASTY_TEXTS + WORDS)
    alphabet = "aZ09_/.-+:,= \t\n\"'`\\()[]{}<>|&;$#~é😀\x00\x1b\x7f\x85\x9b\xa0\u202e\u2028\ud800\udfff"
    return "".join(source.choice(alphabet) for _ in range(source.randint(0, 8)))
