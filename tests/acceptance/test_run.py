"""`schedy run` with real programs: what becomes of jobs, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import SCHEDY, Machine
from tests.acceptance.test_examples import commands, jobs_of
from tests.forwarder import Forwarder
from tests.support import wait_until

ROOT = Path(__file__).parents[2]
SPACE = ["random", "--x", "uniform(0, 1)", "--maximize", "acc"]


def words_of(example: str) -> list[str]:
    """A command of the examples in docs/run.md, by its experiment."""
    text = (ROOT / "docs" / "run.md").read_text().partition("\n## Examples\n")[2]
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in commands(block)]
    (found,) = [line for line in lines if line[:3] == ["schedy", "run", example]]
    return [sys.executable if word == "python" else word for word in found[1:]]


def job_by_status(machine: Machine, name: str) -> dict[str, dict[str, Any]]:
    return {job["status"]: job for job in jobs_of(machine, name)}


def output_of(machine: Machine, name: str, job_id: str) -> str:
    return machine.ok("output", name, job_id)


def wait_until_all_queued(machine: Machine, name: str) -> None:
    """Wait until the store has that jobs were given back, which is in the broker when their worker has ended."""
    wait_until(lambda: {job["status"] for job in jobs_of(machine, name)} == {"QUEUED"}, what="jobs that are given back")


def test_the_examples_of_the_guide(served: Machine) -> None:
    printed = served.ok(*words_of("DigitsNet"))
    jobs = jobs_of(served, "DigitsNet")
    assert {job["status"] for job in jobs} <= {"DONE", "PRUNED"}
    assert len(jobs) == 8
    assert max(job["results"]["val_acc"] for job in jobs) > 0.9, "which of them the pruner lets end is luck"
    best = max(job["results"]["val_acc"] for job in jobs if job["status"] == "DONE")
    lines = printed.splitlines()
    assert [re.match(r"\[(\d+)/8\] ", line)[1] for line in lines[:8]] == [str(number) for number in range(1, 9)]  # type: ignore[index]
    assert f"best {best:.4g}"[:9] in lines[7]
    assert lines[8].startswith("DigitsNet is complete: ")
    assert lines[9].startswith(f"Best val_acc {best:.4g}"[:17])
    curve = json.loads(served.ok("show", "DigitsNet", jobs[0]["id"], "--json"))
    assert curve["results"].keys() == {"loss", "val_acc"}

    printed = served.ok(*words_of("Distance"))
    assert "Distance is complete: 6 DONE." in printed
    assert min(job["results"]["distance"] for job in jobs_of(served, "Distance")) == 0.0
    assert list((served.settings.data_dir / "runs" / "Distance").iterdir()) == []  # empty folders of jobs are removed

    served.ok(*words_of("Line"))
    lines_jobs = jobs_of(served, "Line")
    assert [job["status"] for job in lines_jobs] == ["DONE"] * 4
    for job in lines_jobs:
        checkpoint = served.settings.data_dir / "runs" / "Line" / job["id"] / "checkpoint.json"
        assert json.loads(checkpoint.read_text())[0] == 11
        log = served.settings.data_dir / "output" / "Line" / f"{job['id']}-1.log"
        assert log.read_text() == output_of(served, "Line", job["id"])
    assert processes_with("loader.py") == []


def processes_with(word: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
            is_zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if word.encode() in line and not is_zombie and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def test_failures_say_why_and_a_run_of_them_ends_the_worker(served: Machine) -> None:
    program = "import sys; print('loss 0.5', flush=True); raise KeyError(sys.argv[2][:1])"
    done = served.schedy("run", "Crashing", *SPACE, "--max-jobs", "9", "-j", "2", "--", sys.executable, "-c", program)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert "KeyError: '0'\n\nError: This worker takes no more jobs: " in done.stderr
    assert re.search(r"^\[1/9\] \S{6} CRASHED in .*: KeyError: '0' \(exit code 1\)$", done.stdout, re.M)
    job = job_by_status(served, "Crashing")["CRASHED"]
    assert (job["error"], job["results"]) == ("KeyError: '0' (exit code 1)", {"loss": 0.5})
    output = output_of(served, "Crashing", job["id"])
    assert output.startswith("loss 0.5\nTraceback ")

    shell = ["--", "sh", "-c"]
    done = served.schedy("run", "Silent", *SPACE, "--max-jobs", "1", *shell, "echo accuracy: 0.5; echo '{\"acc\": 0.'")
    assert done.returncode == 1
    assert done.stderr.endswith("Error: the only trial of this run is CRASHED.\n")
    error = 'The program ended without printing acc. Its output has accuracy. This line is not JSON: {"acc": 0.'
    assert job_by_status(served, "Silent")["CRASHED"]["error"] == error
    assert f": {error}\n" in done.stdout

    done = served.schedy("run", "Misnamed", *SPACE, "--max-jobs", "9", "-j", "2", *shell, "echo accuracy: 0.5")
    assert done.returncode == 1
    # The other slot may have ended more by then.
    said = r"Error: [2-8] trials ended without printing acc, and none with it, so this run stops\."
    assert re.search(said, done.stderr)
    assert "`schedy rm Misnamed`, and run this with --minimize or --maximize and that name." in done.stderr
    assert json.loads(served.ok("show", "Misnamed", "--json"))["job_counts"]["CRASHED"] < 9

    assert served.schedy("run", "Killed", *SPACE, "--max-jobs", "1", *shell, "kill -9 $$").returncode == 1
    assert job_by_status(served, "Killed")["CRASHED"]["error"] == "killed by signal 9, perhaps out of memory"


def test_what_is_wrong_with_the_command_costs_no_job(served: Machine, tmp_path: Path) -> None:
    text = served.fails(1, "run", "Digits", "--", "true")
    assert text.startswith("Error: There is no experiment 'Digits'. ")
    assert text.endswith(" An algorithm after the name adds it: see `schedy run --help`.\n")
    served.ok("add", "Digits", *SPACE, "--max-jobs", "4")
    parser = "import argparse; p = argparse.ArgumentParser('t'); p.add_argument('--y'); p.parse_args(); print('acc 1')"
    for program, words in [
        ([sys.executable, "-c", parser], "usage: t [-h] [--y Y]\nt: error: unrecognized arguments: --x 0."),
        ([sys.executable, "no.py"], "can't open file"),
        ([str(tmp_path / "{job}")], "There is no program"),
    ]:
        text = served.fails(1, "run", "Digits", "-j", "2", "--", *program)
        assert words in text
        assert re.search(r"[12] job\(s\) were given back to the queue\.\n$", text)
    assert "{y} stands for nothing. Digits has {x}, {experiment}," in served.fails(
        2, "run", "Digits", "--", "true", "{y}"
    )
    text = served.fails(2, "run", "Digits", *SPACE, "--max-jobs", "5", "--", "true")
    assert "There is another experiment 'Digits', which differs in max_jobs: 4, here 5." in text
    wait_until_all_queued(served, "Digits")
    tried = served.ok("run", "Digits", "--try", "--", "sh", "-c", "echo step 2 acc 0.25")
    job = jobs_of(served, "Digits")[0]
    assert tried == textwrap.dedent(
        f"""\
        $ sh -c 'echo step 2 acc 0.25' --x {job["hyperparameters"]["x"]}
        step 2 acc 0.25

        The program ended after {tried.split("after ")[1].split(" s:")[0]} s: exit code 0.
        Result acc: 0.25, 1 point(s) of a curve, step 2 to 2
        Nothing was stored.
        """
    )
    wait_until_all_queued(served, "Digits")
    printed = served.ok(
        "run", "Digits", *SPACE, "--max-jobs", "4", "-j", "3", "--until-empty", "--", "echo", "acc", "1"
    )
    assert "Digits is complete: 4 DONE.\nBest acc 1 (" in printed


SLEEPER = f"71.{os.getpid()}"
STUBBORN = f"trap '' TERM; sleep {SLEEPER} & echo acc 0.5; echo on > $SCHEDY_DIR/on; while :; do sleep 0.1; done"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_a_signal_gives_the_jobs_back_and_ends_every_process(served: Machine, number: signal.Signals) -> None:
    served.ok("add", "Stopped", *SPACE, "--max-jobs", "2")
    options = ["-j", "3", "--grace", "0.5", "--stop-signal", "USR1", "--style", "env"]
    with subprocess.Popen(
        [*SCHEDY, "run", "Stopped", *options, "--", "sh", "-c", STUBBORN],
        env=served.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as worker:
        runs = served.settings.data_dir / "runs" / "Stopped"
        wait_until(lambda: len(list(runs.glob("*/on"))) == 2, what="two trials")
        worker.send_signal(number)
        said, _ = worker.communicate(timeout=20)
    how = "Interrupted" if number == signal.SIGINT else "Stopped by SIGUSR1"
    assert said.splitlines()[-1] == f"{how}; 2 job(s) were given back to the queue."
    assert "Traceback" not in said
    assert worker.returncode == 128 + number
    assert processes_with(f"sleep\0{SLEEPER}") == []
    wait_until(
        lambda: [job["status"] for job in jobs_of(served, "Stopped")] == ["QUEUED"] * 2, what="the store to know"
    )


def test_cancelled_jobs_and_a_killed_worker(served: Machine) -> None:
    served.ok("add", "Long", *SPACE, "--max-jobs", "2")
    worker = served.start(
        *SCHEDY, "run", "Long", "-j", "2", "--grace", "0.2", "--style", "env", "--", "sh", "-c", STUBBORN
    )
    runs = served.settings.data_dir / "runs" / "Long"
    wait_until(lambda: len(list(runs.glob("*/on"))) == 2, what="two trials")
    first, second = (job["id"] for job in jobs_of(served, "Long"))
    served.ok("cancel", "Long", first)
    wait_until(lambda: "PRUNED" in job_by_status(served, "Long"), what="the end of the cancelled job")
    assert job_by_status(served, "Long")["PRUNED"]["results"] == {"acc": 0.5}
    wait_until(lambda: output_of(served, "Long", second) == "acc 0.5\n", what="the output of the other")
    worker.kill()
    wait_until(lambda: processes_with(f"sleep\0{SLEEPER}") == [], what="the end of the programs")
    assert served.schedy("run", "Long", "--", "echo", "acc", "1").returncode == 0
    job = json.loads(served.ok("show", "Long", second, "--json"))
    assert (job["status"], job["attempt"], job["results"]) == ("DONE", 2, {"acc": 1})


def test_results_of_trials_that_end_while_the_broker_is_away_are_kept_and_delivered(served: Machine) -> None:
    port = urlsplit(served.settings.broker_url).port
    served.ok("add", "Away", *SPACE, "--max-jobs", "2")
    runs = served.settings.data_dir / "runs" / "Away"
    waiting = "echo on > $SCHEDY_DIR/on; until [ -e $SCHEDY_DIR/go ]; do sleep 0.1; done; echo acc 0.25"
    with Forwarder(int(port or 0)) as forwarder:
        url = served.settings.broker_url.replace(f":{port}/", f":{forwarder.port}/")
        served.environment |= {"SCHEDY_BROKER_URL": url, "SCHEDY_CLOSE_SECONDS": "0.5"}
        worker = served.start(*SCHEDY, "run", "Away", "-j", "2", "--style", "env", "--", "sh", "-c", waiting)
        wait_until(lambda: len(list(runs.glob("*/on"))) == 2, what="two trials")
        forwarder.cut(refuse=True)
        for started in runs.glob("*/on"):
            started.with_name("go").touch()
        logs = served.settings.data_dir / "output" / "Away"
        wait_until(lambda: [log.read_text() for log in logs.iterdir()] == ["acc 0.25\n"] * 2, what="their ends")
        worker.send_signal(signal.SIGINT)
        said, _ = worker.communicate(timeout=30)
        assert worker.returncode == 130
        assert "Interrupted; the end of 2 trial(s) could not be reported.\n" in said
        assert "Traceback" not in said
        forwarder.resume()
        done = served.schedy("run", "Away", "--", "false")
    assert done.returncode == 0
    assert done.stderr.count(", kept by an earlier worker, are stored.\n") == 2
    assert [job["results"] for job in jobs_of(served, "Away")] == [{"acc": 0.25}] * 2
