"""An experiment as a study of Optuna: what its plots and its dashboard read."""

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import TrialState

from schedy.errors import InvalidValueError, ResourceExistsError, SchedyError
from schedy.results.lines import JobLine, PointLine
from schedy.results.optuna_export import make_study
from schedy.results.optuna_space import MOST_CATEGORIES
from schedy.search.definition import Definition, read_definition
from tests.unit.test_export_files import NOW, job

SPACE = {
    "lr": "loguniform(1e-5, 1)",
    "units": "int(1, 64, log=true)",
    "rate": "quniform(0.1, 1, 0.1)",
    "noise": "normal(0, 1)",
    "scale": "lognormal(0, 1)",
    "shape": 'choice([[1], {"a": 2}, "[1]", null])',
    "mixed": "choice([1, 1.0, true])",
    "seed": "const(7)",
    "model": {"choice": {"values": ["svc", "forest"], "then": {"svc": {"C": "uniform(0, 1)"}}}},
}
POINT = {
    "lr": 0.01, "units": 8, "rate": 0.3, "noise": -2, "scale": 1.5, "shape": [1], "mixed": True, "seed": 7,
    "model": "svc", "C": 0.5,
}  # fmt: skip


def definition(*objectives: tuple[str, str], **more: Any) -> Definition:
    named = [{"result": result, "direction": direction} for result, direction in objectives]
    return read_definition({"hyperparameters": SPACE, "objectives": named, **more})


LOSS = definition(("loss", "minimize"), constraints=[{"result": "ms", "at_most": 10.0}])


def jobs() -> list[JobLine]:
    forest = {name: value for name, value in POINT.items() if name != "C"} | {"model": "forest"}
    return [
        job(job_id="aaaaa1", hyperparameters=POINT, results={"loss": 0.5, "ms": 12, "acc": [0.9], "id": 3}),
        job(job_id="aaaaa2", hyperparameters={**forest, "units": 3}, results={"loss": math.inf, "ms": 9}),
        job(job_id="aaaaa3", hyperparameters={**POINT, "lr": 3.0, "noise": 9}, results={}, status="PRUNED", attempt=2),
        job(job_id="aaaaa4", hyperparameters=POINT, results={"loss": 0.1}, status="CRASHED", error="E: x"),
        job(job_id="aaaaa5", hyperparameters=POINT, results={"loss": math.nan}),
        job(job_id="aaaaa6", hyperparameters=POINT, results={}, status="RUNNING", finished_at=None),
        job(job_id="aaaaa7", hyperparameters=POINT, results={}, status="QUEUED", started_at=None, finished_at=None),
        job(job_id="aaaaa8", hyperparameters={**POINT, "extra": "by hand"}, results={"loss": 0.2}, started_at=None),
        *(
            job(
                job_id=f"bbbbb{place}",
                hyperparameters={**POINT, "lr": 10.0**-place, "units": place},
                results={"loss": place / 10, "ms": 1},
            )
            for place in range(1, 6)
        ),
    ]


POINTS = [
    PointLine("aaaaa3", 1, 1, "loss", 9.0),
    PointLine("aaaaa3", 2, 1, "loss", 0.9),
    PointLine("aaaaa3", 2, 2, "loss", 0.7),
    PointLine("aaaaa3", 2, 2, "acc", 0.1),
    PointLine("aaaaa6", 1, 1, "loss", math.nan),
]


def study_of(path: Path, **more: Any) -> Study:
    return make_study("E", LOSS, jobs(), POINTS, storage=f"sqlite:///{path}/o.db", **more)


def test_a_study_has_states_values_curves_constraints_and_times(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    study = optuna.load_study(study_name="E", storage=f"sqlite:///{tmp_path}/o.db")
    assert study.metric_names == ["loss"]
    assert [direction.name for direction in study.directions] == ["MINIMIZE"]
    trials = study.trials
    assert [trial.params for trial in made.trials] == [trial.params for trial in trials]
    states = [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL]
    assert [trial.state for trial in trials[:8]] == [
        *states, TrialState.RUNNING, TrialState.WAITING, TrialState.COMPLETE,
    ]  # fmt: skip
    assert [trial.values for trial in trials[:4]] == [[0.5], [math.inf], [0.7], None]
    assert trials[2].intermediate_values == {1: 0.9, 2: 0.7}, "those of the latest attempt, of the objective"
    assert math.isnan(trials[5].intermediate_values[1])
    assert [trial.system_attrs.get("constraints") for trial in trials[:3]] == [[2.0], [-1.0], None]
    assert trials[0].duration == timedelta(seconds=1.5)
    assert trials[0].datetime_start == NOW.astimezone().replace(tzinfo=None)
    assert trials[7].duration == timedelta(0), "pushed as DONE"
    assert trials[0].user_attrs == {
        "id": "aaaaa1", "status": "DONE", "worker": "gpu1:7 train.py", "attempt": 1, "quality": 0.5, "ms": 12,
        "acc": [0.9], "result.id": 3,
    }  # fmt: skip
    assert trials[3].user_attrs["error"] == "E: x"
    assert study.best_trial.user_attrs["id"] == "bbbbb1", "better ones break the constraint, or may"


def test_distributions_hold_the_values_of_all_jobs(tmp_path: Path) -> None:
    trials = study_of(tmp_path).trials
    distributions = trials[0].distributions
    assert distributions["lr"] == FloatDistribution(1e-5, 3.0, log=True), "a job was pushed outside"
    assert distributions["units"] == IntDistribution(1, 64, log=True)
    assert distributions["rate"] == FloatDistribution(0.1, 1.0, step=0.1)
    noise = distributions["noise"]
    assert isinstance(noise, FloatDistribution)
    assert (round(noise.low, 1), noise.high) == (-3.0, 9.0)
    scale = distributions["scale"]
    assert isinstance(scale, FloatDistribution)
    assert scale.log
    assert distributions["shape"] == CategoricalDistribution(["[1]", '{"a": 2}', '"[1]"', "null"])
    assert distributions["mixed"] == CategoricalDistribution(["1", "1.0", "true"])
    assert distributions["seed"] == CategoricalDistribution([7])
    assert trials[0].params == {**POINT, "shape": "[1]", "mixed": "true", "noise": -2.0}
    assert "C" not in trials[1].params, "it does not exist with the other model"
    assert trials[7].params["extra"] == "by hand"


def test_without_a_space_the_values_tell_the_distributions() -> None:
    many = [
        job(
            hyperparameters={"whole": place, "real": place / 2, "path": f"/{place}", "opt": ["adam", None][place % 2]},
            results={"loss": place},
        )
        for place in range(MOST_CATEGORIES + 1)
    ]
    manual = read_definition({"objectives": [{"result": "loss", "direction": "maximize"}]})
    trial = make_study("E", manual, many, []).trials[3]
    assert trial.distributions == {
        "whole": IntDistribution(0, MOST_CATEGORIES),
        "real": FloatDistribution(0.0, MOST_CATEGORIES / 2),
        "opt": CategoricalDistribution(["adam", None]),
    }
    assert trial.params == {"whole": 3, "real": 1.5, "opt": None}
    assert trial.user_attrs["path"] == "/3"


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_plots_of_optuna_take_it() -> None:
    pytest.importorskip("plotly")
    usual = [job for job in jobs() if job.results.get("loss") != math.inf and "extra" not in job.hyperparameters]
    study = make_study("E", LOSS, usual, POINTS)
    plots = ("optimization_history", "param_importances", "edf", "intermediate_values", "timeline")
    for plot in plots:
        assert getattr(optuna.visualization, f"plot_{plot}")(study).data, plot
    for plot in ("parallel_coordinate", "slice", "contour", "rank"):
        assert getattr(optuna.visualization, f"plot_{plot}")(study, params=["lr", "model"]).data, plot


def test_several_objectives_have_a_front() -> None:
    two = definition(("loss", "minimize"), ("acc", "maximize"))
    lines = [
        job(hyperparameters=POINT, results={"loss": loss, "acc": acc}) for loss, acc in ((1, 1), (2, 2), (3, 1))
    ] + [job(hyperparameters=POINT, results={"loss": 1}, status="PRUNED"), job(hyperparameters=POINT)]
    study = make_study("E", two, lines, POINTS)
    assert [trial.values for trial in study.best_trials] == [[1.0, 1.0], [2.0, 2.0]]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3 + ["PRUNED", "FAIL"]
    pytest.importorskip("plotly")
    assert optuna.visualization.plot_pareto_front(study).data


def test_a_study_that_exists_is_refused_and_one_that_cannot_be_completed_is_deleted(tmp_path: Path) -> None:
    def _stop(_count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study_of(tmp_path, advance=_stop)
    assert optuna.get_all_study_names(f"sqlite:///{tmp_path}/o.db") == []
    study_of(tmp_path)
    with pytest.raises(ResourceExistsError, match="has a study 'E' already"):
        study_of(tmp_path)
    with pytest.raises(InvalidValueError, match="E has no objective"):
        make_study("E", Definition(), jobs(), [])
    for url in ("nonsense", f"sqlite:///{tmp_path}/no/o.db"):
        with pytest.raises(SchedyError, match="Optuna cannot use the storage: "):
            make_study("E", LOSS, jobs(), [], storage=url)
