"""Reports that are kept in files until they can be delivered."""

import json
import logging
import stat
from pathlib import Path

import pytest

from schedy.amqp.channel import Outgoing
from schedy.settings import Settings
from schedy.wire.base import Worker
from schedy.wire.codec import encode, routing_key
from schedy.wire.records import Point
from schedy.wire.reports import Claim, Curve, Finish, HeldReport, Progress, Release
from schedy.worker.undelivered import keep, kept_files, named

UID, TOKEN, OTHER_TOKEN = "e" * 32, "a" * 32, "b" * 32


def outgoing(report: HeldReport) -> Outgoing:
    return Outgoing("schedy.inbox", routing_key(report), encode(report), report.kind, "c" * 32)


def fields(token: str = TOKEN, *, sequence: int = 1, job_id: str = "fVKGjg") -> dict[str, object]:
    return {"experiment_uid": UID, "job_id": job_id, "token": token, "sequence": sequence}


def finish(**changed: object) -> Finish:
    return Finish.model_validate(
        {**fields(sequence=3), "status": "DONE", "results": {"r": float("inf")}, "quality": 0.0, **changed}
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", broker_url="amqp://ada:secret@broker:5672/%2F")


def test_keeps_all_reports_of_jobs_with_results_in_order(settings: Settings) -> None:
    curve = Curve.model_validate({**fields(), "points": [Point(step=1, values={"loss": 0.5})]})
    progress = Progress.model_validate({**fields(sequence=2), "results": {}, "quality": 1.0})
    given_back = Release.model_validate(fields(OTHER_TOKEN, job_id="Xa82_1"))
    keep(settings, map(outgoing, [curve, given_back, progress, finish()]))
    (kept,) = kept_files(settings)
    assert kept.reports == [curve, progress, finish()]
    assert kept.jobs == ["fVKGjg"]


def test_a_claim_that_left_with_an_end_is_not_made_by_a_later_process(settings: Settings) -> None:
    worker = Worker(host="h", pid=1, program="p", uid="f" * 32)
    claim = Claim(experiment_uid=UID, job_id="Xa82_1", token=OTHER_TOKEN, worker=worker)
    keep(settings, [outgoing(finish(then=claim))])
    (kept,) = kept_files(settings)
    assert kept.reports == [finish()]
    assert kept.jobs == ["fVKGjg"]


def test_writes_what_only_the_user_may_read_and_no_password(settings: Settings) -> None:
    keep(settings, [outgoing(finish())])
    (path,) = (settings.data_dir / "undelivered").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "secret" not in path.read_text()


def test_writes_nothing_where_there_are_no_results(settings: Settings) -> None:
    keep(settings, [outgoing(Release.model_validate(fields()))])
    assert not (settings.data_dir / "undelivered").exists()


@pytest.mark.parametrize(
    ("url", "is_for"),
    [
        ("amqp://ada:other@broker:5672/%2F", True),
        ("amqp://eve:secret@broker:5672/%2F", False),
        ("amqp://ada:secret@broker:5673/%2F", False),
        ("amqp://ada:secret@second:5672/%2F,amqp://ada:secret@broker:5672/%2F", True),
    ],
)
def test_is_for_the_same_broker_and_user(settings: Settings, url: str, *, is_for: bool) -> None:
    keep(settings, [outgoing(finish())])
    (kept,) = kept_files(settings)
    assert kept.is_for(settings.model_copy(update={"broker_url": url})) is is_for


def test_says_that_results_could_not_be_kept(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "undelivered").write_text("a file where the folder should be")
    keep(settings, [outgoing(finish())])
    assert "The results of job fVKGjg were not delivered, and could not be kept in" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", json.dumps({"brokers": ["amqp://x"], "reports": ["{}"]}), '{"brokers": [[1]], "reports": []}'],
)
def test_leaves_out_a_file_that_cannot_be_read(settings: Settings, caplog: pytest.LogCaptureFixture, text: str) -> None:
    keep(settings, [outgoing(finish())])
    (settings.data_dir / "undelivered" / "odd.json").write_text(text)
    assert len(kept_files(settings)) == 1
    assert "odd.json has reports that were not delivered, and cannot be read" in caplog.text


def test_names_the_first_of_many_jobs() -> None:
    assert named(["a"]) == "job a"
    assert named(["a", "b"]) == "2 jobs (a, b)"
    assert named(list("abcdefg")) == "7 jobs (a, b, c, d, e, ...)"
