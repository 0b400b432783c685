"""Texts of users' exceptions and values, whose own code may do anything when they are written out."""

import sys
from typing import Any

import pytest

from schedy.errors import InvalidValueError
from schedy.job_values import checked_quality
from schedy.user_text import error_message, error_text, shown_value
from schedy.wire.values import dump_values


class Divides(Exception):
    def __str__(self) -> str:
        return str(1 / 0)


class NoText(Exception):
    def __str__(self) -> Any:
        return sys


class Recurses(Exception):
    def __str__(self) -> str:
        return str(self)


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Interrupts(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class OddText(str):
    def __str__(self) -> str:
        raise ValueError

    def __format__(self, _spec: str) -> str:
        raise ValueError

    def __getitem__(self, _place: object) -> str:
        raise ValueError


class SaysOddText(Exception):
    def __str__(self) -> str:
        return OddText("odd")


class HidesItsName(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError


class Nameless(Exception, metaclass=HidesItsName):
    pass


class ReprRecurses:
    def __repr__(self) -> str:
        return repr(self)

    def __float__(self) -> float:
        raise ValueError(self)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (SystemExit(1), "SystemExit: 1"),
        (Divides(), "Divides"),
        (NoText(), "NoText"),
        (Recurses(), "Recurses"),
        (Exits(), "Exits"),
        (Interrupts(), "Interrupts"),
        (SaysOddText(), "SaysOddText: odd"),
        (Nameless("x"), "Nameless: x"),
        (ValueError(ReprRecurses()), "ValueError"),
        (ExceptionGroup("several", [ValueError()]), "ExceptionGroup: several (1 sub-exception)"),
    ],
)
def test_an_exception_always_has_a_text(error: BaseException, text: str) -> None:
    assert error_text(error) == text


def test_a_long_message_is_cut() -> None:
    assert len(error_message(ValueError("x" * 3_000_000))) == 20_000


@pytest.mark.parametrize(
    ("value", "shown"), [(1.5, "1.5"), (ReprRecurses(), "<ReprRecurses>"), ("x" * 500, "'" + "x" * 199)]
)
def test_a_value_is_always_shown(value: object, shown: str) -> None:
    assert shown_value(value) == shown


def test_a_quality_that_cannot_be_shown_is_an_invalid_value() -> None:
    with pytest.raises(InvalidValueError, match="not <ReprRecurses>"):
        checked_quality(ReprRecurses())


class BadList:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def tolist(self) -> Any:
        raise self._error


@pytest.mark.parametrize("error", [Divides(), Recurses(), Exits(), Nameless()])
def test_a_value_whose_fault_cannot_be_shown_is_an_invalid_value(error: Exception) -> None:
    with pytest.raises(
        InvalidValueError, match=rf"The value of 'x' is not JSON: {type.__repr__(type(error))[8:-2].split('.')[-1]}"
    ):
        dump_values({"x": BadList(error)})
    with pytest.raises(InvalidValueError, match="<ReprRecurses>"):
        dump_values({ReprRecurses(): 1})  # type: ignore[dict-item]
