"""The searches of the tutorial, run as they stand there; and an algorithm of a user's own, installed."""

import ast
import json
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from tests.acceptance.conftest import Machine
from tests.support import wait_until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
BLOCKS: list[str] = re.findall(
    r"```bash\n(.*?)```",
    (ROOT / "docs" / "tutorial.md").read_text().partition("\n## Searching\n")[2].partition("\n## ")[0],
    re.DOTALL,
)
SECONDS = 60.0


def commands(block: str) -> list[list[str]]:
    """The commands of a block of a shell, some of which go on over several lines."""
    lines: list[list[str]] = []
    text = ""
    for line in block.replace("\\\n", " ").splitlines():
        text = f"{text}\n{line}" if text else line
        try:
            lines.append(shlex.split(text))
        except ValueError:
            continue  # a quotation is open
        text = ""
    return [line for line in lines if line]


def block_of(example: str) -> str:
    return next(block for block in BLOCKS if f"python examples/{example}" in block)


def added_by(path: Path) -> list[str]:
    """The `schedy add` in the docstring of a module."""
    text = ast.get_docstring(ast.parse(path.read_text()), clean=False) or ""
    indented = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    return next(line for line in commands(textwrap.dedent(indented)) if line[:2] == ["schedy", "add"])


def start(machine: Machine, words: list[str]) -> "subprocess.Popen[str]":
    """Start `python examples/x.py FOLDER`; folders are the test's."""
    folders = [str(machine.folder / word) for word in words[2:]]
    return machine.start(sys.executable, str(ROOT / words[1]), *folders)


def begun(machine: Machine, block: str) -> "tuple[list[subprocess.Popen[str]], list[list[str]]]":
    """Add the experiment of a block and start its workers; return them, and the commands that follow."""
    machine.environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    add, *others = commands(block)
    assert machine.ok(*add[1:]) == ""
    workers = [start(machine, line[:-1]) for line in others if line[-1] == "&"]
    assert workers
    return workers, [line for line in others if line[-1] != "&"]


def end(workers: "list[subprocess.Popen[str]]") -> None:
    """Wait for the workers to end because nothing is left."""
    for worker in workers:
        said, _ = worker.communicate(timeout=SECONDS)
        assert worker.returncode == 0, said
        assert "Traceback" not in said


def jobs_of(machine: Machine, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in machine.ok("list", name, "--json").splitlines()]


README = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def readme_block(words: str) -> list[list[str]]:
    """The commands of the block of the README that has these words, without their comments."""
    block = next(block for block in README if words in block)
    return [line for line in commands(re.sub(r" +#.*$", "", block, flags=re.M)) if line]


def test_the_readmes_first_job_is_done_at_once(served: Machine) -> None:
    add, worker, push, show, *_ = readme_block("python examples/worker.py MinimizeManual &")
    served.ok(*add[1:])
    served.start(sys.executable, str(ROOT / worker[1]), worker[2])
    job_id = served.ok(*push[1:]).split()[1]
    wait_until(lambda: "Status: DONE" in served.ok(*show[1:]), seconds=10)
    expected = next(block for block in re.findall(r"```\n(Id: .*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    assert served.ok(*show[1:]) == expected.replace("fVKGjg", job_id)


def test_the_readmes_search_runs_a_program_and_shows_the_best(served: Machine) -> None:
    run, best, show = readme_block("schedy run Minimize random")
    program = run.index("--") + 1
    assert run[program] == "python"
    served.ok(*run[1:program], sys.executable, str(ROOT / run[program + 1]))
    jobs = jobs_of(served, "Minimize")
    assert [job["status"] for job in jobs] == ["DONE"] * 40
    chosen = min(jobs, key=lambda job: job["results"]["result"])
    assert f"Id: {chosen['id']}\n" in served.ok(*best[1:])
    assert " - DONE: 40\n" in served.ok(*show[1:])


@pytest.mark.parametrize("example", ["random_search", "wine", "pruned", "population"])
def test_the_tutorial_adds_what_the_docstring_of_the_example_does(example: str) -> None:
    documented = added_by(EXAMPLES / f"{example}.py")
    shown = commands(block_of(example))[0]
    assert [word.split() for word in documented] == [word.split() for word in shown]


def test_the_worker_of_the_tutorial_searches_at_random(served: Machine) -> None:
    _workers, others = begun(served, block_of("random_search"))
    wait_until(lambda: len(served.ok("list", "MinimizeRandom", "--status", "DONE").split("\n")) > 20, seconds=SECONDS)
    best = served.ok(*others[0][1:])
    jobs = [job for job in jobs_of(served, "MinimizeRandom") if job["status"] == "DONE"]
    assert re.search(r"^Status: DONE$", best, re.M)
    assert all(job["results"]["result"] == sum(x**2 for x in job["hyperparameters"].values()) for job in jobs)
    assert len({job["hyperparameters"]["x"] for job in jobs}) == len(jobs)
    assert served.ok(*others[1][1:]) == ""
    assert served.ok("list").endswith("MinimizeRandom\tDONE\n")


def test_tpe_finds_a_good_classifier(served: Machine) -> None:
    workers, others = begun(served, block_of("wine"))
    end(workers)
    jobs = jobs_of(served, "Wine")
    assert [job["status"] for job in jobs] == ["DONE"] * 30
    opened = {"svc": {"model", "C", "gamma"}, "forest": {"model", "depth", "features"}}
    assert all(set(job["hyperparameters"]) == opened[job["hyperparameters"]["model"]] for job in jobs)
    assert all(job["quality"] == job["results"]["accuracy"] for job in jobs)
    assert len({job["worker"] for job in jobs}) == 2
    best = max(job["quality"] for job in jobs)
    assert best > 0.95
    assert f"Quality: {best}\n" in served.ok(*others[0][1:])


def test_asha_ends_bad_jobs_early(served: Machine) -> None:
    workers, others = begun(served, block_of("pruned"))
    workers.append(start(served, ["python", "examples/pruned.py"]))
    end(workers)
    jobs = jobs_of(served, "Digits")
    assert {job["status"] for job in jobs} == {"DONE", "PRUNED"}
    assert len(jobs) == 20
    assert min(jobs, key=lambda job: job["results"]["loss"])["status"] == "DONE"
    assert all(job["results"]["epochs"] == 20 for job in jobs if job["status"] == "DONE")
    assert any(job["results"]["epochs"] < 20 for job in jobs if job["status"] == "PRUNED")
    assert served.ok(*others[0][1:]).startswith("status\tepochs\tloss\nDONE\t20\t")
    _reads_and_plots(served, ROOT / "examples" / "notebook.ipynb")


def _reads_and_plots(machine: Machine, path: Path) -> None:
    """Execute a notebook about a search that has ended: what its cells show."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in machine.environment.items():
            patch.setenv(name, value)
        NotebookClient(notebook, timeout=SECONDS, kernel_name="python3").execute()
    shown = {cell.source: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    figures = [
        source
        for source, outputs in shown.items()
        if ".plot." in source and "application/vnd.plotly.v1+json" in outputs[0].data
    ]
    assert len(figures) == 5
    tables = [shown[source][0].data["text/html"] for source in ("experiment.best_job()", "experiment.best_jobs(5)")]
    assert all("<table>" in table and "rate" in table for table in tables)
    (experiment,) = (
        outputs[0].data["text/html"] for source, outputs in shown.items() if source.endswith("\nexperiment")
    )
    assert "<polyline" in experiment
    assert "minimize loss" in experiment


def test_a_population_goes_on_from_the_checkpoints_of_its_best(served: Machine) -> None:
    workers, others = begun(served, block_of("population"))
    end(workers)
    jobs = jobs_of(served, "Population")
    assert [job["status"] for job in jobs] == ["DONE"] * 24
    by_id = {job["id"]: job for job in jobs}
    assert sorted(job["generation"] for job in jobs) == sorted([1, 2, 3, 4] * 6)
    for job in jobs:
        results, parent = job["results"], by_id.get(job["parent"])
        assert (parent is None) == (job["generation"] == 1)
        before = parent["results"]["epochs"] if parent else 0
        assert results["epochs"] == before + 5
        if parent:  # the network itself was its parent's
            assert results["accuracy_before"] == parent["results"]["accuracy"]
            assert results["checkpoint"] != parent["results"]["checkpoint"]
        with np.load(results["checkpoint"]) as saved:
            assert saved["epochs"] == results["epochs"]
    changed = [job for job in jobs if job["parent"] and _rate(job) != _rate(by_id[job["parent"]])]
    assert changed  # with this seed the second member is worse than the first
    assert served.ok(*others[0][1:]).startswith("epochs\trate\taccuracy\n")


def _rate(job: dict[str, Any]) -> float:
    rate: float = job["hyperparameters"]["rate"]
    return rate


def test_an_installed_algorithm_of_a_users_own_searches(machine: Machine) -> None:
    place = machine.folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(place), str(EXAMPLES / "own_algorithm")], check=True, timeout=60)
    machine.environment["PYTHONPATH"] = str(place)
    machine.serve()
    del machine.environment["PYTHONPATH"]  # only the results service knows it
    machine.ok(*added_by(EXAMPLES / "own_algorithm" / "hill_climbing.py")[1:])
    start(machine, ["python", "examples/random_search.py"])
    wait_until(lambda: "RUNNING" not in machine.ok("list"), seconds=SECONDS)
    jobs = jobs_of(machine, "MinimizeRandom")
    assert [job["status"] for job in jobs] == ["DONE"] * 40
    values = [job["quality"] for job in jobs]
    assert min(values[20:]) < min(values[:5])
    assert min(values) < 0.5
