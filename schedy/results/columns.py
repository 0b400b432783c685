"""The columns of a table of jobs: one for each field, hyperparameter and result."""

from collections.abc import Callable
from typing import Any, Final, Literal

from schedy.results.lines import JobLine
from schedy.search.definition import Definition
from schedy.wire.answers import FieldsAnswer

_FIRST = ("id", "status")
_LAST = ("quality", "created_at", "started_at", "finished_at", "seconds", "worker", "attempt", "error")
FIELDS = (*_FIRST, *_LAST)
"""The columns that every table of jobs has."""
POINT_COLUMNS = ("id", "attempt", "step", "name", "value")

_HYPERPARAMETER, _RESULT = "hyperparameter.", "result."
_TAKEN = {*FIELDS, "hyperparameters", "results"}
"""Headings that no hyperparameter may have alone. The last two mark JSON as `schedy list` prints it."""

_Heading = Callable[[str], str]
Source = Literal["column", "hyperparameter", "result"]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""The cell of a job that does not have this hyperparameter or result, for which None is a value."""


class JobColumns:
    """The objectives behind id and status, hyperparameters in the order of the search, other results, other fields."""

    def __init__(self, definition: Definition, known: FieldsAnswer) -> None:
        """`known`: the names that jobs have."""
        objectives = [objective.result for objective in definition.objectives]
        self._hyperparameters = list(dict.fromkeys([*definition.space().parameters, *known.hyperparameters]))
        self._results = list(dict.fromkeys([*objectives, *known.results]))
        self._objectives = self._results[: len(objectives)]
        self._others = self._results[len(objectives) :]
        self.values = slice(len(_FIRST), len(_FIRST) + len(self._results) + len(self._hyperparameters))
        """Where the cells are whose values are the users' own, or MISSING."""
        self.left_out = False
        """Whether a job had a hyperparameter or a result that is in no column, since it was not known."""

    def file_names(self) -> list[str]:
        """Return headings for a file, which tell a hyperparameter from a result: see `parse_heading`."""
        return self._names(_file_heading, lambda name: _RESULT + name)

    def short_names(self) -> list[str]:
        """Return headings for people: names alone, but with their source where a name is ambiguous."""
        hyperparameters, results = {*self._hyperparameters, *FIELDS}, {*self._results, *FIELDS}
        names = self._names(
            lambda name: _HYPERPARAMETER + name if name in results else name,
            lambda name: _RESULT + name if name in hyperparameters else name,
        )
        return names if len(set(names)) == len(names) else self.file_names()

    def _names(self, hyperparameter: _Heading, result: _Heading) -> list[str]:
        return [
            *_FIRST,
            *map(result, self._objectives),
            *map(hyperparameter, self._hyperparameters),
            *map(result, self._others),
            *_LAST,
        ]

    def row(self, job: JobLine) -> list[Any]:
        """Return the cells of a job; in those of `FIELDS` None is no value."""
        job_id, status, quality, hyperparameters, results, created, started, finished, worker, attempt, error = job
        row: list[Any] = [job_id, status]
        row += [results.get(name, MISSING) for name in self._objectives]
        row += [hyperparameters.get(name, MISSING) for name in self._hyperparameters]
        row += [results.get(name, MISSING) for name in self._others]
        if len(hyperparameters) + len(results) + row.count(MISSING) != len(row) - len(_FIRST):
            self.left_out = True
        seconds = None if started is None or finished is None else (finished - started).total_seconds()
        row += (quality, created, started, finished, seconds, worker, attempt, error)
        return row


def _file_heading(name: str) -> str:
    is_plain = name not in _TAKEN and not name.startswith((_HYPERPARAMETER, _RESULT))
    return name if is_plain else _HYPERPARAMETER + name


def parse_heading(heading: str) -> tuple[Source, str]:
    """Return what a heading of a file stands for: a field, a hyperparameter or a result, and its name."""
    if heading in FIELDS:
        return "column", heading
    prefixes: tuple[tuple[Source, str], ...] = (("result", _RESULT), ("hyperparameter", _HYPERPARAMETER))
    for source, prefix in prefixes:
        name = heading.removeprefix(prefix).strip()
        if heading.startswith(prefix) and name:
            return source, name
    return "hyperparameter", heading
