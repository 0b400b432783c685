"""`schedy plot` on a store: all kinds in all formats, what it replaces, and what it says when it cannot."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schedy.wire.changes import NewJob
from schedy.wire.records import ExperimentRecord, Point
from schedy.wire.reports import Curve, Finish
from schedy_cli.main import run
from schedy_store.schema.engine import Store
from tests.integration.test_store import Desk

LOSS = {"result": "loss", "direction": "minimize"}
MILLISECONDS = {"result": "ms", "direction": "minimize"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A store for the commands, which write into a folder of the test."""
    url = f"sqlite:///{tmp_path}/schedy.db"
    monkeypatch.setenv("SCHEDY_STORE_URL", url)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    store = Store.open(url)
    store.migrate(from_older=False)
    yield Desk(store)
    store.close()


def finished(desk: Desk, objectives: list[dict[str, str]]) -> ExperimentRecord:
    """An experiment with 24 jobs that workers have run."""
    experiment = desk.add(settings={"objectives": objectives})
    jobs = [NewJob(hyperparameters={"lr": 10.0 ** -(x % 4), "net": "ab"[x % 2]}) for x in range(24)]
    for number, job_id in enumerate(desk.push(experiment, *jobs)):
        token = f"{number:032x}"
        held: dict[str, Any] = {"experiment_uid": experiment.uid, "job_id": job_id, "token": token}
        desk.claim(experiment, job_id, token)
        points = [Point(step=step, values={"loss": number / step}) for step in range(1, 6)]
        desk.report(Curve(**held, sequence=1, points=points))
        desk.pass_seconds(3)
        crashes = number == 5
        desk.report(
            Finish(
                **held,
                sequence=2,
                status="CRASHED" if crashes else "DONE",
                results={} if crashes else {"loss": number / 5, "ms": (number - 9) ** 2},
                quality=0.0,
                error="no memory" if crashes else None,
            )
        )
    return experiment


def test_a_page_a_picture_and_the_terminal_show_what_was_asked_for(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = finished(desk, [LOSS, MILLISECONDS])

    def told(*words: str) -> tuple[int, str, str]:
        code = run(["plot", *words])
        return code, *capsys.readouterr()

    assert told("E") == (0, "E.html\n", "")
    page = Path("E.html").read_text()
    plots = ["Pareto front", "loss of each job", "ms of each job", "Hyperparameters and loss", "Which hyperparameter"]
    plots += ["Learning curves of loss", "ms over each hyperparameter", "What each worker did", "23 DONE, 1 CRASHED"]
    assert [title for title in plots if title not in page] == []
    assert len(page) < 6_000_000

    assert told("E", "timeline", "-o", "t.png") == (0, "t.png\n", "")
    assert Path("t.png").read_bytes().startswith(b"\x89PNG")
    for kind in ("parallel", "slice"):
        assert told("E", kind, "-o", "x.SVG") == (0, "x.SVG\n", "")
    picture = Path("x.SVG").read_text()
    assert "ms over each hyperparameter" in picture
    assert ">lr<" in picture
    assert not list(Path().glob(".*"))

    code, drawn, said = told("E", "--terminal")
    assert (code, said) == (0, "")
    assert drawn.isascii() is False
    assert "\x1b" not in drawn
    assert max(map(len, drawn.splitlines())) <= 80
    assert [title for title in plots[:-1] if title not in drawn] == []

    Path("E.html").write_text("mine")
    assert told("E") == (
        1,
        "",
        "Error: E.html exists, and Schedy has not written it. --force replaces it; -o names another.\n",
    )
    assert Path("E.html").read_text() == "mine"
    assert told("E", "--force", "history") == (0, "E-history.html\n", "")
    assert told("E", "--force") == (0, "E.html\n", "")
    assert told("E") == (0, "E.html\n", "")
    assert told("E", "-o", "x.pdf")[0] == 2
    assert told("E", "-o", "gone/x.svg") == (1, "", "Error: gone/x.svg cannot be written: No such file or directory.\n")
    assert told("E", "-o", "x.svg", "--terminal")[0] == 2
    assert experiment.name == "E"


def test_what_cannot_be_plotted_is_said_beside_the_rest(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = desk.add(settings={"objectives": [LOSS]})
    assert run(["plot", "E"]) == 1
    assert capsys.readouterr().err == "Error: E has nothing to plot yet: none of its jobs has ended.\n"
    assert not Path("E.html").exists()
    jobs = [NewJob(hyperparameters={"x": x}, status="DONE", results={"loss": x}) for x in range(3)]
    desk.push(experiment, *jobs)
    assert run(["plot", "E"]) == 0
    out, said = capsys.readouterr()
    assert out == "E.html\n"
    assert "E has too few jobs for importance: 3 are DONE" in said
    assert "E has no timeline" in said
    assert run(["plot", "E", "timeline"]) == 1
    assert run(["plot", "F"]) == 1


def test_importance_is_printed_as_a_table(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = desk.add(settings={"objectives": [LOSS]})
    jobs = [
        NewJob(hyperparameters={"lr": x, "other": x * 7 % 5}, status="DONE", results={"loss": float(x)}, quality=x)
        for x in range(30)
    ]
    desk.push(experiment, *jobs[:3])
    assert run(["importance", "E"]) == 1
    assert "E has too few jobs for importance: 3 are DONE with a value, and 20 are needed." in capsys.readouterr().err
    desk.push(experiment, *jobs)
    assert run(["importance", "E"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["hyperparameter", "lr", "other"]
    assert lines[0][1] == "share"
    lr, other = (float(line[1].removesuffix(" %")) for line in lines[1:])
    assert lr > 90
    assert other < 40
    two = desk.add("Two", settings={"objectives": [LOSS, MILLISECONDS]})
    desk.push(two, *[job.model_copy(update={"results": {"loss": 1.0, "ms": x}}) for x, job in enumerate(jobs)])
    assert run(["importance", "Two"]) == 0
    titles = [line for line in capsys.readouterr().out.splitlines() if line.endswith(":")]
    assert titles == ["Which hyperparameter matters for loss:", "Which hyperparameter matters for ms:"]


@pytest.mark.parametrize(("package", "ending"), [("plotly", "html"), ("matplotlib", "png")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str, ending: str
) -> None:
    finished(desk, [LOSS])
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert run(["plot", "E", "-o", f"x.{ending}"]) == 1
    said = capsys.readouterr().err
    assert package in said
    assert said.endswith("Install it: pip install 'schedy-mq[plot]'\n")
    assert run(["plot", "E", "--terminal"]) == 0
