"""Jobs and learning curves as data frames of pandas."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from schedy.results.columns import MISSING, POINT_COLUMNS, JobColumns
from schedy.results.lines import JobLine, PointLine
from schedy.results.packages import needed

if TYPE_CHECKING:
    import pandas as pd


def jobs_frame(columns: JobColumns, jobs: Iterable[JobLine]) -> "pd.DataFrame":
    """Return a frame with a row for each job. What a job does not have is missing there."""
    pandas = needed("pandas", what="A data frame", extra="pandas")
    rows = [[None if cell is MISSING else cell for cell in columns.row(job)] for job in jobs]
    frame: pd.DataFrame = pandas.DataFrame(rows, columns=columns.short_names())
    for name in ("created_at", "started_at", "finished_at"):
        frame[name] = pandas.to_datetime(frame[name], utc=True)
    return frame


def points_frame(points: Iterable[PointLine]) -> "pd.DataFrame":
    """Return a frame with a row for each value of a learning curve, those of an attempt by their steps."""
    pandas = needed("pandas", what="A data frame", extra="pandas")
    frame: Any = pandas.DataFrame(list(points), columns=POINT_COLUMNS)
    made: pd.DataFrame = frame.astype({"attempt": "int64", "step": "int64", "value": "float64"})
    made["_first"] = made.groupby("id", sort=False).ngroup()
    return made.sort_values(["_first", "attempt", "step"], kind="stable", ignore_index=True).drop(columns="_first")
