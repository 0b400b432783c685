"""`schedy set` on the hyperparameters of a search."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Machine

ROOT = Path(__file__).parents[2]


def definition_of(machine: Machine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.ok("show", name, "--definition"))
    return found


def test_the_commands_of_the_guide(served: Machine) -> None:
    text = (ROOT / "docs" / "search.md").read_text()
    written = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    commands = [shlex.split(line) for line in written.splitlines() if re.match(r"schedy (add|set) Trained --", line)]
    assert [command[1] for command in commands] == ["add", "set", "set", "set"]
    for command in commands:
        served.ok(*command[1:])
    definition = definition_of(served, "Trained")
    assert {name: definition["hyperparameters"][name] for name in ("hidden", "heads", "dropout")} == {
        "hidden": {"int": {"low": 64, "high": 2048, "log": False, "step": 64}},
        "heads": {"const": 8},
        "dropout": {"uniform": {"low": 0, "high": 0.5}},
    }
    assert "accumulate" not in definition["hyperparameters"]
    assert (definition["where"], definition["assumed"]) == (["hidden % heads == 0"], {"dropout": 0})
    served.ok("set", "Trained", "--where", "none", "--space", "dropout", "none")
    assert {"where", "assumed"}.isdisjoint(definition_of(served, "Trained"))
    told = [line.split("changed: ")[1] for line in served.ok("history", "Trained").splitlines() if " space " in line]
    assert told == ["heads, hidden.", "dropout, assumed.", "accumulate, where.", "dropout, where, assumed."]


def test_queued_jobs_that_do_not_fit_are_counted(served: Machine) -> None:
    served.ok("add", "S", "random", "--x", "uniform(0, 1)", "--max-jobs", "0")
    ids = [served.ok("push", "S", "-p", "x", x).split()[1] for x in ("0.1", "0.2", "0.9")]
    done = served.schedy("set", "S", "--space", "x", "uniform(0.5, 2)")
    said = f"2 queued job(s) do not fit, and will run as they are: `schedy cancel S {ids[0]} {ids[1]}` withdraws them."
    assert (done.returncode, done.stdout, done.stderr.strip()) == (0, "", said)
    served.ok("cancel", "S", *ids[:2])
    assert served.schedy("set", "S", "--space", "x", "uniform(0.4, 2)").stderr == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--space", "x", "uniform(0)"], "--space x: "),
        (["--space", "x", "5"], "--space x: '5' is not a distribution."),
        (["--space", "y", "none"], "--space y none: there is no hyperparameter 'y'."),
        (["--space", "x", "none"], "random needs at least one hyperparameter"),
        (["--space", "x", "const(1)", "--space", "x", "const(2)"], "--space: 'x' is given twice."),
        (["--where", "x > 3"], "Hardly a point keeps the conditions (x > 3)"),
        (["--where", "x / 0 > 3"], "Hardly a point keeps the conditions"),
        (["--where", "z > 3"], "there is no hyperparameter 'z'"),
        (["--assume", "x", "3"], "x = 3 is no value of uniform(0, 1)."),
        (["--assume", "z", "3"], "no job has a hyperparameter 'z' in any case."),
        (["--assume", "x", "0.5", "--assume", "x", "0.6"], "--assume: 'x' is given twice."),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(served: Machine, words: list[str], said: str) -> None:
    served.ok("add", "S", "random", "--x", "uniform(0, 1)", "--max-jobs", "0")
    before = definition_of(served, "S")
    assert said in served.fails(2, "set", "S", *words)
    assert definition_of(served, "S") == before
