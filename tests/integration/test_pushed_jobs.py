"""What a push returns is what the store has: nothing about a job is made up on the way back."""

import json
import math
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

import schedy
from schedy.errors import BrokerError
from schedy.settings import Settings
from schedy.wire.base import JOB_STATUSES
from schedy.wire.changes import UpdateExperiment
from schedy_cli.main import schedy as command
from tests.forwarder import Forwarder

READ_ONLY = ("job_id", "status", "created_at", "started_at", "finished_at", "worker", "attempt", "error", "parent")
WRITABLE = ("quality", "hyperparameters", "results", "previous_results")
JOB: dict[str, Any] = {"hyperparameters": {"x": 1}, "results": {"loss": 0.4}}
OBJECTIVES: list[dict[str, Any]] = [{}, {"minimize": "loss"}, {"maximize": "loss"}, {"minimize": ["loss", "time"]}]


def seen(job: schedy.Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in (*READ_ONLY, *WRITABLE)}


@pytest.fixture(params=OBJECTIVES, ids=json.dumps)
def experiment(request: pytest.FixtureRequest, db: schedy.SchedyDB) -> schedy.ManualSearch:
    made = schedy.ManualSearch("E", **request.param)
    db.add_experiment(made)
    return made


@pytest.mark.parametrize("status", JOB_STATUSES)
def test_a_job_that_was_added_is_the_job_that_is_read(experiment: schedy.ManualSearch, status: Any) -> None:
    added = experiment.add_job(**JOB, status=status, quality=0.25)
    assert seen(added) == seen(experiment.get_job(added.job_id))


def test_jobs_added_together_are_the_jobs_that_are_read(experiment: schedy.ManualSearch) -> None:
    added = experiment.add_jobs([{**JOB, "status": status} for status in JOB_STATUSES])
    assert [seen(job) for job in added] == [seen(job) for job in experiment.all_jobs()]


@pytest.mark.parametrize("status", ["DONE", "CRASHED", "PRUNED"])
def test_a_final_job_can_be_put_after_it_was_added(experiment: schedy.ManualSearch, status: Any) -> None:
    added = experiment.add_job(**JOB, status=status)
    added.results["loss"] = 0.3
    added.put()
    assert experiment.get_job(added.job_id).results == {"loss": 0.3}


def test_infinities_and_nan_come_back_from_a_push(experiment: schedy.ManualSearch) -> None:
    values = {"loss": math.inf, "a": -math.inf, "b": [math.nan, 2**70, "\u2028"]}
    added = experiment.add_job(values, results=values, status="DONE", quality=-math.inf)
    read = experiment.get_job(added.job_id)
    assert repr(seen(added)) == repr(seen(read))
    assert repr(added.results) == repr(values)


def test_no_chunk_of_a_push_that_failed_is_sent_after_a_reconnect(db: schedy.SchedyDB, settings: Settings) -> None:
    """Else a program that pushes again would have stored those jobs twice."""
    db.add_experiment(schedy.ManualSearch("E"))
    port = urlsplit(settings.broker_url).port or 0
    with Forwarder(port) as way:
        url = settings.broker_url.replace(f":{port}/", f":{way.port}/")
        hasty = settings.model_copy(update={"broker_url": url, "service_wait_seconds": 1.0})
        with schedy.SchedyDB(config_override=hasty.model_dump()) as cut_off:
            cut_off.session.change(_no_change(db), patience_seconds=20.0)
            experiment = cut_off.get_experiment("E")
            way.cut(refuse=True)
            with pytest.raises(BrokerError):
                experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(600))
            way.resume()
            cut_off.session.change(_no_change(db), patience_seconds=20.0)
    assert list(db.get_experiment("E").all_jobs()) == []


def _no_change(db: schedy.SchedyDB) -> UpdateExperiment:
    """A change that is applied after all that the same session has sent before."""
    return UpdateExperiment(request_id=uuid.uuid4().hex, experiment_uid=db.get_experiment("E").uid)


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("objective", [[], ["--minimize", "loss"]], ids=["no objective", "an objective"])
@pytest.mark.parametrize("status", ["QUEUED", "DONE", "CRASHED", "PRUNED"])
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_push_prints_what_show_prints(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, objective: list[str], status: str, form: list[str]
) -> None:
    monkeypatch.setenv("SCHEDY_BROKER_URL", settings.broker_url)
    monkeypatch.setenv("SCHEDY_STORE_URL", str(settings.store_url))
    monkeypatch.setenv("SCHEDY_DATA_DIR", str(settings.data_dir))

    def _run(*words: str) -> str:
        done = CliRunner().invoke(command, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    _run("add", "E", "manual", *objective)
    pushed = _run("push", "E", "-p", "x", "1", "-r", "loss", "0.4", "-s", status, *form)
    job_id = json.loads(pushed)["id"] if form else pushed.split()[1]
    shown = _run("show", "E", job_id, *form)
    if form:
        of_show: dict[str, object] = {"events": [], "traceback": None}
        assert {**json.loads(shown), **of_show} == {**json.loads(pushed), **of_show}
    else:
        assert shown == pushed
    if objective:
        assert "0.4" in pushed.split("uality")[1].splitlines()[0]
