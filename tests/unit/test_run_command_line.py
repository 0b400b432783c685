"""The command line of a trial."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schedy_cli.running.command_line import CommandLine, Style, Trial

VALUES = {"lr": 1e-05, "batch_size": 32, "opt": "adam w", "sizes": [64, 32], "deep": True, "shift": -1e-05, "no": None}


def trial(values: dict[str, Any]) -> Trial:
    return Trial("Digits", "fVKGjg", 2, 3, Path("/d/runs"), values)


def words(*command: str, style: Style = "dash", values: dict[str, Any] | None = None) -> list[str]:
    return CommandLine(command, style).words(trial(VALUES if values is None else values))


def test_hyperparameters_are_added_in_each_style() -> None:
    rest = ["--opt", "adam w", "--sizes", "[64, 32]", "--deep", "true", "--shift=-1e-05", "--no", "null"]
    assert words("train") == ["train", "--lr", "1e-05", "--batch-size", "32", *rest]
    assert words("train", style="underscore") == ["train", "--lr", "1e-05", "--batch_size", "32", *rest]
    overrides = ["lr=1e-05", "batch_size=32", "opt='adam w'", "sizes=[64, 32]", "deep=true", "shift=-1e-05", "no=null"]
    assert words("train", style="hydra") == ["train", *overrides]
    assert words("train", style="env") == ["train"]
    program, values = words("train", style="json")
    assert (program, json.loads(values)) == ("train", VALUES)


def test_the_environment_has_the_job_and_in_one_style_the_hyperparameters() -> None:
    environment = CommandLine(["t"], "env").environment(trial({"lr": 0.5, "a.b": [1]}))
    assert environment.pop("SCHEDY_HYPERPARAMETERS") == '{"lr": 0.5, "a.b": [1]}'
    assert environment == {
        "lr": "0.5",
        "a_b": "[1]",
        "SCHEDY_EXPERIMENT": "Digits",
        "SCHEDY_JOB": "fVKGjg",
        "SCHEDY_ATTEMPT": "2",
        "SCHEDY_SLOT": "3",
        "SCHEDY_DIR": "/d/runs",
    }
    assert "lr" not in CommandLine(["t"]).environment(trial({"lr": 0.5}))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["t", "--lr={lr}", "-b", "{b}"], ["t", "--lr=0.5", "-b", "32"]),
        (["t", "{lr}"], ["t", "0.5", "--b", "32"]),
        (["t", "{dir}/{job}-{attempt}", "{slot}"], ["t", "/d/runs/fVKGjg-2", "3", "--lr", "0.5", "--b", "32"]),
        (["t", "%e:%j", "100%%", "%d"], ["t", "Digits:fVKGjg", "100%", "%d", "--lr", "0.5", "--b", "32"]),
        (["t", "%h"], ["t", '{"lr": 0.5, "b": 32}']),
        (["t", "{hyperparameters}"], ["t", '{"lr": 0.5, "b": 32}']),
        (["t", "{{lr}}", '{"a": 1}', "{}"], ["t", "{lr}", '{"a": 1}', "{}", "--lr", "0.5", "--b", "32"]),
        (["t", "--m", "{m}", "--n={m}", "-k", "{lr}{b}"], ["t", "-k", "0.532"]),
    ],
)
def test_tokens_are_replaced_where_they_stand(command: list[str], expected: list[str]) -> None:
    assert words(*command, values={"lr": 0.5, "b": 32}) == expected


def test_a_hyperparameter_goes_before_a_token_of_the_job() -> None:
    assert words("t", "{dir}", values={"dir": "mine"}) == ["t", "mine"]


def test_tokens_that_stand_for_nothing_are_known() -> None:
    command = CommandLine(["t", "{lr}", "{job}", "{{x}}", "{batchsize}", "%h"])
    assert command.unknown(["lr", "batch_size"]) == ["batchsize"]


def test_hydra_gets_texts_that_it_would_read_otherwise_in_quotes() -> None:
    for text in ("true", "NULL", "1", "-2.5", "1e3", ".5", "nan", "Inf", "1_000", "", "a,b", "[1]", "a b"):
        assert words("t", style="hydra", values={"x": text}) == ["t", f"x='{text}'"]
    for text in ("adam", "v1.2.3", "a/b", "trueish", "e5"):
        assert words("t", style="hydra", values={"x": text}) == ["t", f"x={text}"]


def test_the_folder_of_the_parent_is_left_out_where_there_is_none() -> None:
    line = CommandLine(["t", "--from", "{parent_dir}"])
    assert line.words(trial({})) == ["t"]
    child = replace(trial({}), parent_folder=Path("/d/parent"))
    assert line.words(child) == ["t", "--from", "/d/parent"]
    assert line.environment(child)["SCHEDY_PARENT_DIR"] == "/d/parent"
    assert "SCHEDY_PARENT_DIR" not in line.environment(trial({}))
