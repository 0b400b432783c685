"""Fields of jobs and conditions on them, as users write them: ``result.loss``, ``lr < 0.01``."""

import difflib
import re
from collections.abc import Sequence
from typing import cast

from schedy.errors import InvalidValueError
from schedy.values_text import format_name
from schedy.wire.answers import FieldsAnswer
from schedy.wire.base import JOB_STATUSES
from schedy.wire.requests import JOB_COLUMNS, Condition, Operator, SortField
from schedy.wire.values import SORTED_CHARACTERS

_COMPARISON = re.compile(r"\s*(?P<field>\S+?)\s*(?P<operator><=|>=|!=|=|<|>|~)\s*(?P<value>.+?)\s*", re.DOTALL)
_PRESENCE = re.compile(r"\s*(?P<field>\S+)\s+(?P<operator>missing|there)\s*")


def parse_field(word: str, known: FieldsAnswer) -> SortField:
    """Return the field of that name; a column wins. Raises InvalidValueError if there is none, or several."""
    prefix, _, rest = word.partition(".")
    if prefix == "hyperparameter" and rest in known.hyperparameters:
        return SortField(source="hyperparameter", name=rest)
    if prefix == "result" and rest in known.results:
        return SortField(source="result", name=rest)
    if word in JOB_COLUMNS:
        return SortField(source="column", name=word)
    is_hyperparameter, is_result = word in known.hyperparameters, word in known.results
    if is_hyperparameter and is_result:
        raise InvalidValueError(f"The field {word!r} is ambiguous: write hyperparameter.{word} or result.{word}.")
    if is_hyperparameter or is_result:
        return SortField(source="result" if is_result else "hyperparameter", name=word)
    names = [*JOB_COLUMNS, *known.hyperparameters, *known.results]
    raise InvalidValueError(f"No job has a field {word!r}. {_suggestion(word, names)}")


def _suggestion(word: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, names, n=3)
    if close:
        return f"Did you mean {' or '.join(repr(name) for name in close)}?"
    return f"There are: {', '.join(format_name(name) for name in names)}."


def parse_condition(text: str, known: FieldsAnswer) -> Condition:
    """Return the condition that a text states: FIELD OPERATOR VALUE, or FIELD missing, or FIELD there.

    Raises InvalidValueError saying which word is at fault.
    """
    if found := _PRESENCE.fullmatch(text):
        return Condition(field=parse_field(found["field"], known), operator=cast("Operator", found["operator"]))
    found = _COMPARISON.fullmatch(text)
    if not found:
        raise InvalidValueError(
            f"{text!r} is no condition. Write FIELD = VALUE (or != < <= > >=, ~ for a text that contains it), FIELD"
            " missing or FIELD there."
        )
    field, operator, value = parse_field(found["field"], known), cast("Operator", found["operator"]), found["value"]
    if field == SortField(source="column", name="status") and operator in ("=", "!="):
        return Condition(field=field, operator=operator, text=_status(value))
    number = _number(value)
    if operator == "~" or number is None:
        return Condition(field=field, operator=operator, text=_unquoted(value)[:SORTED_CHARACTERS])
    return Condition(field=field, operator=operator, number=number)


def _status(word: str) -> str:
    if word.upper() not in JOB_STATUSES:
        raise InvalidValueError(f"{word!r} is no status: {', '.join(JOB_STATUSES)}.")
    return word.upper()


def _number(word: str) -> float | None:
    if word in ("true", "false"):
        return float(word == "true")
    try:
        return float(word)
    except ValueError:
        return None


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word
