"""A table that is read page by page, while it is written."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """The headings and the rows. Cells in the columns `values` are the users' own, or `schedy.results.columns.MISSING`.

    In other columns None is no value. `pages` reads from the beginning each time.
    """

    names: Sequence[str]
    values: slice
    pages: Callable[[], Iterable[list[list[Any]]]]
