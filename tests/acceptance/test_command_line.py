"""The command line against a real service: exact outputs, and errors about bad input."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schedy.settings import Settings
from tests.acceptance.conftest import SCHEDY, Machine
from tests.support import missing_server, wait_until

PARAGRAPH = """\
Id: {id}
Status: {status}
Quality: {quality}
Hyperparameters:
 - x: 1
 - y: 2
Results:
"""


def test_the_seeds_outputs_are_exact(served: Machine) -> None:
    assert served.ok("add", "MinimizeManual", "manual") == ""
    output = served.ok("push", "MinimizeManual", "-p", "x", "1", "y", "2")
    job_id = output.split()[1]
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{5}", job_id)
    expected = PARAGRAPH.format(id=job_id, status="QUEUED", quality="0.0")
    assert output == expected
    assert served.ok("list", "-l", "MinimizeManual") == expected
    assert served.ok("show", "MinimizeManual", job_id) == expected
    assert served.ok("list", "MinimizeManual") == f"{job_id}\tQUEUED\n"
    assert served.ok("list") == "MinimizeManual\tRUNNING\n"
    assert served.ok("show", "MinimizeManual") == (
        "Name: MinimizeManual\nStatus: RUNNING\nScheduler: manual\nJobs:\n - QUEUED: 1\n"
    )


def test_push_takes_results_status_and_quality(served: Machine) -> None:
    served.ok("add", "E", "manual")
    output = served.ok("push", "E", "-p", "opt", "adam", "lr", "-1e-3", "-r", "result", "-5", "-s", "DONE", "-q", "2.5")
    assert output.splitlines()[1:] == [
        "Status: DONE",
        "Quality: 2.5",
        "Hyperparameters:",
        " - opt: adam",
        " - lr: -0.001",
        "Results:",
        " - result: -5",
    ]


def test_lists_are_sorted_filtered_and_cut(served: Machine) -> None:
    served.ok("add", "E", "manual")
    lines = [
        {"hyperparameters": {"x": x}, "results": {"r": r} if r is not None else {}, "status": "DONE"}
        for x, r in [(1, 5), (2, None), (3, -1), (4, "text"), (5, 2.5)]
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    ids = served.ok("push", "E", "--from", "-", typed=text).split()
    assert served.ok("list", "E", "--limit", "2").split("\n")[:2] == [f"{ids[0]}\tDONE", f"{ids[1]}\tDONE"]

    def _column(*options: str) -> list[str]:
        return served.ok("list", "E", "-f", "x", *options).split("\n")[1:-1]

    assert _column("-s", "r") == ["3", "5", "1", "4", "2"]
    assert _column("-s", "r", "-d") == ["4", "1", "5", "3", "2"]
    assert _column("-s", "result.r", "--limit", "2") == ["3", "5"]
    assert _column("--status", "QUEUED") == []
    table = served.ok("list", "E", "-t", "-s", "x").split("\n")
    assert table[0] == "id\tstatus\tquality\tx\tr"
    assert table[2] == f"{ids[1]}\tDONE\t0.0\t2\t"
    shown = [json.loads(line) for line in served.ok("list", "E", "--json").splitlines()]
    assert [job["hyperparameters"]["x"] for job in shown] == [1, 2, 3, 4, 5]


def test_many_jobs_are_pushed_from_csv(served: Machine, tmp_path: Path) -> None:
    served.ok("add", "E", "manual")
    file = tmp_path / "jobs.csv"
    file.write_text("x,opt,result.r\n1,adam,\n2,,5\n")
    ids = served.ok("push", "E", "--from", str(file)).split()
    jobs = [json.loads(line) for line in served.ok("list", "E", "--json").splitlines()]
    assert [job["id"] for job in jobs] == ids
    assert [job["hyperparameters"] for job in jobs] == [{"x": 1, "opt": "adam"}, {"x": 2}]
    assert [job["results"] for job in jobs] == [{}, {"r": 5}]


def test_errors_name_what_is_wrong(served: Machine, tmp_path: Path) -> None:
    served.ok("add", "MinimizeManual", "manual")
    config = tmp_path / "typo.toml"
    config.write_text('lease_seconds = 30\nbroker_ulr = "amqp://x"\n')
    large = "a" * 1_100_000
    (tmp_path / "large.jsonl").write_text(json.dumps({"hyperparameters": {"x": large}}))
    (tmp_path / "bad.jsonl").write_text(
        '{"hyperparameters": {"x": 1}}\n{"hyperparameters": {"x": 1}, "stauts": "DONE"}\n'
    )
    cases: list[tuple[int, list[str], str]] = [
        (1, ["show", "MinimiseManual"], "Did you mean 'MinimizeManual'?"),
        (1, ["push", "MinimiseManual", "-p", "x", "1"], "Did you mean 'MinimizeManual'?"),
        (1, ["add", "MinimizeManual", "manual"], "already"),
        (1, ["show", "MinimizeManual", "nosuch"], "There is no job 'nosuch'"),
        (1, ["rm", "MinimizeManual", "nosuch", "-f"], "There is no job 'nosuch'"),
        (2, ["push", "MinimizeManual", "-p", "x", "1", "y"], "'y' has no value"),
        (2, ["push", "MinimizeManual", "-p", "x", "1", "x", "2"], "'x' is given twice"),
        (2, ["push", "MinimizeManual", "-p", "x", "{1"], "-p x {1: it is not JSON"),
        (2, ["push", "MinimizeManual", "-p", "x", "True"], "write true"),
        (2, ["push", "MinimizeManual", "-p", "x", "1", "--stauts", "DONE"], "--status"),
        (2, ["push", "MinimizeManual", "-p", "x", "1", "-s", "FINISHED"], "QUEUED, DONE, CRASHED, PRUNED"),
        (2, ["push", "MinimizeManual", "-p", "x", "1", "-s", "RUNNING"], "cannot be RUNNING"),
        (2, ["push", "MinimizeManual", "--from", str(tmp_path / "large.jsonl")], "limit"),
        (2, ["push", "MinimizeManual", "--from", str(tmp_path / "bad.jsonl")], "Line 2"),
        (1, ["push", "MinimizeManual", "--from", str(tmp_path / "absent")], "cannot be read"),
        (2, ["list", "MinimizeManual", "-s", "nosuch"], "No job has a field 'nosuch'"),
        (2, ["list", "MinimizeManual", "--status", "FINISHED"], "FINISHED"),
        (2, ["add", "X", "manuel"], "Did you mean 'manual'?"),
        (2, ["add", "-X", "manual"], "No such option"),
        (2, ["add", "a\nb", "manual"], "control character"),
        (2, ["rm", "MinimizeManual"], "--force"),
        (2, ["--config", str(config), "list"], "line 2: unknown setting 'broker_ulr'. Did you mean 'broker_url'?"),
        (2, ["nosuch"], "No such command"),
    ]
    for code, arguments, words in cases:
        said = served.fails(code, *arguments)
        assert words in said, (arguments, said)
    assert served.ok("list", "MinimizeManual") == ""


def test_a_broker_that_cannot_be_used_is_explained(machine: Machine, settings: Settings) -> None:
    user, _, rest = settings.broker_url.removeprefix("amqp://").partition(":")
    password, _, place = rest.partition("@")
    machine.environment["SCHEDY_BROKER_URL"] = f"amqp://{user}:wrong@{place}"
    said = machine.fails(1, "add", "E", "manual")
    assert "refused the login of user 'admin'" in said
    machine.environment["SCHEDY_BROKER_URL"] = "amqp://admin:secret@127.0.0.1:1/%2F"
    said = machine.fails(1, "add", "E", "manual")
    assert "Cannot reach RabbitMQ at 127.0.0.1:1" in said
    assert "secret" not in said
    machine.environment["SCHEDY_BROKER_URL"] = settings.broker_url
    said = machine.fails(1, "add", "E", "manual")
    assert "schedy broker setup" in said
    assert password not in said


def test_a_push_waits_in_the_broker_for_the_service(machine: Machine) -> None:
    service = machine.serve()
    machine.ok("add", "E", "manual")
    service.terminate()
    service.wait(20)
    machine.environment["SCHEDY_STORE_WAIT_SECONDS"] = "1"
    done = machine.schedy("push", "E", "-p", "x", "1")
    assert (done.returncode, done.stdout) == (0, "")
    assert "The broker has 1 job(s)" in done.stderr
    machine.serve()
    wait_until(lambda: machine.ok("list", "E").endswith("\tQUEUED\n"), what="the job to be stored")


def test_reading_without_a_store_goes_through_the_service(served: Machine) -> None:
    served.ok("add", "E", "manual")
    job_id = served.ok("push", "E", "-p", "x", "1").split()[1]
    del served.environment["SCHEDY_STORE_URL"]
    served.environment["SCHEDY_DATA_DIR"] = str(served.folder / "elsewhere")
    assert served.ok("list", "E") == f"{job_id}\tQUEUED\n"
    assert served.ok("list", "E", "-s", "x", "-f", "id") == f"id\n{job_id}\n"
    assert not (served.folder / "elsewhere").exists()


def test_a_running_job_is_removed(served: Machine) -> None:
    served.ok("add", "E", "manual")
    job_id = served.ok("push", "E", "-p", "x", "1").split()[1]
    worker = served.worker(
        """
import schedy, threading
with schedy.SchedyDB().get_experiment("E").next_job(timeout=None) as job:
    print("running", flush=True)
    while True:
        threading.Event().wait(0.2)
        job.put()
"""
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    served.ok("rm", "E", job_id, "-f")
    out, _ = worker.communicate(timeout=20)
    assert "it was deleted" in out
    assert served.ok("list", "E") == ""


def test_a_closed_pipe_is_no_error(served: Machine) -> None:
    served.ok("add", "E", "manual")
    served.ok("push", "E", "--from", "-", typed="\n".join(['{"hyperparameters": {"x": 1}}'] * 2000))
    listing = subprocess.Popen(
        [*SCHEDY, "list", "-l", "E"], env=served.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert listing.stdout is not None
    assert listing.stderr is not None
    assert listing.stdout.readline().startswith("Id: ")
    listing.stdout.close()
    assert listing.stderr.read() == ""
    listing.stderr.close()
    assert listing.wait(20) == 1


def test_a_terminal_sees_colours_and_is_asked(served: Machine) -> None:
    served.ok("add", "E", "manual")
    served.ok("push", "E", "-p", "x", "1")
    shown = on_terminal(served, ["list", "E", "-t"], "")
    assert "\x1b[34mQUEUED\x1b[0m" in shown
    refused = on_terminal(served, ["rm", "E"], "n\n")
    assert "Remove the experiment E with 1 job(s)?" in refused
    assert "Stopped; nothing was done." in refused
    on_terminal(served, ["rm", "E"], "y\n")
    assert served.ok("list") == ""


def on_terminal(machine: Machine, arguments: list[str], typed: str) -> str:
    """Run a command on a pseudo-terminal; return all that it printed."""
    try:
        master, slave = pty.openpty()
    except OSError:  # a chroot without /dev/pts
        missing_server("a pseudo-terminal (mount /dev/pts)")
        raise
    environment = {**machine.environment, "TERM": "xterm"}
    process = subprocess.Popen([*SCHEDY, *arguments], env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, typed.encode())
    output = b""
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        output += data
    process.wait(20)
    os.close(master)
    return output.decode()


@pytest.mark.parametrize("command", [["--help"], ["push", "E", "-p", "x", "1", "--help"], ["--version"]])
def test_help_imports_neither_pika_nor_sqlalchemy(machine: Machine, command: list[str]) -> None:
    source = (
        "import sys; from schedy_cli.main import run; code = run(sys.argv[1:]);"
        " sys.exit(code or ('sqlalchemy' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, *command], env=machine.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_search_is_added_shown_changed_and_added_again(served: Machine) -> None:
    served.ok("add", "R", "random", "x", "normal", '{"mean": 0, "std": 5}', "--minimize", "loss", "--seed", "3")
    served.ok("set", "R", "--max-jobs", "0", "--pruner", "median")
    shown = served.ok("show", "R")
    assert "Scheduler: random\n" in shown
    assert (
        "Hyperparameters:\n - x: normal(0, 5)\nObjective: minimize loss\n"
        "Budget:\n - max_jobs: 0\nPruner: median\nSeed: 3\n"
    ) in shown
    served.ok("set", "R", "--pruner", "none")
    file = served.ok("show", "R", "--definition")
    assert json.loads(file)["max_jobs"] == 0
    assert "pruner" not in json.loads(file)
    served.ok("add", "Again", "--from", "-", typed=file)
    assert served.ok("show", "Again", "--definition") == file
    served.ok("add", "M", "manual")
    said = served.fails(2, "set", "M", "--max-jobs", "5")
    assert "A manual experiment makes no jobs, so it has no --max-jobs." in said


def test_a_search_is_asked_and_told_by_hand(served: Machine) -> None:
    served.ok("add", "S", "random", "--x", "uniform(0, 1)", "--k", "choice(a, b)", "--minimize", "loss", "--ready", "0")
    asked = served.schedy("ask", "S")
    assert asked.returncode == 0
    lines = [line.split(": ") for line in asked.stdout.splitlines()]
    assert [name for name, _value in lines] == ["x", "k"]
    words = " ".join(word for line in lines for word in line)
    assert f"To run it: `schedy push S -p {words}`. To give its result: `schedy tell S -p {words} -r loss VALUE`." in (
        " ".join(asked.stderr.split())
    )
    told = served.ok("tell", "S", "-p", *words.split(), "-r", "loss", "0.25")
    assert told.splitlines()[1:3] == ["Status: DONE", "Quality: 0.25"]
    assert served.schedy("ask", "S").stdout == asked.stdout  # what `random` tries does not depend on results
    proposed = json.loads(served.ok("ask", "S", "--json"))
    served.ok("set", "S", "--max-jobs", "1")
    run = served.schedy("run", "S", "--", "sh", "-c", "echo loss: 1")
    assert run.returncode == 0, run.stderr
    first = json.loads(served.ok("list", "S", "--json", "-s", "created_at").splitlines()[-1])
    assert first["hyperparameters"] == proposed["hyperparameters"]
    assert served.schedy("ask", "S").stdout != asked.stdout
    served.ok("set", "S", "--max-done", "1")
    assert "1 job has ended without a crash." in served.fails(1, "ask", "S")
    assert "Give the results: -r NAME VALUE." in served.fails(2, "tell", "S", "-p", "x", "0.5", "k", "a")
    served.ok("add", "M", "manual")
    assert "M is a manual experiment: its users push its jobs." in served.fails(2, "ask", "M")
