"""`schedy show` with several jobs, and `schedy tree`: what stands beside what, and below what."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from schedy.wire.changes import NewJob
from schedy_cli.main import run
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Job
from tests.integration.test_store import Desk

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    with contextlib.closing(Store.open(store_url)) as store:
        store.migrate(from_older=False)
        yield Desk(store)


@pytest.fixture
def told(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    monkeypatch.setenv("SCHEDY_STORE_URL", desk.store.url)

    def _told(*words: str | Path) -> tuple[int, str, str]:
        code = run([*map(str, words)])
        return code, *capsys.readouterr()

    return _told


def test_several_jobs_stand_beside_each_other(desk: Desk, told: Told) -> None:
    experiment = desk.add()
    first, second = desk.push(
        experiment,
        NewJob(hyperparameters={"lr": 0.1, "n": 3}, results={"loss": 0.5}, status="DONE"),
        NewJob(hyperparameters={"lr": 0.2}, results={"n": 7}),
    )
    code, out, _said = told("show", "E", first, second)
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert rows[0] == ["job", first, second]
    assert rows[1:] == [
        ["status", "DONE", "QUEUED"],
        ["quality", "0.0", "0.0"],
        ["loss", "0.5", ""],
        ["result.n", "", "7"],
        ["lr", "0.1", "0.2"],
        ["hyperparameter.n", "3", ""],
        ["attempt", "0", "0"],
        ["worker", "", ""],
    ]
    code, out, _said = told("show", "E", first, second, "--json")
    assert [line.startswith(f'{{"id": "{job}"') for job, line in zip((first, second), out.splitlines(), strict=True)]
    assert told("show", "E", first, second, "-v")[0] == 2
    code, out, said = told("show", "E", first, "nosuch")
    assert (code, out) == (1, "")
    assert "nosuch" in said


def test_experiments_stand_beside_each_other(desk: Desk, told: Told) -> None:
    definition = {"objectives": [{"result": "loss", "direction": "minimize"}]}
    first = desk.add("A b", settings=definition)
    desk.add("C", settings=definition)
    best, *_others = desk.push(
        first,
        NewJob(hyperparameters={"lr": 0.1}, results={"loss": 0.25}, status="DONE"),
        NewJob(hyperparameters={"lr": 0.2}, results={"loss": 0.5}, status="DONE"),
        NewJob(hyperparameters={"lr": 0.3}, status="CRASHED"),
    )
    code, out, said = told("compare", "A b", "C")
    assert (code, said) == (0, "")
    rows = [line.split("\t") for line in out.splitlines()]
    assert rows == [
        ["", "A b", "C"],
        ["objective", "minimize loss", "minimize loss"],
        ["best", f"0.25 ({best})", ""],
        ["lr", "0.1", ""],
        ["algorithm", "manual", "manual"],
        ["jobs ended", "3", "0"],
        ["CRASHED", "1", "0"],
        ["time of a job", "", ""],
    ]
    assert told("compare", "C")[0] == 2
    code, out, said = told("compare", "C", "D")
    assert (code, out) == (1, "")
    assert "D" in said


def test_jobs_that_continue_others_are_a_tree(desk: Desk, told: Told) -> None:
    experiment = desk.add()
    parent, child, other = desk.push(experiment, *(NewJob(hyperparameters={"lr": lr}) for lr in (0.1, 0.2, 0.1)))
    assert told("tree", "E") == (1, "", "Error: No job of E continues another: `pbt` makes such jobs.\n")
    with desk.store.transaction() as transaction:
        continuing = update(Job).where(Job.job_id.in_([child, other]))
        transaction.sql.execute(continuing.values(parent=parent, generation=2))
    code, out, _said = told("tree", "E")
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == ["job", parent, f"├ {child}", other]
    assert [row[-1] for row in rows] == ["changed", "", "lr 0.2", ""]
    assert told("tree", "F")[0] == 1
