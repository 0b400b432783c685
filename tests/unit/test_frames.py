"""Jobs and curves as data frames."""

import sys

import pytest

from schedy.errors import MissingPackageError
from schedy.results.frames import jobs_frame, points_frame
from schedy.results.lines import PointLine
from tests.unit.test_export_files import NOW, columns_of, job

JOBS = [
    job(hyperparameters={"lr": 0.1, "units": 8, "opt": "adam", "x": 1}, results={"loss": 0.5, "x": [1]}),
    job(hyperparameters={"lr": 1, "units": 16}, results={}, status="QUEUED", started_at=None, finished_at=None),
]


def test_a_frame_has_a_row_for_each_job_and_typed_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frame = jobs_frame(columns_of(JOBS), JOBS)
    assert list(frame.columns[:8]) == ["id", "status", "lr", "opt", "units", "hyperparameter.x", "loss", "result.x"]
    assert [str(frame[name].dtype) for name in ("lr", "units", "loss", "seconds")] == ["float64", "int64"] + [
        "float64"
    ] * 2
    assert frame.started_at[0] == NOW
    assert pandas.isna(frame.started_at[1])
    assert frame["result.x"][0] == [1]
    assert pandas.isna(frame.opt[1])
    assert len(jobs_frame(columns_of([]), [])) == 0


def test_the_points_of_an_attempt_are_in_the_order_of_their_steps() -> None:
    pytest.importorskip("pandas")
    points = [
        PointLine("b", 1, 2, "loss", 0.2),
        PointLine("a", 2, 1, "loss", 0.3),
        PointLine("b", 1, 1, "loss", 0.1),
        PointLine("a", 1, 1, "loss", float("nan")),
    ]
    frame = points_frame(points)
    assert frame[["id", "attempt", "step"]].to_numpy().tolist() == [["b", 1, 1], ["b", 1, 2], ["a", 1, 1], ["a", 2, 1]]
    assert list(points_frame([]).columns) == ["id", "attempt", "step", "name", "value"]


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match=r"A data frame needs pandas.* pip install 'schedy-mq\[pandas\]'"):
        points_frame([])
