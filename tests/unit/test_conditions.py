"""Conditions on jobs, as users write them."""

import pytest

from schedy.errors import InvalidValueError
from schedy.results.fields import parse_condition
from schedy.wire.answers import FieldsAnswer

KNOWN = FieldsAnswer(hyperparameters=["lr", "loss"], results=["loss", "acc"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr<1e-3", ("hyperparameter", "lr", "<", 1e-3, None)),
        (" result.loss >= -2 ", ("result", "loss", ">=", -2.0, None)),
        ("lr = 'a = b'", ("hyperparameter", "lr", "=", None, "a = b")),
        ("acc ~ 5", ("result", "acc", "~", None, "5")),
        ("status = done", ("column", "status", "=", None, "DONE")),
        ("lr = false", ("hyperparameter", "lr", "=", 0.0, None)),
        ("acc missing", ("result", "acc", "missing", None, None)),
    ],
)
def test_a_condition_is_read(text: str, expected: tuple[object, ...]) -> None:
    found = parse_condition(text, KNOWN)
    assert (found.field.source, found.field.name, found.operator, found.number, found.text) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lr", "'lr' is no condition"),
        ("lr <", "is no condition"),
        ("lrr < 1", "No job has a field 'lrr'. Did you mean 'lr'?"),
        ("loss < 1", "ambiguous"),
        ("status = ready", "'ready' is no status"),
    ],
)
def test_a_condition_that_cannot_be_read_names_the_word(text: str, fault: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        parse_condition(text, KNOWN)
    assert fault in str(refused.value)
