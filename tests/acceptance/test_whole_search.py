"""A whole search as one file: `schedy export --definition`, `schedy add --from`."""

import json
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Machine

SPACE = ["--x", "uniform(0, 1)", "--k", "choice(a, b)", "--minimize", "loss"]


def jobs_of(machine: Machine, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in machine.ok("list", name, "--json", "--nan").splitlines()]


def essence(machine: Machine, name: str) -> list[Any]:
    fields = ("hyperparameters", "results", "status", "quality")
    return [[job[field] for field in fields] for job in jobs_of(machine, name)]


def test_a_search_goes_on_elsewhere_with_all_its_jobs(served: Machine, tmp_path: Path) -> None:
    served.ok("add", "S", *SPACE, "--max-jobs", "3", "--pruner", "asha", "--job-timeout", "60")
    assert served.schedy("run", "S", "--", "sh", "-c", "echo loss 0.5").returncode == 0
    served.ok("push", "S", "-p", "x", "0.1", "k", "b", "-r", "loss", "NaN", "-s", "DONE")
    served.ok("push", "S", "-p", "x", "0.2", "k", "a", "-s", "CRASHED")
    served.ok("push", "S", "-p", "x", "0.3", "k", "a")
    file = tmp_path / "s.jsonl"
    assert served.schedy("export", "S", str(file), "--definition").stderr == f"6 jobs in {file}.\n"
    assert len(served.ok("add", "Copy", "--from", str(file)).splitlines()) == 6
    assert essence(served, "Copy") == essence(served, "S")
    definitions = [json.loads(served.ok("show", name, "--definition")) for name in ("S", "Copy")]
    assert definitions[0].pop("seed") != definitions[1].pop("seed")
    assert definitions[0] == definitions[1]
    assert served.schedy("run", "Copy", "--", "sh", "-c", "echo loss 0.5").returncode == 0
    assert len(jobs_of(served, "Copy")) == 9
    served.ok("add", "More", "--from", str(file), "--max-jobs", "0")
    written = served.ok("export", "More", "--definition", "--format", "jsonl")
    assert written.startswith('{"definition": {"algorithm": "auto"')


def test_what_cannot_be_added_is_refused_before_anything_is(served: Machine, tmp_path: Path) -> None:
    file = tmp_path / "s.jsonl"
    served.ok("add", "S", *SPACE, "--max-jobs", "0")
    served.ok("push", "S", "-p", "x", "0.1", "k", "b", "-r", "loss", "1", "-s", "DONE")
    served.ok("set", "S", "--space", "z", "int(1, 4)")
    assert served.schedy("export", "S", str(file), "--definition").stderr == f"1 job in {file}.\n"
    said = served.fails(2, "add", "Copy", "--from", str(file))
    assert "Line 2: A job with " in said
    assert "lacks 'z', which every such job of this search has. Nothing was pushed." in said
    assert "There is no experiment 'Copy'" in served.fails(1, "show", "Copy")
    served.ok("add", "Copy", "--from", str(file), "--assume", "z", "1")
    assert essence(served, "Copy") == essence(served, "S")

    served.schedy("export", "S", str(tmp_path / "jobs.jsonl"))
    said = served.fails(2, "add", "Third", "--from", str(tmp_path / "jobs.jsonl"))
    assert "has no definition in its first line." in said
    assert "--definition stands in JSON lines" in served.fails(2, "export", "S", "s.csv", "--definition")
    assert "leave out --curves" in served.fails(2, "export", "S", str(file), "--definition", "--curves")
    said = served.fails(2, "run", "Third", "--from", str(file), "--", "true")
    assert f"add it by `schedy add Third --from {file}`, then run without --from." in said
    assert "cannot be read: No such file" in served.fails(1, "add", "Third", "--from", str(tmp_path / "no.jsonl"))
