"""`schedy push` to an experiment that has hyperparameters, and what it says about jobs without any."""

import types
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schedy.errors import InvalidValueError
from schedy.search.pushed import PushedJobs
from schedy.wire.answers import PushAnswer
from schedy.wire.records import ExperimentRecord, JobRecord, Limits
from schedy_cli.main import run
from tests.unit.search_support import define
from tests.unit.test_interruption import Session, use  # noqa: F401 - a fixture

SPACE = {
    "lr": {"uniform": {"low": 0, "high": 1}},
    "opt": {"choice": {"values": ["adam", "sgd"], "then": {"sgd": {"momentum": {"const": 0.9}}}}},
}


class SearchSession(Session):
    """A service that has a search, and stores what is pushed to it."""

    def __init__(self) -> None:
        super().__init__(self._store)
        self.pushed: list[dict[str, Any]] = []

    def read(self, _request: object, **_options: object) -> Any:
        record = ExperimentRecord(
            position=1,
            uid="0" * 32,
            name="E",
            scheduler="random",
            settings={"hyperparameters": SPACE},
            status="RUNNING",
            paused=False,
            limits=Limits(),
            job_counts={},
            created_at=datetime(2026, 1, 2, tzinfo=UTC),
        )
        return types.SimpleNamespace(experiments=[record])

    def _store(self, message: Any) -> PushAnswer:
        self.pushed += [job.hyperparameters for job in message.jobs]
        fields = {
            "position": 1,
            "revision": 1,
            "status": "QUEUED",
            "quality": 0.0,
            "created_at": "2026-01-02T00:00:00Z",
        }
        jobs = [
            JobRecord.model_validate(
                {**fields, "job_id": "fVKGjg", "hyperparameters": each.hyperparameters, "results": {}}
            )
            for each in message.jobs
        ]
        warnings = ["The search does not learn from job fVKGjg: 'x' is unknown."]
        return PushAnswer(experiment_uid="0" * 32, lease_seconds=30.0, jobs=jobs, warnings=warnings)


def test_a_file_with_a_line_that_would_be_refused_is_not_pushed(
    use: Callable[[Session], None],  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = SearchSession()
    use(session)
    file = tmp_path / "jobs.csv"
    file.write_text("lr,opt,momentum\n0.1,adam,\n" + "0.2,sgd,0.9\n" * 300 + "0.3,sgd,\n")
    assert run(["push", "E", "--from", str(file)]) == 2
    error = capsys.readouterr().err
    assert """Line 303: A job with {"lr": 0.3, "opt": "sgd"} lacks 'momentum', which every such job of this""" in error
    assert "Nothing was pushed." in error
    assert session.pushed == []
    file.write_text("lr,opt\n0.1,adam\n")
    assert run(["push", "E", "--from", str(file)]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("fVKGjg\n", "The search does not learn from job fVKGjg: 'x' is unknown.\n")


def test_a_job_without_hyperparameters_is_not_pushed_in_silence(
    use: Callable[[Session], None],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(SearchSession())
    assert run(["push", "E"]) == 0
    assert "The job has no hyperparameters; -p gives them.\n" in capsys.readouterr().err


def test_an_algorithm_of_ones_own_may_learn_from_any_job() -> None:
    pushed = PushedJobs("hill-climbing", define(SPACE))
    fault = pushed.fault({"lr": 2, "opt": "adam"})
    assert fault == "'lr' lies outside of its uniform."
    assert pushed.warning(fault, ["a"]) == f"The search may not learn from job a: {fault}"
    with pytest.raises(InvalidValueError, match=r"A job with \{\"text\": \"x{50,} \.\.\. lacks 'lr', 'opt', which"):
        pushed.fault({"text": "x" * 1000})


def test_without_hyperparameters_any_job_may_be_pushed() -> None:
    assert PushedJobs("pbt", define({})).fault({"rate": 0.1}) is None
