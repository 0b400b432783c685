"""Files of jobs: what is written comes back, as it was, and a file is complete or not there."""

import io
import json
import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from schedy.results.columns import MISSING, JobColumns
from schedy.results.lines import JobLine
from schedy.search.definition import Definition, read_definition
from schedy.wire.answers import FieldsAnswer
from schedy_cli.exporting.files import new_file
from schedy_cli.exporting.table import Table
from schedy_cli.exporting.text import write_csv, write_json_lines
from schedy_cli.parsing.push_files import open_push_file
from schedy_cli.printing.text import JsonForm

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ODD = {
    "x": [math.nan, {"y": -math.inf}],
    "big": 10**30,
    "text": 'a "b"\n\x1b\u00e9\ud800, ;',
    "empty": "",
    "number": "1.5",
    "null": None,
    "yes": True,
    "tiny": 1e-300,
    "id": "kept",
    "status": -1,
    "hyperparameters": 1,
    "hyperparameter.x": 2,
    "result.r": 3,
    "r": "clash, with a result",
    "b, c": 4,
}
RESULTS = {"r": -math.inf, "NaN": math.nan, "error": "lr", "result.r": {"a": [None]}, "loss": 0.5}


def job(**more: Any) -> JobLine:
    fields: dict[str, Any] = {
        "job_id": "fVKGjg",
        "status": "DONE",
        "quality": 0.5,
        "hyperparameters": {"x": 1},
        "results": {"loss": 0.5},
        "created_at": NOW,
        "started_at": NOW,
        "finished_at": NOW + timedelta(seconds=1.5),
        "worker": "gpu1:7 train.py",
        "attempt": 1,
        "error": None,
    }
    return JobLine(**{**fields, **more})


JOBS = [
    job(hyperparameters=ODD, results=RESULTS, quality=math.nan, error="ValueError: =1\n\u00e9\ud800"),
    job(status="QUEUED", results={}, quality=-math.inf, started_at=None, finished_at=None, worker=None, attempt=0),
    job(status="RUNNING", hyperparameters={"x": "NaN", "only": 1}),
    job(status="CRASHED", hyperparameters={}, error="failed"),
]


def columns_of(jobs: list[JobLine], definition: Definition | None = None) -> JobColumns:
    known = FieldsAnswer(
        hyperparameters=sorted({name for each in jobs for name in each.hyperparameters}),
        results=sorted({name for each in jobs for name in each.results}),
    )
    return JobColumns(definition or Definition(), known)


def table_of(jobs: list[JobLine], *, page: int = 2) -> Table:
    columns = columns_of(jobs)
    pages = [[columns.row(each) for each in jobs[start : start + page]] for start in range(0, len(jobs), page)]
    return Table(columns.file_names(), columns.values, lambda: [[list(row) for row in each] for each in pages])


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_exported_can_be_pushed(form: str, tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    with path.open("wb") as file:
        written = {
            "csv": lambda: write_csv(table_of(JOBS), file),
            "jsonl": lambda: write_json_lines(table_of(JOBS[:2] + JOBS[3:]), file, JsonForm.NAN_AS_TEXT),
        }[form]()
    jobs = JOBS if form == "csv" else JOBS[:2] + JOBS[3:]  # in JSON, the text NaN is the number with --nan
    assert written == len(jobs)
    with open_push_file(str(path), limit_bytes=100_000, nan_as_text=True) as opened:
        again = [checked.new for checked in opened.jobs()]
        assert opened.running_lines == ({5} if form == "csv" else set()), "an error of two lines is before it"
    for new, old in zip(again, jobs, strict=True):
        assert {name: repr(value) for name, value in new.hyperparameters.items()} == {
            name: repr(value) for name, value in old.hyperparameters.items()
        }
        assert repr(sorted(new.results.items())) == repr(sorted(old.results.items()))
        assert new.status == ("QUEUED" if old.status == "RUNNING" else old.status)
        assert repr(new.quality) == repr(old.quality)


def test_json_lines_are_strict(tmp_path: Path) -> None:
    file = io.BytesIO()
    write_json_lines(table_of(JOBS), file, JsonForm.NAN_AS_NULL)

    def _no_constant(name: str) -> None:
        raise AssertionError(name)

    first, second, *_rest = [json.loads(line, parse_constant=_no_constant) for line in file.getvalue().splitlines()]
    assert (first["x"], first["quality"], first["null"]) == ([None, {"y": None}], None, None)
    assert "only" not in second, "what a job does not have is left out"
    assert (second["finished_at"], second["seconds"], second["created_at"]) == (None, None, NOW.isoformat())


def test_a_file_that_has_been_sorted_and_cut_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv"
    path.write_text("result.loss,created_at,status,x,id,hyperparameter.y\n0.5,2026-01-02,DONE,1,fVKGjg,adam\n")
    with open_push_file(str(path), limit_bytes=1000) as file:
        (new,) = [checked.new for checked in file.jobs()]
    assert (new.hyperparameters, new.results, new.status) == ({"x": 1, "y": "adam"}, {"loss": 0.5}, "DONE")
    path.write_text("x,hyperparameter.x\n1,2\n")
    with open_push_file(str(path), limit_bytes=1000) as file, pytest.raises(click.UsageError, match="'x' twice"):
        list(file.jobs())


def test_the_columns_are_in_the_order_of_the_search() -> None:
    objective = {"result": "loss", "direction": "minimize"}
    space = {"z": "uniform(0, 1)", "a": "uniform(0, 1)"}
    columns = columns_of(
        [job(hyperparameters={"a": 1, "z": 2, "id": 3, "acc": 4}, results={"acc": 5})],
        read_definition({"hyperparameters": space, "objectives": [objective]}),
    )
    assert columns.file_names()[2:9] == ["result.loss", "z", "a", "acc", "hyperparameter.id", "result.acc", "quality"]
    assert columns.short_names()[2:9] == [
        "loss", "z", "a", "hyperparameter.acc", "hyperparameter.id", "result.acc", "quality",
    ]  # fmt: skip
    assert columns.row(job(hyperparameters={"a": 1}))[2:9] == [0.5, MISSING, 1, MISSING, MISSING, MISSING, 0.5]
    assert not columns.left_out
    columns.row(job(hyperparameters={"new": 1}))
    assert columns.left_out, "it is said that a name came too late to have a column"


def test_parquet_widens_a_column_that_later_rows_do_not_fit(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    from schedy_cli.exporting.parquet import write_parquet

    values: list[dict[str, Any]] = [
        {"never": None, "late": None, "number": 1, "mixed": 1, "text": "a\ud800"},
        {"never": None, "late": 2, "number": 2, "mixed": True, "list": [1]},
        {"never": None, "late": 3, "number": 0.5, "mixed": "x", "list": {"a": None}},
    ]
    jobs = [job(hyperparameters=each) for each in values] + [job(started_at=None, hyperparameters={})]
    with (tmp_path / "jobs.parquet").open("w+b") as file:
        assert write_parquet(table_of(jobs, page=1), file) == 4
    read = parquet.read_table(tmp_path / "jobs.parquet")
    assert [read[name].to_pylist() for name in ("late", "number", "mixed", "list", "text")] == [
        [None, 2, 3, None],
        [1.0, 2.0, 0.5, None],
        ["1", "true", "x", None],
        [None, "[1]", '{"a": null}', None],
        ["a\\ud800", None, None, None],
    ]
    assert str(read.schema.field("late").type) == "int64"
    assert read["created_at"].to_pylist() == [NOW] * 4
    assert read["seconds"].to_pylist() == [1.5, 1.5, 1.5, None]
    with (tmp_path / "none.parquet").open("w+b") as file:
        assert write_parquet(table_of([]), file) == 0
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


class TestNewFile:
    def test_is_there_when_it_is_complete(self, tmp_path: Path) -> None:
        path = tmp_path / "jobs.csv"
        with new_file(str(path), replace=False) as file:
            file.write(b"1")
            assert not path.exists()
        assert path.read_bytes() == b"1"
        assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
        with pytest.raises(click.ClickException, match="exists"), _new(path) as file:
            file.write(b"2")
        assert path.read_bytes() == b"1"
        with new_file(str(path), replace=True) as file:
            file.write(b"2")
        assert path.read_bytes() == b"2"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError])
    def test_leaves_nothing_when_it_is_interrupted(self, end: type[BaseException], tmp_path: Path) -> None:
        with pytest.raises(end), _new(tmp_path / "jobs.csv") as file:
            file.write(b"1")
            raise end
        assert list(tmp_path.iterdir()) == []

    def test_says_what_is_wrong_with_its_place(self, tmp_path: Path) -> None:
        with pytest.raises(click.ClickException, match="cannot be written: No such file"), _new(tmp_path / "no" / "x"):
            pass
        with pytest.raises(click.ClickException, match="is a folder"), _new(tmp_path):
            pass
        with (
            pytest.raises(click.ClickException, match="cannot be written: No space left"),
            _new(Path("/dev/full")) as file,
        ):
            file.write(b"1")

    def test_writes_a_pipe_itself(self, tmp_path: Path) -> None:
        with _new(Path("/dev/null")) as file:
            file.write(b"1")
        assert not Path("/dev/null").is_file()


def _new(path: Path) -> Any:
    return new_file(str(path), replace=False)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
