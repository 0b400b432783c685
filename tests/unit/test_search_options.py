"""Searches on the command line: triples, options, files, and what `show` makes of them again."""

import io
import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from schedy.search.definition import Definition
from schedy.wire.answers import MadeBy
from schedy.wire.changes import AddExperiment
from schedy.wire.records import ExperimentRecord, Limits
from schedy_cli.commands import add as experiments
from schedy_cli.commands.add import add_command
from schedy_cli.main import run
from schedy_cli.parsing.space_line import SpaceCommand, cut_line
from schedy_cli.printing.experiments import definition_text
from schedy_cli.printing.searches import search_lines

UNIFORM = '{"low": -1, "high": 1}'


class Recorder:
    """A session that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[AddExperiment] = []

    def __call__(self, _settings: object) -> "Recorder":
        return self

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def change(self, message: AddExperiment, **_options: object) -> None:
        self.sent.append(message)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(experiments, "session_for", made)
    return made


def added(recorder: Recorder, *arguments: str) -> AddExperiment:
    assert run(["add", *arguments]) == 0
    return recorder.sent[-1]


def stored(message: AddExperiment) -> ExperimentRecord:
    fields = message.model_dump(include={"name", "scheduler", "settings", "status", "limits"})
    return ExperimentRecord(
        **fields, position=1, uid="0" * 32, paused=False, created_at=datetime(2026, 1, 1, tzinfo=UTC), job_counts={}
    )


def cut(line: str, *, command: click.Command = add_command) -> tuple[str, dict[str, list[str]]]:
    assert isinstance(command, SpaceCommand)
    found = cut_line(shlex.split(line), command)
    return shlex.join(found.rest), dict(found.hyperparameters)


@pytest.mark.parametrize(
    ("line", "rest", "hyperparameters"),
    [
        ("E random x const -5", "-- E random", {"x": ["const", "-5"]}),
        ("E random x const -s y const --seed", "-- E random", {"x": ["const", "-s"], "y": ["const", "--seed"]}),
        ("--seed 3 E random x const 1 -sDONE", "--seed 3 -sDONE -- E random", {"x": ["const", "1"]}),
        ("E --seed -3 random x --ready 2 const 1", "--seed -3 --ready 2 -- E random", {"x": ["const", "1"]}),
        ("E random --option a -b x const 1", "--option a -b -- E random", {"x": ["const", "1"]}),
        ("E random --no-retry-timeouts x const 1", "--no-retry-timeouts -- E random", {"x": ["const", "1"]}),
        ("E random -- -x const 1", "-- E random", {"-x": ["const", "1"]}),
        ("E --from f.json", "--from f.json -- E", {}),
        ("E random --help", "--help -- E random", {}),
        ("E random x", "-- E random", {"x": []}),
        ("E random --lr 'int(1, 8)' --seed 3", "--seed 3 -- E random", {"lr": ["int(1, 8)"]}),
        ("E --batch-size='choice(1, 2)' random", "-- E random", {"batch_size": ["choice(1, 2)"]}),
        ("E random --lr 'unform(1'", "-- E random", {"lr": ["unform(1"]}),
        ("E random x 'const(-5)' y const 1", "-- E random", {"x": ["const(-5)"], "y": ["const", "1"]}),
        ("-p seed 'int(1, 8)' from -x -s DONE E", "-s DONE -- E", {"seed": ["int(1, 8)"], "from": ["-x"]}),
        ("-p a-b 'const(1)' -- E random", "-- E random", {"a-b": ["const(1)"]}),
        ("E random --minimize 'l(1)' --from 'a(1).json'", "--from 'a(1).json' -- E random", {}),
    ],
)
def test_a_command_line_is_cut(line: str, rest: str, hyperparameters: dict[str, list[str]]) -> None:
    assert cut(line) == (rest, hyperparameters)


def test_a_program_follows_two_dashes() -> None:
    command = SpaceCommand("run", takes_program=True, params=add_command.params)
    line = cut_line(shlex.split("E tpe --lr 'int(1, 8)' -p x 'const(1)' -- a --lr {lr} -- -p"), command)
    assert (line.rest, line.program) == (["--", "E", "tpe"], ["a", "--lr", "{lr}", "--", "-p"])
    assert line.hyperparameters == [("lr", ["int(1, 8)"]), ("x", ["const(1)"])]
    assert cut_line(["--help"], command).program is None
    for words in (["E", "python", "train.py"], ["E", "--"]):
        with pytest.raises(click.UsageError, match="There is no program"):
            cut_line(words, command)


def test_objectives_keep_their_order_across_both_options() -> None:
    line = cut_line(["E", "--maximize", "a", "random", "--minimize=b", "--maximize", "c"], add_command)
    assert line.ordered == [("--maximize", "a"), ("--minimize", "b"), ("--maximize", "c")]


def test_every_option_is_sent(recorder: Recorder) -> None:
    sent = added(
        recorder,
        *("E", "tpe", "x", "uniform", UNIFORM, "--minimize", "loss", "y", "const", "-5", "--max-jobs", "9"),
        *("--batch-size", "choice(16, adam)", "-p", "seed", "int(1, 8)"),
        *("--max-time", "3600", "--stop-after-no-improvement", "4", "--seed", "7", "--ready", "2"),
        *("--pruner", 'median {"startup_jobs": 3}', "--constraint", "latency <= 10", "--from-experiment", "Old"),
        *("--where", "x * seed <= 8 ", "--repeats", "2", "--max-done", "8", "--stop-after-crashes", "6"),
        *("--stop-at", "loss <= 0.01", "--stop-at", "acc>=1"),
        *("--option", "startup_jobs", "3", "--max-attempts", "5", "-s", "done"),
    )
    short = added(recorder, "E", "tpe", "--x", "int(1, 8)", "--minimize", "r", "--pruner", "median(startup_jobs=3)")
    assert short.settings["pruner"] == sent.settings["pruner"]
    assert (sent.name, sent.scheduler, sent.status, sent.limits.max_attempts) == ("E", "tpe", "DONE", 5)
    assert sent.settings == {
        "hyperparameters": {
            "x": {"uniform": {"low": -1, "high": 1}},
            "y": {"const": -5},
            "batch_size": {"choice": {"values": [16, "adam"]}},
            "seed": {"int": {"low": 1, "high": 8, "log": False}},
        },
        "objectives": [{"result": "loss", "direction": "minimize"}],
        "constraints": [{"result": "latency", "at_most": 10.0}],
        "max_jobs": 9,
        "max_time": 3600.0,
        "where": ["x * seed <= 8"],
        "repeats": 2,
        "max_done": 8,
        "stop_after_no_improvement": 4,
        "stop_after_crashes": 6,
        "stop_at": [{"result": "loss", "at_most": 0.01}, {"result": "acc", "at_least": 1.0}],
        "seed": 7,
        "ready": 2,
        "pruner": {"median": {"startup_jobs": 3}},
        "warm_start": [{"experiment": "Old"}],
        "options": {"startup_jobs": 3},
    }


def test_an_algorithm_that_only_the_service_knows_is_sent(recorder: Recorder) -> None:
    assert added(recorder, "E", "mine", "x", "const", "1").scheduler == "mine"


def test_a_search_with_an_objective_needs_no_algorithm(recorder: Recorder) -> None:
    assert added(recorder, "E", "--x", "int(1, 8)", "--maximize", "r").scheduler == "auto"


@pytest.mark.parametrize("source", ["d.json", "d.toml", "-"])
def test_options_override_a_file(
    source: str, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (
        'algorithm = "grid"\nmax_jobs = 4\n[hyperparameters.x.uniform]\nlow = 0\nhigh = 1\n[options]\npoints = 3\n'
        "[limits]\njob_timeout = 60\n"
    )
    if source != "d.toml":
        content = (
            '{"algorithm": "grid", "max_jobs": 4, "hyperparameters": {"x": {"uniform": {"low": 0, "high": 1}}},'
            ' "options": {"points": 3}, "limits": {"job_timeout": 60}}'
        )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    (tmp_path / source).write_text(content)
    place = "-" if source == "-" else str(tmp_path / source)
    sent = added(recorder, "E", "--from", place, "--max-jobs", "none", "--option", "shuffle", "false")
    assert (sent.scheduler, sent.limits.job_timeout) == ("grid", 60)
    assert sent.settings == {
        "hyperparameters": {"x": {"uniform": {"low": 0, "high": 1}}},
        "options": {"points": 3, "shuffle": False},
    }


def test_what_show_prints_adds_the_same_again(recorder: Recorder, tmp_path: Path) -> None:
    choice = '{"values": ["a", 1, null], "weights": [1, 2, 3], "then": {"a": {"z": {"const": "\u202e"}}}}'
    first = added(recorder, "E", "nsga2", "x", "choice", choice, "--maximize", "a", "--minimize", "b", "--seed", "3")
    file = tmp_path / "e.json"
    file.write_text(definition_text(stored(first)))
    again = added(recorder, "F", "--from", str(file))
    assert (again.scheduler, again.settings, again.limits) == (first.scheduler, first.settings, first.limits)


def test_a_definition_leaves_out_what_the_service_found_of_a_warm_start(recorder: Recorder) -> None:
    sent = added(recorder, "E", "tpe", "x", "const", "1", "--minimize", "r", "--from-experiment", "Old")
    sent.settings["warm_start"][0].update({"uid": "a" * 32, "ended": 5})
    limits = Limits(max_attempts=3, stall_timeout=5)
    shown = json.loads(definition_text(stored(sent.model_copy(update={"limits": limits}))))
    assert shown["warm_start"] == [{"experiment": "Old"}]
    assert shown["limits"] == {"stall_timeout": 5}


def searched(settings: dict[str, Any], *, scheduler: str = "random", **more: Any) -> ExperimentRecord:
    return ExperimentRecord(
        position=1,
        uid="a" * 32,
        name="E",
        scheduler=scheduler,
        settings=settings,
        status="RUNNING",
        paused=False,
        created_at=datetime.now(UTC),
        job_counts={},
        **more,
    )


def test_show_has_lines_for_what_is_set() -> None:
    settings: dict[str, Any] = {
        "hyperparameters": {"x": {"normal": {"mean": 0, "std": 5}}, "o": {"const": "adam"}},
        "objectives": [{"result": "loss", "direction": "minimize"}],
        "constraints": [{"result": "latency", "at_most": 10.0}],
        "max_jobs": 100,
        "pruner": {"median": {"startup_jobs": 3}},
        "seed": 5,
    }
    experiment = searched(settings, made=7, search_end="No more.", problem="It is stuck.")
    assert list(
        search_lines(experiment, [MadeBy(algorithm="quasi-random", jobs=5), MadeBy(algorithm="tpe", jobs=2)])
    ) == [
        "Made: 7 of 100 (5 quasi-random, 2 tpe)",
        "Ended: No more.",
        "Problem: It is stuck.",
        "Hyperparameters:",
        " - x: normal(0, 5)",
        " - o: const(adam)",
        "Objective: minimize loss",
        "Constraints:",
        " - latency <= 10",
        "Budget:",
        " - max_jobs: 100",
        "Pruner: median(startup_jobs=3)",
        "Seed: 5",
    ]
    assert list(search_lines(searched({}, scheduler="manual"), [])) == []
    assert list(search_lines(searched({"of_tomorrow": 1}), [])) == ["Made: 0", 'Settings: {"of_tomorrow": 1}']
    assert Definition().as_json() == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["random", "x", "normall", "{}"], "x: There is no distribution 'normall'. Did you mean 'normal'?"),
        (["random", "x", "normal", '{"mean": 0}'], "x: normal needs 'std'; it takes mean, std, low, high."),
        (["random", "x", "normal", '{"mean": 0, "sdt": 1}'], "x: normal has no 'sdt'; it takes mean, std, low, high."),
        (["random", "x", "uniform", '{"low": 1, "high": 1}'], "x: uniform: 'low' (1) must be less than 'high' (1)."),
        (
            ["random", "x", "choice", '{"values": [1, 2], "weights": [1]}'],
            "x: choice: 2 values need as many weights, not 1.",
        ),
        (
            ["random", "x", "normal", "{"],
            "x: normal {: it is not JSON. normal takes '{\"mean\": ..., \"std\": ...}', or write 'normal(...)'.",
        ),
        (["random", "x", "normal"], "x: normal has no parameters. Write normal(mean, std)."),
        (["random", "x"], "x: a distribution is missing. Write one as uniform(0, 1)."),
        (["random", "--lr", "normall(0, 1)"], "lr: There is no distribution 'normall'. Did you mean 'normal'?"),
        (["random", "--lr", "normal(0, 1"], "lr: normal(0, 1: the closing parenthesis is missing."),
        (["random", "-p", "lr", "0.1"], "lr: '0.1' is not a distribution. Write one as uniform(0, 1)."),
        (["random", "-p", "lr"], "-p: 'lr' has no value. Write names and values in turn: -p seed 'int(1, 8)'"),
        (["random", "-plr", "const(1)"], "-plr: write names and values as separate words: -p seed"),
        (["random", "--lr", "const(1)", "lr", "const", "1"], "The hyperparameter 'lr' is given twice."),
        (
            ["random", "--seed", "int(1, 8)"],
            "--seed is an option. A hyperparameter of that name is written -p seed 'int(1, 8)'.",
        ),
        (
            ["random", "--maxjobs", "40"],
            "No such option --maxjobs. Did you mean --max-jobs? A hyperparameter is written --maxjobs 'uniform(0, 1)'.",
        ),
        (
            ["tpe", "--warm-start", "Old"],
            "No such option --warm-start. Did you mean --from-experiment? A hyperparameter is written"
            " --warm-start 'uniform(0, 1)'.",
        ),
        (
            ["tpe", "--startup-jobs", "3"],
            "No such option --startup-jobs. An option of the algorithm is written --option startup_jobs VALUE.",
        ),
        (
            ["random", "--pruner", "hyperband", "--minimize", "r", "--x", "int(1, 8)"],
            "hyperband: max_resource is missing",
        ),
        (["random", "--lr", "0.1"], "No such option --lr. A hyperparameter is written --lr 'uniform(0, 1)'."),
        (["random", "-lr", "const(1)"], "No such option -lr. A hyperparameter is written --lr 'uniform(0, 1)'."),
        (["random", "x", "const", "True"], "x: const True: write true for the JSON value"),
        (["random", "x", "const", "1", "x", "const", "2"], "The hyperparameter 'x' is given twice."),
        (["random", "", "const", "1"], "A name has 1 to 200 characters"),
        (["manul"], "There is no algorithm 'manul'. Did you mean 'manual'?"),
        (["mine"], "mine needs at least one hyperparameter"),
        (["a\nb", "x", "const", "1"], "An algorithm has a name of 1 to 200 printable characters"),
        ([], "Missing argument 'ALGORITHM', or --minimize RESULT or --maximize RESULT, for which auto is taken."),
        (["manual", "x", "const", "1"], "A manual experiment makes no jobs, so it has no hyperparameters."),
        (["tpe", "x", "const", "1"], "tpe needs an objective: --minimize RESULT or --maximize RESULT."),
        (["random", "x", "const", "1", "--pruner", "medain"], "There is no pruner 'medain'. Did you mean 'median'?"),
        (["random", "x", "const", "1", "--pruner", "median {"], "--pruner median: { is not JSON."),
        (
            ["random", "x", "const", "1", "--pruner", "medain(a=1)"],
            "There is no pruner 'medain'. Did you mean 'median'?",
        ),
        (
            ["random", "x", "const", "1", "--pruner", "asha(factor=3)"],
            "asha takes min_resource=VALUE, reduction_factor=",
        ),
        (["random", "x", "const", "1", "--pruner", "asha(1"], "--pruner asha(1: the closing parenthesis is missing."),
        (["random", "x", "const", "1", "--constraint", "a < 1"], "write 'RESULT <= NUMBER' or 'RESULT >= NUMBER'"),
        (["random", "x", "const", "1", "--constraint", "a <= nan"], "write 'RESULT <= NUMBER' or 'RESULT >= NUMBER'"),
        (["random", "x", "const", "1", "--option", "a", "1"], "random: there is no setting 'a'; there are: none."),
        (
            ["random", "x", "const", "1", "--where", "x <"],
            "--where: 'x <' is no condition. Write one as batch_size * accumul",
        ),
        (["random", "x", "const", "1", "--where", "y < 1"], "--where: y < 1: there is no hyperparameter 'y'."),
        (["random", "x", "const", "1", "--stop-at", "loss < 1"], "--stop-at 'loss < 1': write 'RESULT <= NUMBER' or"),
        (["random", "x", "const", "1", "--max-jobs", "-1"], "'-1' is not a whole number of at least 0."),
        (["random", "x", "const", "1", "--minimize", "r", "--maximize", "r"], "Two objectives have the same result."),
        (["random", "--minimize"], "Option '--minimize' requires an argument."),
    ],
    ids=lambda value: ascii(" ".join(value))[:60] if isinstance(value, list) else "",
)
def test_errors_name_what_is_wrong(
    arguments: list[str], said: str, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["add", "E", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert recorder.sent == []


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        ("{", [], "d.json: it is not JSON: "),
        ("[]", [], "d.json: it is not an object."),
        ('{"algorithm": 1}', [], "d.json: 'algorithm' must be the name of one."),
        ('{"algorithm": "grid"}', ["random"], "The file has 'grid' and the command line 'random'."),
        ('{"hyperparameters": {"x": {"const": 1}}}', ["random", "y", "const", "1"], "The file has hyperparameters;"),
        ('{"max_job": 1}', ["random"], "there is no setting 'max_job'; there are: hyperparameters, "),
        ('{"limits": {"max_attempts": 0}}', ["random"], "d.json: limits.max_attempts: Input should be"),
    ],
)
def test_a_file_with_a_fault_is_refused(  # noqa: PLR0917 - parameters and fixtures
    content: str,
    arguments: list[str],
    said: str,
    recorder: Recorder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "d.json"
    file.write_text(content)
    assert run(["add", "E", *arguments, "--from", str(file)]) == 2
    assert said in capsys.readouterr().err
    assert recorder.sent == []
