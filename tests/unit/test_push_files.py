"""Files of jobs: CSV as spreadsheets write it, and what `schedy list --json` prints."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schedy.wire.records import JobEvent, JobRecord
from schedy_cli.parsing.push_files import open_push_file
from schedy_cli.printing.jobs import job_json
from schedy_cli.printing.text import JsonForm

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pushed(path: Path, content: str, *, nan_as_text: bool = False) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    path.write_bytes(content.encode())
    with open_push_file(str(path), limit_bytes=100_000, nan_as_text=nan_as_text) as file:
        return [(job.new.hyperparameters, job.new.results) for job in file.jobs()]


@pytest.mark.parametrize(
    ("content", "jobs"),
    [
        ("x, y\n1, 2\n", [({"x": 1, "y": 2}, {})]),
        ("x ,y\n1 ,2\n", [({"x": 1, "y": 2}, {})]),
        (" x\t,y\n\t1, adam \n", [({"x": 1, "y": "adam"}, {})]),
        ("x,result. loss\n1,2\n", [({"x": 1}, {"loss": 2})]),
        ("x, result.loss\r\n1, 2\r\n", [({"x": 1}, {"loss": 2})]),
        ("x,y\n1,2\n,\n , \n\n,\n", [({"x": 1, "y": 2}, {})]),
        ('x, "y"\n1, "[1, 2]"\n', [({"x": 1, "y": [1, 2]}, {})]),
        ('x,y\n1," ""a b"" "\n', [({"x": 1, "y": "a b"}, {})]),
        ("x;y\n1;adam\n", [({"x": 1, "y": "adam"}, {})]),
        ("x\ty\n1\tadam\n", [({"x": 1, "y": "adam"}, {})]),
    ],
    ids=ascii,
)
def test_csv_of_spreadsheets(content: str, jobs: list[object], tmp_path: Path) -> None:
    assert pushed(tmp_path / "jobs.csv", content) == jobs


def record(**more: Any) -> JobRecord:
    fields = {"position": 3, "revision": 5, "job_id": "fVKGjg", "status": "DONE", "quality": 0.5, "created_at": NOW}
    return JobRecord.model_validate({**fields, "hyperparameters": {"x": 1}, "results": {"loss": 0.5}, **more})


EVENT = JobEvent(
    position=1, experiment="E", job_id="fVKGjg", at=NOW, kind="lost", worker="h:1 a.py", attempt=1, detail=""
)
ODD = {"x": [math.nan, {"y": -math.inf}], "big": 10**30, "text": "a\n\x1b\u00e9", "NaN": "Infinities"}


@pytest.mark.parametrize("events", [None, [EVENT]], ids=["list", "show"])
@pytest.mark.parametrize("status", ["QUEUED", "DONE", "CRASHED", "PRUNED"])
def test_what_list_and_show_print_can_be_pushed(status: str, events: list[JobEvent] | None, tmp_path: Path) -> None:
    job = record(status=status, hyperparameters=ODD, error="ValueError", parent="aaaaaa", generation=2)
    (tmp_path / "jobs").write_text(job_json(job, JsonForm.NAN_AS_TEXT, events) + "\n")
    with open_push_file(str(tmp_path / "jobs"), limit_bytes=100_000, nan_as_text=True) as file:
        (again,) = [checked.new for checked in file.jobs()]
    assert (again.status, again.quality) == (status, 0.5)
    assert repr(again.hyperparameters) == repr(ODD)
    assert again.results == {"loss": 0.5}


def test_a_quality_of_nan_comes_back(tmp_path: Path) -> None:
    for form in JsonForm:
        (tmp_path / "jobs").write_text(job_json(record(quality=math.nan), form) + "\n")
        with open_push_file(str(tmp_path / "jobs"), limit_bytes=1000, nan_as_text=form is JsonForm.NAN_AS_TEXT) as file:
            assert [math.isnan(checked.new.quality) for checked in file.jobs()] == [True]


def test_a_running_job_is_pushed_as_queued_and_that_is_counted(tmp_path: Path) -> None:
    lines = [job_json(record(status=status), JsonForm.NAN_AS_NULL) for status in ("RUNNING", "DONE", "RUNNING")]
    (tmp_path / "jobs").write_text("\n".join(lines))
    with open_push_file(str(tmp_path / "jobs"), limit_bytes=1000) as file:
        assert [checked.new.status for checked in file.jobs()] == ["QUEUED", "DONE", "QUEUED"]
        assert [checked.new.status for checked in file.jobs()] == ["QUEUED", "DONE", "QUEUED"]
        assert file.running_lines == {1, 3}


def test_texts_stay_texts_without_nan(tmp_path: Path) -> None:
    line = json.dumps({"hyperparameters": {"x": "NaN"}})
    assert pushed(tmp_path / "jobs", line) == [({"x": "NaN"}, {})]
    ((numbers, _results),) = pushed(tmp_path / "jobs", line, nan_as_text=True)
    assert math.isnan(numbers["x"])
