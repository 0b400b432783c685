"""Tables as Parquet, whose columns have types."""

import sys
from collections.abc import Sequence
from datetime import datetime
from importlib.abc import MetaPathFinder
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from schedy.results.columns import MISSING
from schedy.wire.values import json_key
from schedy_cli.exporting.table import Table

_TYPES = {
    "null": pa.null(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "time": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
}
_KINDS = {bool: "bool", int: "int", float: "float", datetime: "time", str: "text"}
_NO_VALUE = {type(None), type(MISSING)}
_FIELDS = {
    "quality": "float",
    "created_at": "time",
    "started_at": "time",
    "finished_at": "time",
    "seconds": "float",
    "attempt": "int",
    "step": "int",
}
"""The kinds of the columns that are not the users' own, where they are no text."""
_LARGEST_INT = 2**63
_ROWS_OF_A_GROUP = 5_000
_BYTES_OF_A_GROUP = 16_000_000


class _NoPandas(MetaPathFinder):
    """Makes pandas seem not to be installed."""

    def find_spec(self, fullname: str, *_arguments: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def _save_memory() -> None:
    """Let PyArrow look for pandas with its first array, and find none: it would import it, in 50 MB, for no use."""
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(finder)
    pa.set_memory_pool(pa.system_memory_pool())  # the default one keeps 20 MB more


def write_parquet(table: Table, file: IO[bytes]) -> int:
    """Write the rows in groups. Lists, objects, and values of several kinds in one column are JSON text.

    A value that does not fit into its column, as the first rows had it, starts the file again, with a wider one.
    """
    _save_memory()
    start, stop = table.values.start, table.values.stop
    kinds = [_FIELDS.get(name, "text") for name in table.names]
    kinds[start:stop] = ["null"] * (stop - start)
    while (rows := _written(table, file, kinds)) is None:
        file.seek(0)
        file.truncate()
    return rows


def _written(table: Table, file: IO[bytes], kinds: list[str]) -> int | None:
    """Write the file, and return the number of rows. Return None, with wider kinds, if a value does not fit."""
    rows = 0
    group: list[pa.Table] = []
    writer: pq.ParquetWriter | None = None
    try:
        for page in table.pages():
            columns = list(zip(*page, strict=True))
            if _widen(kinds, columns, table.values) and (writer or group):
                return None
            rows += len(page)
            group.append(_arrow(table.names, kinds, columns))
            if sum(map(len, group)) >= _ROWS_OF_A_GROUP or sum(each.nbytes for each in group) >= _BYTES_OF_A_GROUP:
                writer = writer or pq.ParquetWriter(file, group[0].schema)
                writer.write_table(pa.concat_tables(group))
                group = []
        rest = group or [_arrow(table.names, kinds, [()] * len(kinds))]
        writer = writer or pq.ParquetWriter(file, rest[0].schema)
        writer.write_table(pa.concat_tables(rest))
        return rows
    finally:
        if writer is not None:
            writer.close()


def _widen(kinds: list[str], columns: Sequence[Sequence[Any]], values: slice) -> bool:
    """Make the kinds of the users' columns wide enough for these values; return whether one was not."""
    was = list(kinds)
    for place in range(values.start, values.stop):
        kinds[place] = _wider(kinds[place], _kind(columns[place]))
    return kinds != was


def _kind(column: Sequence[Any]) -> str:
    """Return the kind of all values of a column."""
    found = "null"
    for kind in set(map(type, column)) - _NO_VALUE:
        found = _wider(found, _KINDS.get(kind, "text"))
    if found in {"int", "float"} and any(type(value) is int and abs(value) >= _LARGEST_INT for value in column):
        return "text"
    return found


def _wider(one: str, other: str) -> str:
    kinds = {one, other} - {"null"}
    if len(kinds) < 2:
        return kinds.pop() if kinds else "null"
    return "float" if kinds == {"int", "float"} else "text"


def _arrow(names: Sequence[str], kinds: Sequence[str], columns: Sequence[Sequence[Any]]) -> pa.Table:
    arrays = [pa.array(_cells(column, kind), _TYPES[kind]) for column, kind in zip(columns, kinds, strict=True)]
    return pa.Table.from_arrays(arrays, names=[_storable(name) for name in names])


def _cells(column: Sequence[Any], kind: str) -> Sequence[Any]:
    if kind == "float":
        return [float(cell) if type(cell) is int else None if cell is MISSING else cell for cell in column]
    if kind == "text":
        return [None if cell is MISSING or cell is None else _text(cell) for cell in column]
    return [None if cell is MISSING else cell for cell in column]


def _text(value: Any) -> str:
    return _storable(value) if isinstance(value, str) else json_key(value)


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
