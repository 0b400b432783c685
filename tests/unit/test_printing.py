"""Output of jobs and experiments, to the letter; none of it acts on the terminal."""

import importlib
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from schedy.errors import InvalidValueError
from schedy.results.fields import parse_field
from schedy.wire.answers import FieldsAnswer
from schedy.wire.records import ExperimentRecord, JobEvent, JobRecord, Limits, WorkerRecord
from schedy.wire.requests import JOB_COLUMNS, SortField
from schedy_broker_setup.dead_letters import DeadLetter
from schedy_cli import commands
from schedy_cli.commands import dead, workers
from schedy_cli.main import run
from schedy_cli.parsing.fields import all_fields
from schedy_cli.printing.events import EventPrinter
from schedy_cli.printing.experiments import experiment_json, experiment_paragraph
from schedy_cli.printing.jobs import headings, job_json, job_notes, job_paragraph, job_row
from schedy_cli.printing.tables import print_table
from schedy_cli.printing.text import JsonForm, age, json_line

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
EVIL = "\x1b[31m\x9b2J\x07\x00\r\n\t\u2028\u202e\udcff"


EVENT = JobEvent(
    position=1,
    experiment="MinimizeManual",
    job_id="fVKGjg",
    at=NOW,
    kind="lost",
    worker="node:6 a.py",
    attempt=1,
    detail="No sign of life for 30 s: worker lost.",
)


def job(**more: Any) -> JobRecord:
    fields: dict[str, Any] = {
        "position": 1,
        "job_id": "fVKGjg",
        "status": "DONE",
        "quality": 0.0,
        "hyperparameters": {"x": 1, "y": 2},
        "results": {"result": 5},
        "created_at": NOW,
        "finished_at": NOW,
    }
    return JobRecord.model_construct(**{**fields, **more})


def plain(job: JobRecord, **options: Any) -> str:
    return click.unstyle(job_paragraph(job, **options))


def test_a_job_looks_as_the_contract_says() -> None:
    assert plain(job()) == (
        "Id: fVKGjg\n"
        "Status: DONE\n"
        "Quality: 0.0\n"
        "Hyperparameters:\n"
        " - x: 1\n"
        " - y: 2\n"
        "Results:\n"
        " - result: 5"
    )  # fmt: skip


def test_both_headings_are_printed_without_values() -> None:
    bare = job(status="QUEUED", hyperparameters={}, results={}, finished_at=None)
    assert plain(bare) == "Id: fVKGjg\nStatus: QUEUED\nQuality: 0.0\nHyperparameters:\nResults:"


def test_an_error_and_a_second_attempt_follow_the_results() -> None:
    crashed = job(status="CRASHED", quality=math.nan, error="ValueError: no\nat line 2\n", attempt=2, worker="h:1 a.py")
    assert plain(crashed).splitlines()[2] == "Quality: NaN"
    assert plain(crashed).partition("result: 5\n")[2] == "Error: ValueError: no\n  at line 2\nAttempt: 2"


def test_verbose_shows_attempt_worker_times_and_events() -> None:
    done = job(attempt=1, worker="node:7 train.py", started_at=NOW)
    assert plain(done) == plain(job())
    events = [EVENT]
    told = plain(done, verbose=True, events=events).partition("result: 5\n")[2].splitlines()
    when = NOW.astimezone().isoformat(sep=" ", timespec="seconds")
    assert told == [
        "Attempt: 1",
        "Worker: node:7 train.py",
        f"Created: {when}",
        f"Started: {when}",
        f"Finished: {when}",
        "Events:",
        f" - {when} lost: No sign of life for 30 s: worker lost. (node:6 a.py)",
    ]


def test_a_silent_or_stopping_job_is_marked() -> None:
    troubled = job(status="RUNNING", finished_at=None, attempt=1, stop="stall_timeout", silent_seconds=25.4)
    assert plain(troubled).partition("result: 5\n")[2].splitlines() == [
        "Silent: no sign of life for 25 s",
        "Stopping: it put nothing for longer than stall_timeout allows.",
    ]
    assert job_notes(troubled) == ["stopping", "silent 25 s"]
    assert job_notes(job(attempt=3)) == ["attempt 3"]
    assert job_notes(job(attempt=1)) == []
    assert "Stopping" not in plain(job(status="PRUNED", stop="cancelled"))


def test_a_job_that_is_given_back_again_and_again_is_marked() -> None:
    again = job(status="QUEUED", finished_at=None, releases=12)
    assert plain(again).endswith("\nGiven back: 12 times in a row without a report")
    assert job_notes(again) == ["given back 12 times"]
    assert job_notes(again.model_copy(update={"releases": 9})) == []
    over = again.model_copy(update={"status": "CRASHED"})
    assert "Given back" not in plain(over)
    assert job_notes(over) == []
    assert "Given back" not in plain(again.model_copy(update={"releases": 1}))


def test_verbose_shows_the_results_of_earlier_attempts() -> None:
    again = job(attempt=2, previous_results={"epoch": 3, "text": "a b"})
    assert plain(again).endswith("Attempt: 2")
    told = plain(again, verbose=True).partition("Previous results:\n")[2]
    assert told == ' - epoch: 3\n - text: "a b"'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1.0, "0 s"), (0.4, "0 s"), (119.9, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text


def experiment(**more: Any) -> ExperimentRecord:
    fields: dict[str, Any] = {
        "position": 1,
        "uid": "a" * 32,
        "name": "MinimizeManual",
        "scheduler": "manual",
        "settings": {},
        "status": "RUNNING",
        "paused": False,
        "created_at": NOW,
        "job_counts": {},
    }
    return ExperimentRecord(**{**fields, **more})


def test_an_experiment_shows_its_limits() -> None:
    bare = "Name: MinimizeManual\nStatus: RUNNING\nScheduler: manual\nJobs:"
    assert experiment_paragraph(experiment(limits=Limits(max_attempts=3))) == bare
    limits = Limits(max_attempts=5, job_timeout=3600, stall_timeout=0.5, retry_timeouts=True)
    assert experiment_paragraph(experiment(limits=limits)).removeprefix(bare).splitlines() == [
        *("", "Limits:", " - max_attempts: 5", " - job_timeout: 3600", " - stall_timeout: 0.5"),
        " - retry_timeouts: true",
    ]
    told = experiment_paragraph(experiment(limits=Limits(max_attempts=3)), verbose=True)
    when = NOW.astimezone().isoformat(sep=" ", timespec="seconds")
    assert told == f"{bare}\nLimits:\n - max_attempts: 3\nCreated: {when}"


def test_an_experiment_shows_the_statuses_of_its_jobs() -> None:
    record = experiment(paused=True, job_counts={"DONE": 2, "QUEUED": 1})
    assert click.unstyle(experiment_paragraph(record)) == (
        "Name: MinimizeManual\nStatus: RUNNING (paused)\nScheduler: manual\nJobs:\n - QUEUED: 1\n - DONE: 2"
    )
    assert json.loads(experiment_json(record, JsonForm.NAN_AS_NULL))["job_counts"] == {"DONE": 2, "QUEUED": 1}


class TestNothingActsOnTheTerminal:
    nasty = job(
        hyperparameters={EVIL: EVIL, "list": [EVIL, {EVIL: 1}]},
        results={EVIL: {"deep": EVIL}},
        error=EVIL,
        worker=EVIL,
        attempt=2,
    )

    def test_in_a_paragraph(self) -> None:
        events = [EVENT.model_copy(update={"worker": EVIL, "detail": EVIL})]
        lines = plain(self.nasty, verbose=True, events=events).split("\n")
        assert [line for line in lines if not line.isprintable()] == []

    def test_in_a_table(self) -> None:
        known = FieldsAnswer(hyperparameters=[EVIL, "list"], results=[EVIL])
        fields = all_fields(known) + [SortField(source="column", name=name) for name in JOB_COLUMNS]
        cells = [*headings(fields), *map(click.unstyle, job_row(self.nasty, fields))]
        assert [cell for cell in cells if not cell.isprintable()] == []

    def test_in_a_history(self, capsys: pytest.CaptureFixture[str]) -> None:
        event = EVENT.model_copy(
            update={
                "worker": EVIL,
                "detail": EVIL,
                "experiment": EVIL,
                "times": 2,
                "last_at": NOW,
                "results": {EVIL: EVIL},
            }
        )
        for form in (None, JsonForm.NAN_AS_NULL):
            printer = EventPrinter(as_json=form, with_experiment=True, with_results=True)
            printer.show([event])
        lines = capsys.readouterr().out.replace("\t", " ").split("\n")
        assert [line for line in lines if not line.isprintable()] == []

    def test_in_the_workers(self) -> None:
        worker = WorkerRecord(
            **dict.fromkeys(("host", "program", "detail"), EVIL),
            **dict.fromkeys(("position", "pid", "done", "crashed", "lost"), 1),
            **dict.fromkeys(("since", "heard_at"), NOW),
            state="unhealthy",
            silent=False,
            heard_seconds_ago=1.0,
            jobs=[f"{EVIL}/fVKGjg"],
        )
        assert [cell for cell in workers._row(worker) if not click.unstyle(cell).isprintable()] == []

    def test_in_the_dead_letters(self) -> None:
        letter = DeadLetter(
            **dict.fromkeys(("reason", "routing_key", "exchange", "kind", "message_id", "user", "body"), EVIL),
            number=1,
            at=NOW,
            content=b"",
        )
        assert [cell for cell in dead._row(letter) if not cell.isprintable()] == []
        assert [line for line in dead._paragraph(letter).split("\n") if not line.isprintable()] == []
        assert dead._name(letter).isprintable()
        assert dead._json(letter, JsonForm.NAN_AS_NULL).isprintable()

    def test_in_json(self) -> None:
        assert job_json(self.nasty, JsonForm.NAN_AS_NULL).isprintable()

    def test_in_an_error_that_lists_the_fields(self) -> None:
        known = FieldsAnswer(hyperparameters=[EVIL], results=[EVIL * 2])
        with pytest.raises(InvalidValueError) as caught:
            parse_field("zzz", known)
        assert str(caught.value).isprintable()


def test_json_has_every_field_but_internal_ones() -> None:
    found = json.loads(job_json(job(quality=math.nan), JsonForm.NAN_AS_NULL, [EVENT]))
    assert set(found) == {
        *("id", "status", "quality", "hyperparameters", "results", "error", "created_at", "started_at"),
        *("finished_at", "worker", "attempt", "previous_results", "stop", "silent_seconds", "traceback", "events"),
        *("parent", "generation", "releases"),
    }
    assert found["quality"] is None
    assert found["created_at"] == NOW.isoformat()
    assert set(found["events"][0]) == {
        *("experiment", "job_id", "at", "kind", "worker", "attempt", "detail", "times", "last_at", "results"),
    }


def test_a_table_in_a_pipe_is_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "x"], (row for row in [["a", "1"], ["b", ""]]))
    assert capsys.readouterr().out == "id\tx\na\t1\nb\t\n"


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


LOOSE = {"a": math.nan, "b": [1, math.inf, {"c": -math.inf}], "d": 10**30, "e": "NaN", "at": NOW, "f": 1e308}
STRICT = {"d": 10**30, "e": "NaN", "at": NOW.isoformat(), "f": 1e308}


def test_json_is_strict() -> None:
    found = json.loads(json_line(LOOSE, JsonForm.NAN_AS_NULL), parse_constant=_refuse)
    assert found == {"a": None, "b": [1, None, {"c": None}], **STRICT}


def test_json_has_nan_as_text_where_that_is_asked_for() -> None:
    found = json.loads(json_line(LOOSE, JsonForm.NAN_AS_TEXT), parse_constant=_refuse)
    assert found == {"a": "NaN", "b": [1, "Infinity", {"c": "-Infinity"}], **STRICT}


def test_deep_values_with_nan_are_strict_json_too() -> None:
    deep: Any = math.nan
    for _ in range(480):
        deep = [deep]
    assert json_line({"x": deep}, JsonForm.NAN_AS_NULL).count("null") == 1


@pytest.mark.parametrize("command", sorted(path.stem for path in Path(commands.__path__[0]).glob("*.py")))
def test_every_command_with_json_has_both_forms(command: str) -> None:
    """None prints NaN as Python does, whose JSON other programs cannot read."""
    if command == "__init__":
        return
    made = getattr(importlib.import_module(f"schedy_cli.commands.{command}"), f"{command}_command")
    spellings = {word for parameter in made.params for word in parameter.opts}
    assert "--nan" in spellings or "--json" not in spellings


@pytest.mark.parametrize("words", [["list", "--nan"], ["dead", "--nan"]])
def test_nan_without_json_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert "--nan applies to --json: give both." in capsys.readouterr().err
