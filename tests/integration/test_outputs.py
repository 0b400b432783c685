"""The output and the traceback of attempts: what is stored, for how long, and what becomes of late parts."""

from typing import Any

import pytest
from sqlalchemy import func, select

import schedy
from schedy import Job
from schedy.errors import UnsafeUpdateError
from schedy.settings import Settings
from schedy.wire.answers import OutputAnswer, Refusal, ReportAnswer
from schedy.wire.changes import CancelJobs, DeleteExperiment, DeleteJob, RetryJobs
from schedy.wire.output import LONGEST_OUTPUT, LONGEST_TRACEBACK
from schedy.wire.reports import Finish, Output, Release
from schedy.wire.requests import GetOutput
from schedy_cli.main import run
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import AttemptOutput
from schedy_store.schema.tables import Job as StoredJob
from tests.integration.test_store import Desk, fresh, told
from tests.support import running_service, wait_until


class OneJob:
    """A job in a store, and who holds it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.experiment = desk.add()
        (self.id,) = desk.push(self.experiment)
        self.take()

    def take(self) -> None:
        self.sequence = 0
        self.token = fresh()
        assert self.desk.claim(self.experiment, self.id, self.token).granted

    def held(self, token: str | None = None) -> dict[str, Any]:
        self.sequence += 1
        token = self.token if token is None else token
        return {
            "experiment_uid": self.experiment.uid,
            "job_id": self.id,
            "token": token,
            "sequence": self.sequence,
        }

    def write(self, text: str, end: int, **more: Any) -> None:
        assert told(self.desk.report(Output(**self.held(), text=text, end=end, **more)), ReportAnswer).accepted

    def finish(self, **more: Any) -> ReportAnswer:
        finish = Finish(**self.held(), status="CRASHED", results={}, quality=0.0, **more)
        return told(self.desk.report(finish), ReportAnswer)

    def naming(self) -> dict[str, Any]:
        return {"request_id": fresh(), "experiment_uid": self.experiment.uid}

    def retry(self) -> None:
        self.desk.change(RetryJobs(**self.naming(), job_ids=[self.id]))
        self.take()

    def read(self, **more: Any) -> OutputAnswer:
        answer = self.desk.read(GetOutput(experiment_uid=self.experiment.uid, job_id=self.id, **more))
        assert isinstance(answer, OutputAnswer)
        return answer


@pytest.fixture
def job(store_url: str) -> Any:
    store = Store.open(store_url)
    yield OneJob(Desk(store))
    store.close()


def test_parts_are_joined_and_the_end_is_kept_with_the_traceback(job: OneJob) -> None:
    assert job.read() == OutputAnswer(attempt=1, text="", end=0, status="RUNNING", running=True)
    job.write("one\n", 4, path="/runs/1.txt")
    job.write("\x1b[1mé\u2028\r", 14)
    seen = job.read()
    assert (seen.text, seen.end, seen.path) == ("one\n\x1b[1mé\u2028\r", 14, "/runs/1.txt")
    assert (seen.running, seen.worker) == (True, "node:7 train.py")
    assert job.read(after=4).text == "\x1b[1mé\u2028\r"
    job.write("x" * LONGEST_OUTPUT, 14 + LONGEST_OUTPUT)
    job.finish(traceback="y" * 40_000 + "ValueError: no\n")
    seen = job.read()
    assert (seen.text, seen.end) == ("x" * LONGEST_OUTPUT, 14 + LONGEST_OUTPUT)
    assert (seen.status, seen.running, seen.attempts) == ("CRASHED", False, [1])
    assert len(seen.traceback or "") == LONGEST_TRACEBACK
    assert seen.traceback.endswith("yValueError: no\n") if seen.traceback else False
    assert "reported" not in job.desk.events(job.experiment, job.id)


def test_output_is_a_sign_of_life_and_no_report(job: OneJob) -> None:
    """A job that hangs in a loop that prints reaches its `stall_timeout`."""
    times = select(StoredJob.reported_at, StoredJob.heard_at)
    ((reported, heard),) = job.desk.rows(times)
    job.write("still here\n", 11)
    ((reported_after, heard_after),) = job.desk.rows(times)
    assert reported_after == reported
    assert heard_after > heard


def test_five_attempts_are_kept_each_with_its_own(job: OneJob) -> None:
    for attempt in range(1, 8):
        job.write(str(attempt), 1)
        job.finish(traceback=f"of {attempt}")
        job.retry()
    seen = job.read()
    assert (seen.attempt, seen.text, seen.attempts) == (8, "", [3, 4, 5, 6, 7])
    assert job.read(attempt=3) == OutputAnswer(
        attempt=3,
        text="3",
        end=1,
        traceback="of 3",
        worker="node:7 train.py",
        status="RUNNING",
        running=False,
        attempts=[3, 4, 5, 6, 7],
    )


def test_an_output_under_a_token_that_no_longer_counts_is_refused(job: OneJob) -> None:
    old = job.token
    job.write("mine", 4)
    job.desk.pass_seconds(40)
    job.desk.tick()
    job.write(" still", 10)  # nobody else has claimed it
    job.desk.pass_seconds(40)
    job.desk.tick()
    job.take()
    late = job.desk.report(Output(**job.held(old), text=" late", end=15))
    assert not told(late, ReportAnswer).accepted
    refused = Finish(**job.held(old), status="CRASHED", results={}, quality=0.0, traceback="late")
    assert not told(job.desk.report(refused), ReportAnswer).accepted
    assert (job.read().text, job.read().traceback, job.read().attempt) == ("", None, 2)
    assert job.read(attempt=1).text == "mine still"
    assert "refused" in job.desk.events(job.experiment, job.id)


def test_an_attempt_that_is_given_back_is_forgotten_unless_it_was_to_stop(job: OneJob) -> None:
    job.write("half", 4)
    job.desk.report(Release(**job.held()))
    assert (job.read().attempts, job.read().status) == ([], "QUEUED")
    job.take()
    job.write("whole", 5)
    job.desk.change(CancelJobs(**job.naming(), job_ids=[job.id]))
    job.desk.report(Release(**job.held()))
    assert (job.read().text, job.read().status) == ("whole", "PRUNED")


@pytest.mark.parametrize("what", ["job", "experiment"])
def test_it_goes_with_the_job(job: OneJob, what: str) -> None:
    job.write("text", 4)
    if what == "job":
        job.desk.change(DeleteJob(**job.naming(), job_id=job.id))
    else:
        job.desk.change(DeleteExperiment(**job.naming()))
        job.desk.do_chores()
    assert job.desk.rows(select(func.count()).select_from(AttemptOutput)) == [(0,)]
    gone = job.desk.read(GetOutput(experiment_uid=job.experiment.uid, job_id=job.id))
    assert isinstance(gone, Refusal)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(words)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_the_command_prints_output_and_traceback_or_why_there_is_none(
    job: OneJob, store_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCHEDY_STORE_URL", store_url)
    output = ("output", "E", job.id)
    (queued,) = job.desk.push(job.experiment)
    assert printed(capsys, "output", "E", queued)[::2] == (1, f"No worker has run job {queued} yet: it is QUEUED.\n")
    assert "of attempt 1 of job" in printed(capsys, *output)[2]
    assert "so far; -f waits for it." in printed(capsys, *output)[2]
    job.write("\x1b[1mé\r1 %\x07\n", 3_100_014, path="/runs/1.txt")
    code, out, err = printed(capsys, *output)
    assert (code, out) == (0, "\x1b[1mé\r1 %\x07\n")
    assert err == "(3.1 MB before this were written to /runs/1.txt on node.)\n"
    job.write("end\n", 10_000_000_004, path="/runs/1.txt")
    out, err = printed(capsys, *output)[1:]
    assert err.endswith(
        "GB before this were written to /runs/1.txt on node, of which the last 64 to 128 MiB are kept.)\n"
    )
    job.finish(traceback="Traceback ...\nE: \x1b[2J\n", error="E: no")
    assert printed(capsys, *output, "-f")[:2] == (0, out + "Traceback ...\nE: \x1b[2J\n")
    assert (
        printed(capsys, "show", "E", job.id, "-v")[1]
        .split("Attempt")[0]
        .endswith("Error: E: no\nTraceback:\n  Traceback ...\n  E: \\x1b[2J\n")
    )
    assert f"Traceback:\n  (`schedy output E {job.id}` prints it)\n" in printed(capsys, "show", "E", job.id)[1]
    job.retry()
    job.write("Traceback ...\nsaid so itself\n", 29)
    job.finish(traceback="Traceback ...\nsaid so itself\n")
    assert printed(capsys, *output)[:2] == (0, "Traceback ...\nsaid so itself\n")
    job.retry()
    job.finish()
    code, _out, err = printed(capsys, *output)
    assert code == 1
    assert "There is some of attempt 1, 2: use --attempt." in err
    assert printed(capsys, *output, "--attempt", "1")[:2] == (0, out + "Traceback ...\nE: \x1b[2J\n")
    assert printed(capsys, "output", "E", "nosuch")[0] == 1


def output_of(job: Job, **more: Any) -> OutputAnswer:
    request = GetOutput(experiment_uid=job.experiment.uid, job_id=job.job_id, **more)
    answer = job.experiment._session.read(request)
    assert isinstance(answer, OutputAnswer)
    return answer


def test_a_running_job_shows_what_it_writes_and_a_crashed_one_its_traceback(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with pytest.raises(ZeroDivisionError):
        with experiment.next_job() as job:
            job.put_output("first\n", 6, "/runs/1.txt")
            wait_until(lambda: output_of(job).text == "first\n", what="the output")
            job.put_output("\udcff\0", 8)
            job.put_output("last\n", 13)
            raise ZeroDivisionError
    seen = output_of(job)
    assert (seen.text, seen.end, seen.status) == ("first\n??last\n", 13, "CRASHED")
    lines = (seen.traceback or "").splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "test_outputs.py" in lines[1]
    assert (len(lines), lines[-1]) == (4, "ZeroDivisionError")
    with pytest.raises(UnsafeUpdateError):
        job.put_output("later", 18)
    again = experiment.get_job(job.job_id)
    again.retry()
    with experiment.next_job() as again:
        again.crash("exit code 1", "Traceback of a program")
    seen = output_of(again)
    assert (seen.attempt, seen.text, seen.traceback) == (2, "", "Traceback of a program")
    assert experiment.get_job(job.job_id).error == "exit code 1"


def test_while_the_service_is_away_little_waits_and_the_end_arrives_before_the_finish(settings: Settings) -> None:
    with schedy.SchedyDB(config_override=settings.model_dump()) as db:
        with running_service(settings):
            experiment = schedy.ManualSearch("E")
            db.add_experiment(experiment)
            experiment.add_job({"x": 1})
            job = experiment.next_job()
        end = 0
        for number in range(2000):
            text = f"line {number} {'.' * 100}\n"
            end += len(text)
            job.put_output(text, end)
        with job:
            pass
        with running_service(settings):
            wait_until(lambda: experiment.get_job(job.job_id).status == Job.DONE, what="the end of the job")
            seen = output_of(job)
    assert (len(seen.text), seen.end) == (LONGEST_OUTPUT, end)
    assert seen.text.endswith(text)
