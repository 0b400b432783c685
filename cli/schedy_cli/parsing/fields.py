"""The fields that `schedy list` sorts by and prints: columns of a job, hyperparameters and results."""

import difflib
from collections.abc import Sequence

import click

from schedy.errors import InvalidValueError
from schedy.search.definition import Objective, read_definition
from schedy.values_text import format_name
from schedy.wire.answers import FieldsAnswer
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import JOB_COLUMNS, SortField


def parse_field(word: str, known: FieldsAnswer) -> SortField:
    """Return the field of that name; a column wins. Raises click.UsageError if there is none, or several."""
    prefix, _, rest = word.partition(".")
    if prefix == "hyperparameter" and rest in known.hyperparameters:
        return SortField(source="hyperparameter", name=rest)
    if prefix == "result" and rest in known.results:
        return SortField(source="result", name=rest)
    if word in JOB_COLUMNS:
        return SortField(source="column", name=word)
    is_hyperparameter, is_result = word in known.hyperparameters, word in known.results
    if is_hyperparameter and is_result:
        raise click.UsageError(f"The field {word!r} is ambiguous: write hyperparameter.{word} or result.{word}.")
    if is_hyperparameter or is_result:
        return SortField(source="result" if is_result else "hyperparameter", name=word)
    names = [*JOB_COLUMNS, *known.hyperparameters, *known.results]
    raise click.UsageError(f"No job has a field {word!r}. {_suggestion(word, names)}")


def _suggestion(word: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, names, n=3)
    if close:
        return f"Did you mean {' or '.join(repr(name) for name in close)}?"
    return f"There are: {', '.join(format_name(name) for name in names)}."


def objectives_of(experiment: ExperimentRecord) -> list[Objective]:
    """Return the objectives of an experiment, none if a later version of Schedy has stored its definition."""
    try:
        return read_definition(experiment.settings).objectives
    except InvalidValueError:
        return []


def all_fields(known: FieldsAnswer) -> list[SortField]:
    """Return the fields of a table without -f; the attempt is among them where a job had more than one."""
    columns = ("id", "status", "quality", *(["attempt"] if known.most_attempts > 1 else []))
    return [
        *(SortField(source="column", name=name) for name in columns),
        *(SortField(source="hyperparameter", name=name) for name in known.hyperparameters),
        *(SortField(source="result", name=name) for name in known.results),
    ]


def fields_to_read(known: FieldsAnswer, objectives: Sequence[str]) -> list[SortField]:
    """Return the fields of `all_fields` as people read them: objectives second, and no quality that repeats one."""
    wanted = [SortField(source="result", name=name) for name in objectives if name in known.results]
    first, *others = (field for field in all_fields(known) if field not in wanted)
    repeated = SortField(source="column", name="quality")
    return [first, *wanted, *(field for field in others if not (len(wanted) == 1 and field == repeated))]
