"""Words after -p and -r: pairs, whatever the value looks like; none is misread or silently dropped."""

import json
import math
import random
import re
from typing import Any

import click
import pytest

from schedy.values_text import format_quality, format_value, parse_value
from schedy_cli.commands.push import push_command
from schedy_cli.parsing.argv import cut_pairs
from tests.unit.test_values import NASTY_TEXTS, WORDS, random_value


def cut(line: str) -> tuple[list[str], dict[str, dict[str, Any]]]:
    return cut_pairs(line.split(), push_command)


@pytest.mark.parametrize(
    ("line", "rest", "hyperparameters", "results"),
    [
        ("E -p x 1 y 2", "E", {"x": 1, "y": 2}, None),
        ("E -p x -1 -s DONE", "E -s DONE", {"x": -1}, None),
        ("E -p x -1 y -2.5e-3 -r loss -5", "E", {"x": -1, "y": -0.0025}, {"loss": -5}),
        ("-p x 1 -s DONE E", "-s DONE E", {"x": 1}, None),
        ("-p x 1 -- E", "E", {"x": 1}, None),
        ("-p x 1 -- E -r y 2", "E", {"x": 1}, {"y": 2}),
        ("E -p x 1 -p y 2 -r a 1 -p z 3", "E", {"x": 1, "y": 2, "z": 3}, {"a": 1}),
        ("E --hyperparameters x 1 --results y 2", "E", {"x": 1}, {"y": 2}),
        ("E -p x 1 --status=DONE", "E --status=DONE", {"x": 1}, None),
        ("E -p x 1 -sDONE", "E -sDONE", {"x": 1}, None),
        ("E -p x 1 -q -1 -r y 2", "E -q -1", {"x": 1}, {"y": 2}),
        ("E -p x 1 --help", "E --help", {"x": 1}, None),
        ("E -p --help", "E --help", {}, None),
        ("E -p x 1 -h", "E -h", {"x": 1}, None),
        ("-s -p -p x 1", "-s -p", {"x": 1}, None),
        ("-- -p x 1", "-- -p x 1", None, None),
        ("E -p opt adam path /data/x _u _", "E", {"opt": "adam", "path": "/data/x", "_u": "_"}, None),
        ("E -p e=1 2 a-b 3 é 4", "E", {"e=1": 2, "a-b": 3, "é": 4}, None),
        ("E", "E", None, None),
    ],
)
def test_a_command_line_is_cut(
    line: str, rest: str, hyperparameters: dict[str, Any] | None, results: dict[str, Any] | None
) -> None:
    left, found = cut(line)
    assert " ".join(left) == rest
    assert (found.get("hyperparameters"), found.get("results")) == (hyperparameters, results)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("E -p opt -s", "-p opt -s: it is not JSON; for text write '\"-s\"'."),
        ("E -p opt -sgd -r result -5", "-p opt -sgd: it is not JSON; for text write '\"-sgd\"'."),
        ("E -p x --help", "-p x --help: it is not JSON"),
        ("E -p x", "-p: 'x' has no value. Write names and values in turn: -p x 1 y 2."),
        ("E -p x 1 y", "-p: 'y' has no value."),
        ("E --results x 1 y", "--results: 'y' has no value."),
        ("E -p x 1 x 2", "-p: 'x' is given twice."),
        ("E -p x 1 -s DONE -p x 2", "-p: 'x' is given twice."),
        ("E -p x 1 --statsu DONE", "--statsu"),
        ("E -p x 1 -z 2", "-z"),
        ("E -px 1", "-px: write names and values as separate words: -p x 1 y 2."),
        ("E -p x 1 -rloss 1", "-rloss"),
        ("E --hyperparameters=x", "--hyperparameters=x: write names and values as separate words"),
        ("E -p x True", "-p x True: write true for the JSON value, or '\"True\"' for the text."),
        ("E -p x None", "write null for the JSON value"),
        ("E -r x nan", "-r x nan: write NaN for the JSON value"),
        ("E -p x -inf", "write -Infinity"),
        ("E -p x 1,5", "-p x 1,5: it is not JSON"),
        ("E -p x [1", "-p x [1: it is not JSON"),
        ("E -p x 01", "-p x 01: it is not JSON"),
        ("E -p x .5", "-p x .5: it is not JSON"),
        ("E -p x " + "1" * 5000, "it is not JSON"),
        ("E -p x " + "[" * 5000, "it is not JSON"),
    ],
    ids=lambda text: text[:40],
)
def test_what_cannot_be_read_names_the_words(line: str, words: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        cut(line)
    assert words in caught.value.format_message()


def test_a_misspelt_option_is_shown_what_it_may_have_meant() -> None:
    with pytest.raises(click.NoSuchOption) as caught:
        cut("E -p x 1 --statsu DONE")
    assert "--status" in caught.value.format_message()


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1", 1),
        ("-0.0", -0.0),
        ("1e5", 1e5),
        ("true", True),
        ("null", None),
        ("Infinity", math.inf),
        ('"1"', "1"),
        ('""', ""),
        ("[1, null]", [1, None]),
        ('{"a": {"b": []}}', {"a": {"b": []}}),
        ("adam", "adam"),
        ("a,b:c=d", "a,b:c=d"),
        ("nanometre", "nanometre"),
        ("Übung", "Übung"),
    ],
)
def test_a_word_is_json_or_text(word: str, value: Any) -> None:
    assert repr(parse_value(word)) == repr(value)


@pytest.mark.parametrize(
    "word", ["", " ", "a b", "it's", 'a"b', "a(b)", "a\tb", "a\x1b[31m", "a\u202eb", "a\udcff", "-x"]
)
def test_a_word_that_is_neither_is_refused_with_how_to_write_it(word: str) -> None:
    with pytest.raises(ValueError, match="for text write") as caught:
        parse_value(word)
    written = re.search(r"write '(.*)'$", str(caught.value), re.DOTALL)
    assert written is not None
    assert parse_value(written[1]) == word


@pytest.mark.parametrize("text", NASTY_TEXTS + WORDS, ids=ascii)
def test_any_text_prints_as_it_is_read(text: str) -> None:
    assert parse_value(format_value(text)) == text
    assert format_value(text).isprintable()


def test_any_value_prints_as_it_is_read() -> None:
    source = random.Random(20260102)  # noqa: S311 - repeatable, not secret
    for _ in range(2000):
        value = json.loads(json.dumps(random_value(source)))
        written = format_value(value)
        assert written.isprintable()
        back = parse_value(written)
        assert back == value
        assert json.dumps(back) == json.dumps(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [(1, "1"), ("adam", "adam"), ("1", '"1"'), ("a b", '"a b"'), ("é", "é"), ([1, "é"], '[1, "é"]'), (math.nan, "NaN")],
)
def test_values_are_printed_as_short_as_they_are_read(value: Any, written: str) -> None:
    assert format_value(value) == written


@pytest.mark.parametrize(
    ("quality", "written"), [(0.0, "0.0"), (5.0, "5.0"), (1e300, "1e+300"), (math.nan, "NaN"), (-math.inf, "-Infinity")]
)
def test_a_quality_is_printed_as_a_float(quality: float, written: str) -> None:
    assert format_quality(quality) == written
