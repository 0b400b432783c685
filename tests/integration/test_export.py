"""`schedy export` from the store, and the rows that it reads."""

import functools
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import schedy
from schedy.errors import NotFoundError
from schedy.results.lines import ask_jobs, ask_points
from schedy.settings import Settings
from schedy.wire.changes import DeleteExperiment, NewJob
from schedy.wire.records import ExperimentRecord, Point
from schedy.wire.reports import Curve, Finish
from schedy_cli.main import run
from schedy_store.reads import lines
from schedy_store.reads.lines import job_lines, point_lines
from schedy_store.schema.engine import Store
from tests.integration.test_reading import desk, read
from tests.integration.test_store import Desk, fresh

__all__ = ["desk"]

LOSS = {"result": "loss", "direction": "minimize"}


def experiment_with_curves(desk: Desk) -> tuple[ExperimentRecord, list[str]]:
    """Add jobs of several statuses, of which two have reported."""
    experiment = desk.add(settings={"objectives": [LOSS]})
    jobs = desk.push(
        experiment,
        *(NewJob(hyperparameters={"x": x}) for x in range(3)),
        NewJob(hyperparameters={"x": 3}, results={"loss": 0.5}, status="DONE"),
        NewJob(hyperparameters={"x": 4}, status="CRASHED"),
    )
    for job_id, token in zip(jobs, ("1" * 32, "2" * 32), strict=False):
        desk.claim(experiment, job_id, token)
        held = {"experiment_uid": experiment.uid, "job_id": job_id, "token": token}
        points = [Point(step=step, values={"loss": float(step), "é": float("nan")}) for step in range(3)]
        desk.report(Curve(**held, sequence=1, points=points))
        if token[0] == "1":
            desk.report(Finish(**held, sequence=2, status="DONE", results={"loss": 2.0}, quality=2.0))
    return experiment, jobs


def test_rows_are_what_the_service_answers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, jobs = experiment_with_curves(desk)
    ask = functools.partial(read, desk)
    for rows, characters in ((2, 4_000_000), (5000, 1)):
        monkeypatch.setattr(lines, "_ROWS_AT_ONCE", rows)
        monkeypatch.setattr(lines, "PAGE_CHARACTERS", characters)
        for statuses in ((), ("DONE",), ("DONE", "CRASHED", "QUEUED")):
            pages = list(job_lines(desk.store, experiment.uid, statuses))
            assert max(map(len, pages)) <= (rows if characters > 1 else 1)
            found = list(itertools.chain(*pages))
            assert found == list(
                itertools.chain(*ask_jobs(lambda request: read(desk, request), experiment.uid, statuses))
            )
            assert [job.job_id for job in found] == [
                job_id for job_id in jobs if not statuses or desk.job(experiment, job_id).status in statuses
            ]
            points = list(itertools.chain(*point_lines(desk.store, experiment.uid, statuses)))
            asked = list(itertools.chain(*ask_points(ask, experiment.uid, statuses)))
            assert repr(points) == repr(asked)
            assert len(points) == (6 if statuses else 12)
    assert points[1].name == "é"


def test_an_experiment_that_is_deleted_meanwhile_is_no_short_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_ROWS_AT_ONCE", 2)
    experiment, _jobs = experiment_with_curves(desk)
    pages = job_lines(desk.store, experiment.uid)
    next(pages)
    desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=experiment.uid))
    with pytest.raises(NotFoundError):
        list(pages)


def test_the_command_writes_each_format(
    desk: Desk, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment_with_curves(desk)
    monkeypatch.setenv("SCHEDY_STORE_URL", store_url)
    monkeypatch.setenv("SCHEDY_DATA_DIR", str(tmp_path))

    def _said(*arguments: str, code: int = 0) -> str:
        assert run(["export", "E", *arguments]) == code
        return capsys.readouterr().err

    folder = tmp_path / "files"
    folder.mkdir()
    csv, jsonl, parquet = (str(folder / f"jobs.{ending}") for ending in ("csv", "jsonl", "parquet"))
    assert _said(csv) == f"5 jobs in {csv}.\n"
    assert Path(csv).read_text().startswith("id,status,result.loss,x,quality,created_at,")
    assert _said(csv, code=1) == f"Error: {csv} exists. --force replaces it.\n"
    assert _said(csv, "--force", "--status", "DONE") == f"2 jobs in {csv}.\n"
    assert _said(jsonl, "--curves", "--nan") == f"12 points in {jsonl}.\n"
    first = json.loads(Path(jsonl).read_text().splitlines()[1])
    assert (first["step"], first["name"], first["value"]) == (0, "é", "NaN")
    pytest.importorskip("pyarrow")
    assert _said(parquet) == f"5 jobs in {parquet}.\n"
    assert {path.name for path in folder.iterdir()} == {"jobs.csv", "jobs.jsonl", "jobs.parquet"}
    assert "The ending of FILE is one of .csv, .jsonl, .parquet" in _said(str(tmp_path / "x.txt"), code=2)
    for wrong in (["--nan"], ["--force"], ["--format", "parquet"], ["--optuna", "sqlite:///x", "--curves"]):
        assert "Error: " in _said(*wrong, code=2)

    study = f"sqlite:///{tmp_path}/o.db"
    assert _said("--optuna", study) == "5 jobs in the study E.\n"
    assert "has a study 'E' already" in _said("--optuna", study, code=1)


def test_interrupted_it_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    code = """
import signal, sys
from schedy_cli.exporting import text
def write(table, file):
    file.write(b"id")
    signal.raise_signal(signal.SIGINT)
text.write_csv = write
from schedy_cli.main import main
main(["export", "E", sys.argv[1]])
"""
    url = f"sqlite:///{tmp_path}/store.sqlite"
    store = Store.open(url)
    store.migrate(from_older=False)
    Desk(store).add()
    store.close()
    environment: dict[str, Any] = {"SCHEDY_STORE_URL": url, "SCHEDY_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code, str(tmp_path / "folder" / "jobs.csv")]
    (tmp_path / "folder").mkdir()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (130, "\nInterrupted. Nothing was written.\n")
    assert list((tmp_path / "folder").iterdir()) == []


def test_the_library_and_a_command_without_a_store_read_the_same(
    db: schedy.SchedyDB,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pandas")
    experiment = schedy.ManualSearch("E", minimize="loss")
    db.add_experiment(experiment)
    done, _queued = experiment.add_jobs([{"hyperparameters": {"x": x}} for x in (1, 2)])
    with experiment.next_job() as job:
        job.report(1, loss=0.5)
        job.report(2, loss=0.25)
        job.results["loss"] = 0.25
    frame = experiment.to_pandas()
    assert frame[["id", "status", "loss", "x"]].iloc[0].tolist() == [done.job_id, "DONE", 0.25, 1]
    assert experiment.curves()[["step", "name", "value"]].to_numpy().tolist() == [[1, "loss", 0.5], [2, "loss", 0.25]]
    study = experiment.to_optuna()
    assert (study.best_value, study.best_params) == (0.25, {"x": 1})
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.25}

    monkeypatch.setenv("SCHEDY_BROKER_URL", settings.broker_url)
    monkeypatch.setenv("SCHEDY_DATA_DIR", str(tmp_path / "elsewhere"))
    capsys.readouterr()
    assert run(["export", "E", "--format", "jsonl"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["id"], first["result.loss"], second["status"], "result.loss" in second) == (
        done.job_id, 0.25, "QUEUED", False,
    )  # fmt: skip
    assert run(["export", "E", "--curves"]) == 0
    assert capsys.readouterr().out.splitlines()[2] == f"{done.job_id},1,2,loss,0.25"
