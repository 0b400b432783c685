"""Commands for problems, through the real command line."""

import contextlib
import json
import re
import signal
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import SCHEDY, Machine
from tests.acceptance.test_command_line import on_terminal
from tests.acceptance.test_workers import line_of
from tests.support import wait_until

PUTTING_WORKER = """
import schedy, threading
experiment = schedy.SchedyDB().get_experiment("E")
with experiment.next_job(timeout=None) as job:
    print("running", flush=True)
    while True:
        job.results["steps"] = job.results.get("steps", 0) + 1
        job.put()
        threading.Event().wait(0.2)
print("went on behind the block", job.status, flush=True)
"""


def pushed(machine: Machine, *statuses: str, name: str = "E") -> list[str]:
    """Add an experiment with a job of each status; return their ids."""
    machine.ok("add", name, "manual")
    lines = [
        json.dumps({"hyperparameters": {"x": x}, "status": status, "results": {} if status == "QUEUED" else {"r": x}})
        for x, status in enumerate(statuses)
    ]
    return machine.ok("push", name, "--from", "-", typed="\n".join(lines)).split() if lines else []


def statuses(machine: Machine, name: str = "E") -> list[str]:
    return [line.split("\t")[1] for line in machine.ok("list", name).splitlines()]


def test_pausing_keeps_jobs_back_and_is_no_error_twice(served: Machine) -> None:
    pushed(served, "QUEUED")
    for _ in range(2):
        assert served.ok("pause", "E") == ""
    assert "Status: RUNNING (paused)\n" in served.ok("show", "E")
    assert served.ok("list") == "E\tRUNNING\tpaused\n"
    worker = served.worker(PUTTING_WORKER)
    wait_until(lambda: served.ok("workers").count("\n") == 2, what="the worker to be seen")
    assert statuses(served) == ["QUEUED"]
    for _ in range(2):
        assert served.ok("resume", "E") == ""
    assert line_of(worker) == "running"
    for command in ("pause", "resume"):
        assert "There is no experiment 'Nope'." in served.fails(1, command, "Nope")
        assert "Missing argument 'NAME'" in served.fails(2, command)


def test_cancelling_reports_each_job(served: Machine) -> None:
    running, queued, done = pushed(served, "QUEUED", "QUEUED", "DONE")
    worker = served.worker(PUTTING_WORKER)
    assert line_of(worker) == "running"
    result = served.schedy("cancel", "E", running, queued, done, "nosuch", "x" * 40, queued)
    assert result.returncode == 1
    assert result.stdout == (
        f"{running}\tcancelled: its worker is told to stop.\n{queued}\tcancelled: it never runs.\n"
    )  # fmt: skip
    assert sorted(result.stderr.splitlines()) == sorted(
        [
            f"{done} was not cancelled: it is already DONE.",
            "nosuch was not cancelled: there is no such job.",
            f"{'x' * 40} was not cancelled: there is no such job.",
        ]
    )
    said = worker.communicate(timeout=60)[0].splitlines()  # a warning comes first if a heartbeat tells it before a put
    assert said[-1] == "went on behind the block PRUNED"
    assert statuses(served) == ["PRUNED", "PRUNED", "DONE"]
    assert json.loads(served.ok("show", "E", running, "--json"))["results"]["steps"] >= 1
    assert "There is no experiment 'Nope'." in served.fails(1, "cancel", "Nope", done)


def test_many_jobs_are_cancelled_and_retried(machine: Machine) -> None:
    """More than one message holds."""
    machine.environment["SCHEDY_LOG_LEVEL"] = "WARNING"  # a line for each job would fill the pipe that nobody reads
    machine.serve()
    ids = pushed(machine, *["QUEUED"] * 1101)
    assert [line.split("\t")[0] for line in machine.ok("cancel", "E", *ids).splitlines()] == ids
    assert set(statuses(machine)) == {"PRUNED"}
    assert machine.ok("retry", "E", "--status", "PRUNED").count("it is queued again.\n") == 1101
    assert set(statuses(machine)) == {"QUEUED"}
    cancelled = machine.ok("cancel", "E", "--status", "queued", "--status", "RUNNING").splitlines()
    assert [line.split("\t")[0] for line in cancelled] == ids[::-1]
    nothing = machine.schedy("cancel", "E", "--status", "QUEUED")
    assert (nothing.returncode, "E has no QUEUED job; there is nothing to cancel." in nothing.stderr) == (0, True)


def test_retrying_queues_finished_jobs(served: Machine) -> None:
    crashed, done, pruned, queued = pushed(served, "CRASHED", "DONE", "PRUNED", "QUEUED")
    assert served.ok("retry", "E") == f"{crashed}\tit is queued again.\n"
    nothing = served.schedy("retry", "E")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr == "E has no CRASHED job; there is nothing to retry.\n"
    assert served.ok("retry", "E", "--status", "CRASHED", "--status", "PRUNED") == f"{pruned}\tit is queued again.\n"
    partly = served.schedy("retry", "E", done, queued, "nosuch")
    assert (partly.returncode, partly.stdout) == (1, f"{done}\tit is queued again.\n")
    assert f"{queued} was not queued again: it is QUEUED" in partly.stderr
    assert "nosuch was not queued again: there is no such job." in partly.stderr
    assert "not both" in served.fails(2, "retry", "E", done, "--status", "DONE")
    assert "'RUNNING' is not one of" in served.fails(2, "retry", "E", "--status", "RUNNING")


@pytest.mark.parametrize(
    ("closing", "words"),
    [
        (["pause", "E"], "E is paused: nothing runs until `schedy resume E`.\n"),
        (["set", "E", "-s", "DONE"], "E is DONE: nothing runs until `schedy set E -s RUNNING`.\n"),
    ],
)
def test_retrying_in_a_closed_experiment_warns(served: Machine, closing: list[str], words: str) -> None:
    (job_id,) = pushed(served, "CRASHED")
    served.ok(*closing)
    result = served.schedy("retry", "E")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{job_id}\tit is queued again.\n", words)


def test_limits_are_set_changed_and_taken_away(served: Machine) -> None:
    served.ok("add", "E", "manual", "--max-attempts", "5", "--stall-timeout", "2.5")

    def _limits() -> list[str]:
        return served.ok("show", "E").partition("Limits:\n")[2].splitlines()

    assert _limits() == [" - max_attempts: 5", " - stall_timeout: 2.5"]
    assert served.ok("set", "E", "--job-timeout", "3600", "--retry-timeouts") == ""
    assert _limits() == [
        " - max_attempts: 5",
        " - job_timeout: 3600",
        " - stall_timeout: 2.5",
        " - retry_timeouts: true",
    ]
    served.ok("set", "E", "--stall-timeout", "none", "--max-attempts", "none", "--no-retry-timeouts", "-s", "DONE")
    assert _limits() == [" - job_timeout: 3600"]
    assert served.ok("list") == "E\tDONE\n"
    for command in (["set", "E"], ["add", "F", "manual"]):
        for wrong in (["--job-timeout", "0"], ["--stall-timeout", "nan"], ["--max-attempts", "1.5"]):
            assert f"Invalid value for '{wrong[0]}': '{wrong[1]}' is not a" in served.fails(2, *command, *wrong)
    assert "Nothing to change" in served.fails(2, "set", "E")
    assert "There is no experiment 'F'." in served.fails(1, "set", "F", "-s", "DONE")


def columns(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"

RELEASING_WORKER = """
import schedy, sys
experiment = schedy.SchedyDB().get_experiment("E")
with experiment.next_job(timeout=None) as job:
    for epoch in range(3):
        job.results["epoch"] = epoch
        job.put()
    sys.exit(0)
"""

RESUMING_WORKER = """
import schedy
experiment = schedy.SchedyDB().get_experiment("E")
with experiment.next_job(timeout=None) as job:
    job.results["epoch"] = job.previous_results["epoch"] + 1
"""


def test_the_history_of_a_job_and_of_an_experiment(served: Machine) -> None:
    (job_id,) = pushed(served, "QUEUED")
    served.worker(RELEASING_WORKER).communicate(timeout=40)
    served.worker(RESUMING_WORKER).communicate(timeout=40)
    told = served.ok("history", "E", job_id)
    assert re.fullmatch(
        rf"{TIME}\t1\tclaimed\t\S+:\d+ worker1.py\t\n"
        rf"{TIME}\t1\treported\t\S+:\d+ worker1.py\tepoch 2 \(3 times until {TIME}\)\n"
        rf"{TIME}\t1\treleased\t\S+:\d+ worker1.py\tThe worker gave the job back.\n"
        rf"{TIME}\t1\tkept\t\S+:\d+ worker1.py\tResults of this attempt.\n"
        r" - epoch: 2\n"
        rf"{TIME}\t1\tclaimed\t\S+:\d+ worker2.py\t\n"
        rf"{TIME}\t1\tended\t\S+:\d+ worker2.py\tDONE\n",
        told,
    )
    served.ok("pause", "E")
    untouched = served.ok("push", "E", "-p", "x", "2").split()[1]
    served.ok("cancel", "E", untouched)
    served.ok("rm", "E", untouched, "-f")
    whole = columns(served.ok("history", "E"))
    assert [line[1:4:2] for line in whole if len(line) > 1][-4:] == [
        ["", "paused"],
        *([untouched, kind] for kind in ("cancelled", "ended", "deleted")),
    ]
    as_json = [json.loads(line) for line in served.ok("history", "E", job_id, "--json").splitlines()]
    assert [event["kind"] for event in as_json] == ["claimed", "reported", "released", "kept", "claimed", "ended"]
    assert (as_json[1]["times"], as_json[3]["results"]) == (3, {"epoch": 2})
    assert "Previous results:\n - epoch: 2\n" in served.ok("show", "E", job_id, "-v")
    assert [line[2] for line in columns(served.ok("history", "E", untouched))] == ["cancelled", "ended", "deleted"]
    assert "There is no job 'nosuch'" in served.fails(1, "history", "E", "nosuch")
    assert "There is no experiment 'F'." in served.fails(1, "history", "F")


def test_a_job_to_which_nothing_has_happened_has_an_empty_history(served: Machine) -> None:
    (job_id,) = pushed(served, "QUEUED")
    assert served.ok("history", "E", job_id) == ""


def test_a_history_of_several_pages_is_whole(served: Machine) -> None:
    ids = pushed(served, *["QUEUED"] * 300)
    served.ok("cancel", "E", *ids)
    told = columns(served.ok("history", "E"))
    assert [line[1] for line in told if line[3] == "ended"] == ids
    assert len(columns(served.ok("log", "-n", "550"))) == 550
    assert columns(served.ok("log", "E", "-n", "550"))[-1] == told[-1]


def test_the_log_shows_the_latest_and_follows(machine: Machine) -> None:
    """Through the results service, which is killed and started again meanwhile, as a user sees it without a store."""
    service = machine.serve()
    for name in ("E", "F"):
        machine.ok("add", name, "manual")
    assert columns(machine.ok("log", "-n", "1"))[0][3] == "service"
    machine.environment.pop("SCHEDY_STORE_URL")
    machine.environment["SCHEDY_DATA_DIR"] = str(machine.folder / "elsewhere")
    following = machine.start(*SCHEDY, "log", "-f", "-n", "1")
    assert "service" in line_of(following)
    only_f = machine.start(*SCHEDY, "log", "F", "-f", "--json")
    machine.ok("pause", "E")
    assert line_of(following).endswith("\tE\t\tpaused\t\tThe experiment was paused.")
    service.kill()
    service.wait()
    assert "no results service answers. Start one with `schedy serve`" in line_of(following)
    machine.environment["SCHEDY_STORE_URL"] = str(machine.settings.store_url)
    machine.serve()
    assert line_of(following) == "It answers again."
    assert "The results service" in line_of(following)
    machine.ok("pause", "F")
    assert "\tF\t\tpaused\t\t" in line_of(following)
    following.send_signal(signal.SIGINT)
    assert following.communicate(timeout=20)[0] == ""
    assert following.returncode == 130
    lines = iter(lambda: line_of(only_f), "")
    event = json.loads(next(line for line in lines if line.startswith("{")))
    assert (event["experiment"], event["kind"]) == ("F", "paused")


REPORTING_WORKER = """
import schedy, sys
experiment = schedy.SchedyDB().get_experiment("E")
with experiment.next_job(timeout=None) as job:
    for step in range(1, 4):
        job.report(step, loss=1 / step)
        job.put()
        print("reported", flush=True)
        sys.stdin.readline()
"""


def test_the_log_follows_what_a_job_reports(served: Machine) -> None:
    pushed(served, "QUEUED")
    following = served.start(*SCHEDY, "log", "E", "-f", "-n", "5")
    worker = served.worker(REPORTING_WORKER)
    assert worker.stdin is not None
    assert "\tclaimed\t" in line_of(following)
    for shown in ("step 1  loss 1", "step 2  loss 0.5", "step 3  loss 0.3333"):
        assert line_of(worker) == "reported"
        assert line_of(following).split("\t")[3::2] == ["reported", shown]
        print(file=worker.stdin, flush=True)
    assert line_of(following).split("\t")[3::2] == ["ended", "DONE"]


def test_a_log_ends_when_its_reader_is_gone(served: Machine) -> None:
    served.ok("add", "E", "manual")
    following = subprocess.Popen(
        [*SCHEDY, "log", "-f"], env=served.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert following.stdout is not None
    assert following.stderr is not None
    assert "service" in following.stdout.readline()
    following.stdout.close()
    assert following.wait(20) == 1
    assert following.stderr.read() == ""
    following.stderr.close()


def test_the_log_of_a_missing_experiment(served: Machine) -> None:
    assert "There is no experiment 'E'." in served.fails(1, "log", "E")
    assert "-1 is not in the range" in served.fails(2, "log", "-n", "-1")


CRASHING_WORKER = """
import schedy, threading
experiment = schedy.SchedyDB().get_experiment("E")
try:
    while True:
        try:
            with experiment.next_job(timeout=None):
                raise RuntimeError("no GPU")
        except RuntimeError:
            pass
except schedy.UnhealthyWorkerError as error:
    print(error, flush=True)
    while not threading.Event().wait(0.2): pass
"""


def test_workers_are_listed_with_what_they_do(served: Machine) -> None:
    assert columns(served.ok("workers")) == [
        ["program", "state", "jobs", "done", "crashed", "lost", "heard", "host", "pid", "since"]
    ]
    ids = pushed(served, *["QUEUED"] * 6)
    sick = served.worker(CRASHING_WORKER)
    assert line_of(sick).startswith("This worker takes no more jobs: 5 jobs in a row crashed")
    busy = served.worker(PUTTING_WORKER)
    assert line_of(busy) == "running"
    wait_until(lambda: "unhealthy" in served.ok("workers"), what="the sick worker to be marked")
    first, second = columns(served.ok("workers"))[1:]
    reason = "5 jobs in a row crashed here within 5 s each. The last: RuntimeError: no GPU."
    assert first[:6] == ["worker1.py", f"unhealthy: {reason}", "", "0", "5", "0"]
    assert first[7:9] == [socket.gethostname(), str(sick.pid)]
    assert second[:3] == ["worker2.py", "alive", f"E/{ids[5]}"]
    assert re.fullmatch(TIME, second[9])
    assert re.fullmatch(r"\d+ s ago", second[6])
    busy.kill()
    sick.terminate()
    wait_until(lambda: columns(served.ok("workers"))[-1][1].startswith("silent"), what="the silent worker")
    shown = on_terminal(served, ["workers"], "")
    assert re.search(r"worker2\.py +\x1b\[31msilent \d+ s\x1b\[0m", shown)
    everyone = [json.loads(line) for line in served.ok("workers", "--all", "--json").splitlines()]
    assert [(worker["pid"], worker["state"], worker["silent"]) for worker in everyone] == [
        (busy.pid, "alive", True),
        (sick.pid, "ended", False),
    ]


def test_a_running_job_with_a_silent_worker_is_marked(machine: Machine) -> None:
    """The service is gone, too, so that the silence, made long in the store, lasts for as long as we look."""
    service = machine.serve()
    (job_id,) = pushed(machine, "QUEUED")
    worker = machine.worker(PUTTING_WORKER)
    assert line_of(worker) == "running"
    worker.kill()
    service.kill()
    service.wait()
    with (
        contextlib.closing(sqlite3.connect(str(machine.settings.store_url).removeprefix("sqlite:///"))) as store,
        store,
    ):
        store.execute("UPDATE job SET heard_at = '2020-01-01 00:00:00.000000'")
    assert re.fullmatch(rf"{job_id}\tRUNNING\tsilent \d+ d\n", machine.ok("list", "E"))
    assert re.search(r"\nSilent: no sign of life for \d+ d\n", machine.ok("show", "E", job_id))
    assert columns(machine.ok("list", "E", "-f", "status"))[1:] == [["RUNNING"]]
    assert "RUNNING\x1b[0m (silent" in on_terminal(machine, ["list", "E", "-f", "status"], "")


def test_lists_show_second_attempts_only_where_there_are_any(served: Machine) -> None:
    crashed, queued = pushed(served, "QUEUED", "QUEUED")
    assert columns(served.ok("list", "E", "-t"))[0] == ["id", "status", "quality", "x"]
    served.worker(RELEASING_WORKER.replace("sys.exit(0)", "1 / 0")).communicate(timeout=40)
    served.ok("retry", "E")
    served.ok("cancel", "E", queued)
    served.worker(RESUMING_WORKER).communicate(timeout=40)
    assert served.ok("list", "E") == f"{crashed}\tDONE\tattempt 2\n{queued}\tPRUNED\n"
    assert columns(served.ok("list", "E", "-t")) == [
        ["id", "status", "quality", "attempt", "x", "epoch"],
        [crashed, "DONE", "0.0", "2", "0", "3"],
        [queued, "PRUNED", "0.0", "0", "1", ""],
    ]
    assert "Results:\n - epoch: 3\nAttempt: 2\n" in served.ok("list", "-l", "E")


def test_a_stopping_job_is_marked(machine: Machine) -> None:
    service = machine.serve()
    (job_id,) = pushed(machine, "QUEUED")
    worker = machine.worker(
        """
import schedy, threading
with schedy.SchedyDB().get_experiment("E").next_job(timeout=None):
    print("running", flush=True)
    while not threading.Event().wait(0.2): pass
"""
    )
    assert line_of(worker) == "running"
    machine.ok("cancel", "E", job_id)
    service.kill()
    service.wait()
    assert re.match(rf"{job_id}\tRUNNING\tstopping", machine.ok("list", "E"))
    assert "Stopping: it was cancelled.\n" in machine.ok("show", "E", job_id)


def test_the_tutorials_commands_for_problems_run(served: Machine) -> None:
    tutorial = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
    block = tutorial.partition("\n## When things go wrong\n")[2].partition("```bash\n")[2].partition("```")[0]
    (job_id,) = pushed(served, "QUEUED")
    served.worker(RELEASING_WORKER.replace("sys.exit(0)", "1 / 0")).communicate(timeout=40)
    cancelled = served.ok("push", "E", "-p", "x", "1").split()[1]
    for line in block.splitlines():
        command = line.partition("#")[0].split()[1:]
        words = {"NAME": "E", "JOB": job_id, "JOB...": cancelled}
        done = served.schedy(*(words.get(word, word) for word in command if word != "-f"))  # which does not end
        assert done.returncode == 0, (line, done.stderr)
    assert statuses(served) == ["QUEUED", "PRUNED"]


class TestDead:
    """The cause of the dead letter is real, and so is its mending: a trigger on the table of jobs."""

    TRIGGER = (
        "CREATE TRIGGER short BEFORE UPDATE ON job WHEN length(NEW.results) > 30"
        " BEGIN SELECT RAISE(ABORT, 'results are short here'); END"
    )

    def sql(self, machine: Machine, statement: str) -> None:
        database = sqlite3.connect(str(machine.settings.store_url).removeprefix("sqlite:///"), timeout=20)
        database.execute(statement)
        database.commit()
        database.close()

    def buried(self, machine: Machine) -> str:
        """A job whose result the database has refused."""
        (job_id,) = pushed(machine, "QUEUED")
        self.sql(machine, self.TRIGGER)
        worker = machine.worker(
            """
import schedy
with schedy.SchedyDB().get_experiment("E").next_job(timeout=None) as job:
    job.results["text"] = "a" * 30
"""
        )
        out, _ = worker.communicate(timeout=40)
        assert "The results service cannot handle this: IntegrityError" in out
        return job_id

    def test_a_result_is_put_back_once_the_cause_is_mended(self, served: Machine) -> None:
        job_id = self.buried(served)
        doctor = served.schedy("doctor", "-v")
        assert doctor.returncode == 0
        assert "`schedy dead` lists them" in doctor.stdout
        assert "dead letter 1: report.finish: IntegrityError" in doctor.stdout
        header, letter = columns(served.ok("dead"))
        assert header == ["number", "routing key", "kind", "user", "reason", "body"]
        assert letter[:4] == ["1", "report.finish", "finish", "admin"]
        assert "results are short here" in letter[4]
        assert letter[5].startswith('{"schema_version":1,"kind":"finish",')
        self.sql(served, "DROP TRIGGER short")
        assert served.ok("dead", "replay", "1") == "1\treport.finish of admin\tput back\n"
        wait_until(lambda: statuses(served) == ["DONE"], what="the result")
        assert f" - text: {'a' * 30}\n" in served.ok("show", "E", job_id)
        assert columns(served.ok("dead")) == [header]

    def test_what_still_cannot_be_handled_comes_back_and_can_be_dropped(self, served: Machine) -> None:
        self.buried(served)
        served.ok("dead", "replay", "--all")
        wait_until(lambda: len(columns(served.ok("dead"))) == 2, what="the letter to come back")
        (letter,) = [json.loads(line) for line in served.ok("dead", "--json").splitlines()]
        assert (letter["routing_key"], letter["user"], letter["kind"]) == ("report.finish", "admin", "finish")
        assert json.loads(letter["body"])["results"] == {"text": "a" * 30}
        assert f"Body: {letter['body']}\n" in served.ok("dead", "-v")
        assert "use --force to do it without asking" in served.fails(2, "dead", "drop", "1")
        assert "Stopped; nothing was done." in on_terminal(served, ["dead", "drop", "1"], "n\n")
        assert len(columns(served.ok("dead"))) == 2
        assert "dropped" in on_terminal(served, ["dead", "drop", "--all"], "y\n")
        assert len(columns(served.ok("dead"))) == 1

    def test_wrong_usage_and_nothing_there(self, served: Machine) -> None:
        for command in ("replay", "drop"):
            assert "Give the numbers that `schedy dead` prints, or --all." in served.fails(2, "dead", command)
            assert "or --all" in served.fails(2, "dead", command, "1", "--all")
            assert "'x' is not a valid integer range" in served.fails(2, "dead", command, "x")
        assert "those that there are (0)" in served.fails(1, "dead", "replay", "1")
        assert "those that there are (0)" in served.fails(1, "dead", "drop", "-f", "1")
        assert "apply to the list" in served.fails(2, "dead", "--json", "replay", "--all")
        for command, words in (
            ("replay", "There are no messages to replay.\n"),
            ("drop", "There are no messages to drop.\n"),
        ):
            done = served.schedy("dead", command, "--all", *(["-f"] if command == "drop" else []))
            assert (done.returncode, done.stdout, done.stderr) == (0, "", words)
        assert served.ok("dead", "--json") == served.ok("dead", "-v") == ""
