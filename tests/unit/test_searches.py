"""The classes of experiments: their parameters, the attributes that may be written, how they are read back."""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

import schedy
from schedy import pbt
from schedy.errors import InvalidValueError
from schedy.random import Normal, Uniform
from schedy.search.algorithms import ALGORITHMS
from schedy.search.options import options_of
from schedy.searches import experiment_from_record
from schedy.wire.records import ExperimentRecord
from schedy.worker.session import Session

FOLDER = str(Path(schedy.__file__).parent)
X = {"x": Uniform(0, 1)}
SEARCHES: list[schedy.Experiment] = [
    schedy.ManualSearch("E", minimize="r", pruner="median"),
    schedy.RandomSearch("E", X),
    schedy.GridSearch("E", X, points={"x": 3}, shuffle=False),
    schedy.SobolSearch("E", X, max_jobs=3),
    schedy.TPESearch("E", X, maximize=["a", "b"], startup_jobs=3, from_experiment="Old"),
    schedy.CMAESSearch("E", X, minimize="r", sigma=0.5),
    schedy.NSGA2Search("E", X, minimize="a", maximize="b", constraints=[{"result": "c", "at_most": 1}]),
    schedy.GPSearch("E", X, minimize="r"),
    schedy.PopulationBasedTraining(
        "E",
        pbt.MINIMIZE,
        "r",
        explore={"x": pbt.Perturb()},
        initial_distributions=X,
        population_size=4,
        max_generations=2,
    ),
    schedy.Search("E", "mine", X, {"depth": 2}, minimize="r"),
]


def record(experiment: schedy.Experiment, **more: Any) -> ExperimentRecord:
    sent = experiment.creation().model_dump(include={"name", "scheduler", "settings", "status", "limits"})
    fields = {"position": 1, "uid": "0" * 32, "paused": False, "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    return ExperimentRecord(**{**sent, **fields, "job_counts": {}, **more})


def read(stored: ExperimentRecord) -> Any:
    return experiment_from_record(cast(schedy.SchedyDB, None), stored)


@pytest.mark.parametrize("experiment", SEARCHES, ids=lambda each: each.scheduler)
def test_an_experiment_comes_back_as_it_was_made(experiment: schedy.Experiment) -> None:
    back = read(record(experiment))
    assert type(back) is type(experiment)
    assert (back.name, back.scheduler, back.definition) == ("E", experiment.scheduler, experiment.definition)
    assert back.settings() == experiment.settings()


def test_keywords_become_the_definition() -> None:
    made = schedy.RandomSearch(
        "E",
        {"x": Normal(0, 5), "y": {"const": 1}},
        minimize="r",
        max_jobs=9,
        seed=3,
        pruner={"asha": {}},
        status="DONE",
        job_timeout=5,
    )
    assert (made.status, made.job_timeout, made.max_jobs, made.seed) == ("DONE", 5, 9, 3)
    assert made.settings() == {
        "hyperparameters": {"x": {"normal": {"mean": 0, "std": 5}}, "y": {"const": 1}},
        "objectives": [{"result": "r", "direction": "minimize"}],
        "max_jobs": 9,
        "seed": 3,
        "pruner": {"asha": {}},
    }


def test_conditions_repeats_and_ends_are_keywords() -> None:
    bound = {"result": "r", "at_most": 0.01}
    made = schedy.TPESearch(
        "E", X, minimize="r", where="x < 0.5", repeats=3, stop_at=[bound], max_done=7, stop_after_crashes=None
    )
    assert (made.where, made.repeats, made.max_done, made.stop_after_crashes) == (["x < 0.5"], 3, 7, None)
    assert [str(each) for each in made.stop_at] == ["r <= 0.01"]
    made.stop_at, made.max_done, made.stop_after_crashes = [], None, 4
    settings = made.settings()
    assert settings["where"] == ["x < 0.5"]
    assert (settings.get("stop_at"), settings.get("max_done"), settings["stop_after_crashes"]) == (None, None, 4)
    with pytest.raises(InvalidValueError, match=r"where: 'x <' is no condition\. Write one as .* <= 256\.$"):
        schedy.TPESearch("E", X, minimize="r", where=["x <"])
    with pytest.raises(InvalidValueError, match="where: y < 1: there is no hyperparameter 'y'"):
        schedy.TPESearch("E", X, minimize="r", where="y < 1")
    with pytest.raises(InvalidValueError, match="repeats"):
        schedy.TPESearch("E", X, minimize="r", repeats=0)


def test_budget_and_pruner_may_be_written_and_all_else_not() -> None:
    made = schedy.RandomSearch("E", X, minimize="r")
    made.max_jobs, made.max_time, made.stop_after_no_improvement, made.ready, made.pruner = 5, 6.0, 7, 8, "median"
    assert {name: made.settings()[name] for name in ("max_jobs", "max_time", "ready", "pruner")} == {
        "max_jobs": 5,
        "max_time": 6.0,
        "ready": 8,
        "pruner": {"median": {}},
    }
    made.max_jobs = None
    assert "max_jobs" not in made.settings()
    with pytest.raises(InvalidValueError, match="max_jobs"):
        made.max_jobs = -1
    assert made.max_jobs is None
    made.hyperparameters = {"x": "uniform(0, 5)", "y": schedy.random.Constant(2)}
    made.where, made.assumed = "x < 4", {"y": 2}
    assert {name: made.settings()[name] for name in ("hyperparameters", "where", "assumed")} == {
        "hyperparameters": {"x": {"uniform": {"low": 0, "high": 5}}, "y": {"const": 2}},
        "where": ["x < 4"],
        "assumed": {"y": 2},
    }
    for name in ("seed", "objectives", "constraints", "options", "from_experiment"):
        with pytest.raises(AttributeError):
            setattr(made, name, None)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: schedy.RandomSearch("E", {}), "random needs at least one hyperparameter"),
        (lambda: schedy.RandomSearch("E", {"x": {"unifrm": {}}}), "Did you mean 'uniform'?"),
        (lambda: schedy.TPESearch("E", X), "tpe needs an objective"),
        (lambda: schedy.RandomSearch("E", X, pruner="medain"), "Did you mean 'median'?"),
        (lambda: schedy.RandomSearch("E", X, from_experiment="A"), "random cannot start from another experiment"),
        (lambda: schedy.Search("E", "mine", X, {"a": object()}), "The value of 'a' is not JSON"),
        (lambda: schedy.PopulationBasedTraining("E", "minimise", "r"), "schedy.pbt.MINIMIZE"),
    ],
)
def test_what_cannot_be_is_said_at_once(make: Callable[[], object], said: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        make()
    assert said in str(caught.value)


def test_a_misspelt_keyword_is_an_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'startup_job'"):
        schedy.TPESearch("E", X, startup_job=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'minimize'"):
        schedy.PopulationBasedTraining("E", pbt.MAXIMIZE, "r", minimize="s")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="distributions"):
        schedy.RandomSearch("E")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="hyperparameters"):
        schedy.Search("E", "mine")


_EVERY_EXPERIMENT = [
    "status",
    "minimize",
    "maximize",
    "pruner",
    "max_attempts",
    "job_timeout",
    "stall_timeout",
    "retry_timeouts",
]
_EVERY_SEARCH = [
    *_EVERY_EXPERIMENT,
    *[
        "constraints",
        "max_jobs",
        "max_time",
        "stop_after_no_improvement",
        "where",
        "repeats",
        "stop_at",
        "max_done",
        "seed",
        "ready",
        "from_experiment",
    ],
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_row_of_an_algorithm_names_its_class(algorithm: str) -> None:
    kind = getattr(schedy, ALGORITHMS[algorithm].class_name)
    assert kind.scheduler == algorithm
    assert issubclass(kind, schedy.Search)
    assert kind.__name__ in schedy.__all__
    assert f"import {kind.__name__} as {kind.__name__}\n" in Path(schedy.__file__).read_text()
    options = options_of(algorithm).model_fields
    assert set(inspect.signature(kind).parameters) >= options.keys()


@pytest.mark.parametrize("experiment", SEARCHES, ids=lambda each: each.scheduler)
def test_help_shows_every_keyword_with_its_default_and_what_it_means(experiment: schedy.Experiment) -> None:
    kind = type(experiment)
    parameters = inspect.signature(kind).parameters
    keywords = _EVERY_EXPERIMENT if kind is schedy.ManualSearch else _EVERY_SEARCH
    own_objective = kind is schedy.PopulationBasedTraining
    assert set(parameters) >= {each for each in keywords if not (own_objective and each.endswith("imize"))}
    for name, parameter in parameters.items():
        assert parameter.kind is not parameter.VAR_KEYWORD
        assert "InitVar" not in str(parameter)
        assert "Setting" not in str(parameter)
        assert re.search(rf"^  {name}: [A-Z].*", kind.__doc__ or "", re.M), name
    assert parameters["status"].default == "RUNNING"
    assert str(parameters["max_attempts"]) == "max_attempts: int | None = None"


def test_positional_parameters_stay() -> None:
    def _positional(kind: type) -> list[str]:
        parameters = inspect.signature(kind).parameters.values()
        return [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]

    assert _positional(schedy.ManualSearch) == ["name", "status"]
    assert _positional(schedy.RandomSearch) == ["name", "distributions"]
    assert _positional(schedy.Search) == ["name", "scheduler", "hyperparameters", "options"]
    assert _positional(schedy.PopulationBasedTraining) == [
        *("name", "objective", "result_name", "exploit", "explore"),
        *("initial_distributions", "population_size", "max_generations"),
    ]


def test_options_can_be_read_with_their_defaults() -> None:
    made = schedy.TPESearch("E", X, minimize="r", startup_jobs=3)
    assert (made.startup_jobs, made.candidates, made.multivariate, made.options) == (3, 24, None, {"startup_jobs": 3})
    assert (made.minimize, made.maximize, made.from_experiment) == (["r"], [], [])
    with pytest.raises(AttributeError, match="startup_jobs cannot be changed"):
        made.startup_jobs = 4


def test_what_a_newer_schedy_stored_stops_no_worker() -> None:
    back = read(record(schedy.RandomSearch("E", X), settings={"of_tomorrow": 1}))
    assert back.name == "E"
    with pytest.raises(InvalidValueError, match="of_tomorrow"):
        back.definition  # noqa: B018


def test_the_modules_are_there_after_import_schedy_which_brings_no_pydantic() -> None:
    code = "import sys, schedy; assert 'pydantic' not in sys.modules; schedy.random.Uniform; schedy.pbt.Truncate"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", [None, 3])
def test_a_name_or_an_id_is_text(name: Any) -> None:
    experiment = read(record(schedy.ManualSearch("E")))
    for use in (schedy.ManualSearch, schedy.SchedyDB().get_experiment, experiment.get_job):
        with pytest.raises(InvalidValueError, match=f"is text, not {name}."):
            use(name)


@pytest.mark.parametrize("use", ["all_jobs", "close", "with"])
def test_ctrl_c_leaves_by_one_frame(use: str) -> None:
    class Interrupted:
        is_ours = True

        def read(self, request: Any) -> Any:
            raise KeyboardInterrupt

        def close(self) -> None:
            raise KeyboardInterrupt

    db = schedy.SchedyDB()
    db._session = cast(Session, Interrupted())
    experiment = experiment_from_record(db, record(schedy.ManualSearch("E")))
    with pytest.raises(KeyboardInterrupt) as caught:
        if use == "all_jobs":
            list(experiment.all_jobs())
        elif use == "close":
            db.close()
        else:
            with db:
                pass
    assert sum(str(entry.path).startswith(FOLDER) for entry in caught.traceback) == 1


def test_what_is_no_strategy_is_named() -> None:
    explore: Any = {"x": 3}
    with pytest.raises(InvalidValueError, match=r"explore\.x"):
        schedy.PopulationBasedTraining("E", pbt.MINIMIZE, "r", explore=explore, initial_distributions=X)
