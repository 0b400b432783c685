"""The short form of distributions, which people write: ``loguniform(1e-4, 1)``."""

import json
import math
import random

import pytest

from schedy.errors import InvalidValueError
from schedy.random import (
    Choice,
    Constant,
    Distribution,
    Int,
    LogUniform,
    QUniform,
    Uniform,
    distributions_from_json,
    parse_distribution,
)
from tests.unit.test_values import NASTY_TEXTS, WORDS, random_value

SVC = {"svc": {"C": {"loguniform": {"low": 0.1, "high": 10}}, "kernel": {"choice": {"values": ["rbf", "a,b"]}}}}


@pytest.mark.parametrize(
    ("text", "distribution", "written"),
    [
        ("loguniform(1e-4, 1)", LogUniform(1e-4, 1), "loguniform(0.0001, 1)"),
        (" uniform (low=0,high = 1) ", Uniform(0, 1), "uniform(0, 1)"),
        ("int(1, 8)", Int(1, 8), "int(1, 8)"),
        ("int(1,64,log=true)", Int(1, 64, log=True), "int(1, 64, log=true)"),
        ("quniform(0, high=1, q=0.25)", QUniform(0, 1, 0.25), "quniform(0, 1, 0.25)"),
        ("choice(adam, sgd)", Choice(["adam", "sgd"]), "choice(adam, sgd)"),
        ('choice( 16 , null,"a, b)")', Choice([16, None, "a, b)"]), 'choice(16, null, "a, b)")'),
        ("choice([16, 32])", Choice([16, 32]), "choice(16, 32)"),
        ("choice([1], {})", Choice([[1], {}]), "choice([1], {})"),
        ("choice(values=[[1, 2]])", Choice([[1, 2]]), "choice(values=[[1, 2]])"),
        ("choice(a=b, weights=[1])", Choice(["a=b"], weights=[1]), "choice(a=b, weights=[1])"),
        ('choice("weights=2", 1)', Choice(["weights=2", 1]), 'choice("weights=2", 1)'),
        (
            'choice(svc, then={"svc": {"C": "loguniform(0.1, 10)", "kernel": "choice(rbf, \\"a,b\\")"}})',
            Choice(["svc"], then=SVC),
            'choice(svc, then={"svc": {"C": "loguniform(0.1, 10)", "kernel": "choice(rbf, \\"a,b\\")"}})',
        ),
        ("const(3)", Constant(3), "const(3)"),
        ("const(a=b)", Constant("a=b"), "const(a=b)"),
        ("const(value=[1, 2])", Constant([1, 2]), "const([1, 2])"),
    ],
)
def test_a_short_form_is_read_and_written(text: str, distribution: Distribution, written: str) -> None:
    assert parse_distribution(text) == distribution
    assert str(distribution) == written
    assert parse_distribution(written) == distribution


def test_any_values_are_read_as_they_are_written() -> None:
    source = random.Random(20261129)  # noqa: S311 - repeatable, not secret
    texts = [*NASTY_TEXTS, *WORDS, "a,b", "values=1", "then={}", ")", "a)b"]
    values = [*texts, *(json.loads(json.dumps(random_value(source))) for _ in range(1000)), math.inf]
    for made in (Choice(values), *map(Constant, values)):
        assert json.dumps(parse_distribution(str(made)).parameters()) == json.dumps(made.parameters())
        assert str(made).isprintable()


def test_a_definition_takes_it_too() -> None:
    found = distributions_from_json({"lr": "loguniform(1e-4, 1)", "n": {"const": 1}})
    assert found == {"lr": LogUniform(1e-4, 1), "n": Constant(1)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unifrom(0, 1)", "There is no distribution 'unifrom'. Did you mean 'uniform'?"),
        ("uniform(0)", "uniform needs 'high'; it takes low, high."),
        ("uniform(0, 1, 2)", "uniform takes low, high, not 3 values."),
        ("uniform(1, 0)", "uniform: 'low' (1) must be less than 'high' (0)."),
        ("uniform(lo=0, high=1)", "uniform: 'low' is a finite number, not 'lo=0'."),
        ("uniform(low=0, 1)", "uniform: 'low' is given twice."),
        ("uniform(low=0, low=1)", "uniform(low=0, low=1): 'low' is given twice."),
        ("uniform(0, 1", "uniform(0, 1: the closing parenthesis is missing."),
        ("uniform(0, 1) x", "uniform(0, 1) x: there is 'x' after the closing parenthesis."),
        ("uniform(0,, 1)", "uniform(0,, 1): a value is missing."),
        ("uniform(0, .5)", "uniform(0, .5): .5: it is not JSON; write 0.5."),
        ("choice(True)", "choice(True): True: write true for the JSON value, or '\"True\"' for the text."),
        ("choice(a b)", "choice(a b): a b: it is not JSON; for text write '\"a b\"'."),
        ("choice()", "choice: 'values' is a list with at least one value."),
        ("choice(1, values=[2])", "choice: 'values' is given twice."),
        ("choice(a, then={b})", "choice(a, then={b}): {b}: it is not JSON"),
        ('choice(a, then={"a": {"x": "const()"}})', "x: const takes one value, not 0."),
        ("const(1, 2)", "const takes one value, not 2."),
        ("uniform", "uniform has no parameters. Write uniform(low, high)."),
        ("0.5", "'0.5' is not a distribution. Write one as uniform(0, 1)."),
        ("uniform(" + "[" * 5000, "it is not JSON"),
    ],
    ids=lambda text: text[:40],
)
def test_an_error_names_the_word(text: str, said: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_distribution(text)
    assert said in str(caught.value)
