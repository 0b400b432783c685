"""Errors of a definition: as Python's keywords in the library, as options on the command line, neutral elsewhere."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

import schedy
from schedy import pbt
from schedy.random import Int, Uniform
from schedy.search.checks import check_definition
from schedy.search.definition import read_definition
from schedy.search.errors import DefinitionError, Setting, message_of, neutrally
from schedy_cli.commands.add import add_command
from schedy_cli.main import run
from schedy_cli.parsing.setting_options import as_option

X = {"x": Uniform(0, 1)}
N = {"n": Int(1, 3)}
UNIFORM = ["x", "uniform", '{"low": 0, "high": 1}']
POPULATION = ["--option", "population_size", "4", "--option", "max_generations", "2"]


def _population(**settings: Any) -> object:
    return schedy.PopulationBasedTraining(
        "E", pbt.MINIMIZE, "r", **{"initial_distributions": X, "population_size": 4, "max_generations": 2, **settings}
    )


@pytest.mark.parametrize(
    ("make", "in_python", "arguments", "as_options"),
    [
        (
            lambda: schedy.TPESearch("E", X),
            "tpe needs an objective: minimize='loss' or maximize='accuracy'.",
            ["tpe", *UNIFORM],
            "tpe needs an objective: --minimize RESULT or --maximize RESULT.",
        ),
        (
            lambda: schedy.NSGA2Search("E", X, minimize="r"),
            "nsga2 needs at least 2 objectives: minimize='loss' and maximize='accuracy'.",
            ["nsga2", *UNIFORM, "--minimize", "r"],
            "nsga2 needs at least 2 objectives: --minimize RESULT and --maximize RESULT.",
        ),
        (
            lambda: schedy.CMAESSearch("E", X, minimize=["r", "s"]),
            "cmaes takes 1 objective, not 2; auto, random, grid, sobol, tpe, nsga2 take several.",
            ["cmaes", *UNIFORM, "--minimize", "r", "--minimize", "s"],
            "cmaes takes 1 objective, not 2; auto, random, grid, sobol, tpe, nsga2 take several.",
        ),
        (
            lambda: schedy.RandomSearch("E", {}),
            "random needs at least one hyperparameter, as {'x': {'uniform': {'low': 0, 'high': 1}}}.",
            ["random"],
            "random needs at least one hyperparameter, as --x 'uniform(0, 1)'.",
        ),
        (
            lambda: schedy.RandomSearch("E", X, stop_after_no_improvement=3),
            "stop_after_no_improvement needs one objective: minimize='loss' or maximize='accuracy'.",
            ["random", *UNIFORM, "--stop-after-no-improvement", "3"],
            "--stop-after-no-improvement needs one objective: --minimize RESULT or --maximize RESULT.",
        ),
        (
            lambda: schedy.RandomSearch("E", X, pruner="median"),
            "A pruner needs one objective: minimize='loss' or maximize='accuracy'.",
            ["random", *UNIFORM, "--pruner", "median"],
            "A pruner needs one objective: --minimize RESULT or --maximize RESULT.",
        ),
        (
            lambda: schedy.GridSearch("E", X),
            "grid: x has endless values. Set the number to take: points=5 or points={'x': 5}.",
            ["grid", *UNIFORM],
            """grid: x has endless values. Set the number to take: --option points 5 or --option points '{"x": 5}'.""",
        ),
        (
            lambda: schedy.RandomSearch("E", X, seed=-1),
            "seed: Input should be greater than or equal to 0.",
            ["random", *UNIFORM, "--seed", "-1"],
            "--seed: Input should be greater than or equal to 0.",
        ),
        (
            lambda: schedy.GPSearch("E", X, minimize="r", startup_jobs=0),
            "gp: startup_jobs: Input should be greater than or equal to 1.",
            ["gp", *UNIFORM, "--minimize", "r", "--option", "startup_jobs", "0"],
            "gp: --option startup_jobs: Input should be greater than or equal to 1.",
        ),
        (
            lambda: _population(explore={"y": pbt.Perturb()}),
            "explore: there is no hyperparameter 'y'. There are: x.",
            ["pbt", *UNIFORM, "--minimize", "r", *POPULATION, "--option", "explore", '{"y": {"perturb": {}}}'],
            "--option explore: there is no hyperparameter 'y'. There are: x.",
        ),
        (
            lambda: _population(exploit={"truncate": {"proportion": 1}}),
            "exploit: truncate: 'proportion' is more than 0 and at most 0.5, not 1.",
            ["pbt", *UNIFORM, "--minimize", "r", *POPULATION, "--option", "exploit", '{"truncate": {"proportion": 1}}'],
            "--option exploit: truncate: 'proportion' is more than 0 and at most 0.5, not 1.",
        ),
    ],
)
def test_a_setting_is_named_as_the_reader_writes_it(
    make: Callable[[], object],
    in_python: str,
    arguments: list[str],
    as_options: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(DefinitionError) as caught:
        make()
    assert str(caught.value) == in_python
    assert run(["add", "E", *arguments]) == 2
    assert capsys.readouterr().err == f"Error: {as_options}\n"


def test_the_remedy_of_the_library_is_taken() -> None:
    schedy.GridSearch("E", X, points={"x": 5})
    schedy.RandomSearch("E", {"x": {"uniform": {"low": 0, "high": 1}}})


@pytest.mark.parametrize(
    ("scheduler", "settings", "text"),
    [
        ("tpe", {"hyperparameters": N}, "tpe needs an objective: minimize or maximize."),
        ("grid", {"hyperparameters": X}, "grid: x has endless values. Set the number to take: points."),
        ("tpe", {}, 'tpe needs at least one hyperparameter, as {"x": {"uniform": {"low": 0, "high": 1}}}.'),
        ("manual", {"warm_start": [{"experiment": "A"}], "ready": 3}, "it has no ready or from_experiment."),
    ],
)
def test_a_text_for_every_reader_names_the_setting_alone(scheduler: str, settings: Any, text: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        check_definition(scheduler, read_definition(settings))
    assert message_of(caught.value, neutrally).endswith(text)


@pytest.mark.parametrize(
    "name",
    ["minimize", "maximize", "constraints", "from_experiment", "seed", "ready", "max_jobs", "max_time", "pruner"],
)
def test_the_option_of_a_setting_is_there(name: str) -> None:
    options = {option for parameter in add_command.params for option in parameter.opts}
    assert as_option(Setting(name)).split()[0] in options
    assert "--option" in options


def test_an_error_survives_its_way_to_another_process() -> None:
    error = DefinitionError("Set {braces}: ", Setting("points", (5,), of_algorithm=True))
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "Set {braces}: points=5"  # noqa: S301
