"""The classes of rows against the tables, the records and mypy's view of them."""

import types
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest
from sqlalchemy import Column, ColumnElement

from schedy.wire.records import ExperimentRecord, JobRecord
from schedy.wire.requests import JOB_COLUMNS, SortField
from schedy_store.schema import rows
from schedy_store.schema.rows import ExperimentRecordRow, JobRow, RecordRow, columns_of
from schedy_store.schema.stored import Stored
from schedy_store.schema.tables import Experiment, Job, WantedJob
from schedy_store.search.memory import SearchSource, TrialRow
from schedy_store.service.searches.backlog import QueuedRow, WantedRow
from schedy_store.service.searches.search_rows import SearchRow

ROWS = [
    (JobRow, rows.JOB_ROW_COLUMNS),
    (RecordRow, rows.RECORD_COLUMNS),
    (rows.ExperimentRow, rows.EXPERIMENT_ROW_COLUMNS),
    (ExperimentRecordRow, rows.EXPERIMENT_RECORD_COLUMNS),
    (rows.WorkerRow, rows.WORKER_COLUMNS),
    (SearchRow, columns_of(SearchRow, Experiment)),
    (WantedRow, columns_of(WantedRow, WantedJob)),
    (QueuedRow, columns_of(QueuedRow, Job)),
    (SearchSource, columns_of(SearchSource, Experiment)),
    (TrialRow, columns_of(TrialRow, Job)),
]


def _declared(column: Column[Any]) -> Any:
    """Return the type that the class of a table declares for a column."""
    (table,) = [each for each in Stored.__subclasses__() if each.__table__ is column.table]
    return get_args(get_type_hints(table, {"ColumnElement": ColumnElement})[column.key])[0]


def _kinds(hint: Any) -> set[type]:
    """Return the classes that a hint allows; texts of a Literal count as `str`."""
    if isinstance(hint, types.UnionType) or get_args(hint):
        return {kind for part in get_args(hint) for kind in _kinds(part)}
    return {hint if isinstance(hint, type) else type(hint)}


@pytest.mark.parametrize(("row", "columns"), ROWS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_field_has_the_type_of_its_column(row: Any, columns: tuple[Any, ...]) -> None:
    hints = get_type_hints(row)
    compared = [
        (field.name, _kinds(hints[field.name]), _kinds(_declared(column)))
        for field, column in zip(fields(row), columns, strict=True)
        if isinstance(column, Column)
    ]
    assert len(compared) >= len(columns) - 1
    assert [(name, field) for name, field, _column in compared] == [(name, kind) for name, _field, kind in compared]


def test_a_job_is_recorded_with_all_its_fields() -> None:
    named = {field.name for field in fields(RecordRow)}
    assert JobRecord.model_fields.keys() - named == {"position", "silent_seconds"}
    assert ExperimentRecord.model_fields.keys() - {field.name for field in fields(ExperimentRecordRow)} == {
        *("position", "limits", "job_counts")
    }


def test_a_column_that_no_table_has_is_an_error() -> None:
    @rows.row_class
    class Misspelt:
        attemp: int

    with pytest.raises(AttributeError, match="No column of job, experiment is called 'attemp'"):
        columns_of(Misspelt, Job, Experiment)


def test_a_job_can_be_sorted_by_every_column_that_lists_show() -> None:
    assert [SortField(source="column", name=name).name for name in JOB_COLUMNS] == list(JOB_COLUMNS)
    with pytest.raises(ValueError, match="jobs have no column 'colour'"):
        SortField(source="column", name="colour")
