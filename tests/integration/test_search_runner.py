"""The search process from within, on SQLite: what it logs, and what it forgets."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schedy.wire.answers import ExperimentChangedAnswer
from schedy.wire.changes import AddExperiment, DeleteExperiment, UpdateExperiment
from schedy.wire.records import ExperimentRecord
from schedy_store.schema.engine import Store
from schedy_store.search.output import log_output
from schedy_store.search.runner import Runner
from schedy_store.search.wire import SuggestAnswer, SuggestQuestion, WantedNumber
from tests.integration.searching import install_algorithms
from tests.integration.test_search_store import SPACE
from tests.integration.test_store import Desk, fresh, told

_OWN = '''
import sys
import time

import numpy as np

from schedy.errors import InvalidValueError
from schedy_store.search.protocol import Suggestion


class UnreadableError(Exception):
    def __str__(self):
        raise RuntimeError


class Failing:
    """Fails as its option says."""

    def __init__(self, definition):
        self.kind = definition.options.get("kind", "")
        if self.kind == "refused":
            raise InvalidValueError("x must be a uniform.")

    def suggest(self, number, history):
        if self.kind == "unreadable":
            raise UnreadableError
        if self.kind == "odd":
            raise ValueError("two\\nlines, \\ud800 and \\x1b[31m")
        if self.kind == "address":
            raise ValueError(f"failed at {time.monotonic_ns()}")
        if self.kind == "printing":
            print("one", file=sys.stderr)
            return Suggestion({"x": np.bool_(True)}, state={"seen": np.bool_(True)}, generation=np.int64(1))
        if self.kind == "generation":
            return Suggestion({}, generation=2**70)
        return Suggestion({"x": 1 / self.kind})
'''


@pytest.fixture
def desk(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.syspath_prepend(install_algorithms(folder, _OWN, {"failing": "Failing"}))
    store = Store.open(sqlite_url)
    yield Desk(store)
    store.close()


def add(desk: Desk, name: str, scheduler: str = "random", **options: Any) -> ExperimentRecord:
    settings = {"hyperparameters": SPACE, "seed": 1, "options": options}
    change = AddExperiment(request_id=fresh(), name=name, scheduler=scheduler, settings=settings)
    return told(desk.change(change), ExperimentChangedAnswer).experiment


def suggest(runner: Runner, experiment_pk: int, number: int = 0) -> SuggestAnswer:
    wanted = [WantedNumber(number=number, known=0)]
    answer = runner.answer(SuggestQuestion(question=1, experiment_pk=experiment_pk, wanted=wanted))
    assert isinstance(answer, SuggestAnswer)
    return answer


def test_the_traceback_of_a_failure_is_logged_once(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    add(desk, "E", "failing", kind=0)
    runner = Runner(desk.store)
    for _ in range(3):
        answer = suggest(runner, 1)
        assert (answer.end, answer.reason) == ("failed", "ZeroDivisionError: division by zero")
    assert capsys.readouterr().err.count("Traceback") == 1


def test_a_failure_whose_text_changes_is_logged_once_too(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    add(desk, "E", "failing", kind="address")
    runner = Runner(desk.store)
    assert suggest(runner, 1).reason != suggest(runner, 1).reason
    assert capsys.readouterr().err.count("Traceback") == 1


def test_each_line_in_the_log_has_the_name_of_its_search(
    desk: Desk, capfdbinary: pytest.CaptureFixture[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    add(desk, "A", "failing", kind="printing")
    add(desk, "B", "failing", kind="printing")
    runner = Runner(desk.store)
    for pk in (1, 1, 2, 1):
        assert suggest(runner, pk).made
    log_output(io.BytesIO(b"before\n" + capfdbinary.readouterr().err), process="failing")
    assert [record.getMessage() for record in caplog.records] == [
        "Search failing: before",
        "Search A: one",
        "Search A: one",
        "Search B: one",
        "Search A: one",
    ]


def test_a_long_line_is_logged_in_parts(caplog: pytest.LogCaptureFixture) -> None:
    log_output(io.BytesIO(b"x" * 20_000), process="")
    assert [len(record.getMessage()) - len("Search process: ") for record in caplog.records] == [8192, 8192, 3616]


@pytest.mark.parametrize(
    ("kind", "end", "reason"),
    [
        ("unreadable", "failed", "UnreadableError: (its text cannot be read)"),
        ("odd", "failed", r"ValueError: two\nlines, \ud800 and \x1b[31m"),
        ("refused", "unusable", "x must be a uniform."),
    ],
)
def test_whatever_an_algorithm_raises_is_one_line(desk: Desk, kind: str, end: str, reason: str) -> None:
    add(desk, "E", "failing", kind=kind)
    answer = suggest(Runner(desk.store), 1)
    assert (answer.end, answer.reason) == (end, reason)


def test_a_suggestion_that_no_database_takes_is_a_failure(desk: Desk) -> None:
    add(desk, "E", "failing", kind="generation")
    answer = suggest(Runner(desk.store), 1)
    assert answer.end == "failed"
    assert answer.reason.startswith("ValidationError: ")


def test_searches_that_are_done_or_deleted_are_forgotten(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    experiments = [add(desk, name) for name in "ABC"]
    runner = Runner(desk.store)
    for pk in (1, 2, 3):
        assert suggest(runner, pk).made
    desk.change(UpdateExperiment(request_id=fresh(), experiment_uid=experiments[0].uid, status="DONE"))
    desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=experiments[1].uid))
    assert suggest(runner, 2).reason == "The experiment was deleted."
    runner._next_sweep = 0.0
    assert suggest(runner, 3, number=1).made
    assert runner._searches.keys() == {3}
    assert "Traceback" not in capsys.readouterr().err
