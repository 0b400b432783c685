"""Problems to compare searches on: functions of the field that nobody here wrote, and models of scikit-learn.

BBOB are the functions of the COCO platform (Hansen et al. 2021), by number and dimension, instance 1.
"""

import functools
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cocoex  # type: ignore[import-untyped]
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

Values = Mapping[str, Any]
Loss = Callable[[Values], float]

_BBOB = ((1, 5), (3, 10), (6, 5), (8, 2), (8, 5), (10, 5), (13, 10), (15, 5), (20, 10), (21, 2), (21, 5))


@dataclass(frozen=True, slots=True)
class Task:
    """Something to minimize. What a search is told has `noise` (its standard deviation), and is nothing in a crash.

    Where `violation` is more than 0 a job breaks the constraint.
    """

    name: str
    space: Mapping[str, Any]
    loss: Loss
    noise: float = 0.0
    crashes: Callable[[Values], bool] = lambda _values: False
    violation: Loss | None = None


def branin(values: Values) -> float:
    x, y = values["x"], values["y"]
    bent = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(bent**2) + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def _wave(values: Values) -> float:
    """Return the constraint of the test problem of Gramacy et al. 2016, section 2.4, without its second bound."""
    x, y = values["x"], values["y"]
    return float(1.5 - x - 2 * y) - 0.5 * math.sin(2 * math.pi * (x**2 - 2 * y))


_HARTMANN_A = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
_HARTMANN_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def hartmann(values: Values) -> float:
    x = [values[f"x{place}"] for place in range(6)]
    total = 0.0
    for weight, scales, centre in zip((1.0, 1.2, 3.0, 3.2), _HARTMANN_A, _HARTMANN_P, strict=True):
        total -= weight * math.exp(-sum(a * (b - c) ** 2 for a, b, c in zip(scales, x, centre, strict=True)))
    return total


def rastrigin(values: Values) -> float:
    return float(sum(x**2 - 10 * math.cos(2 * math.pi * x) + 10 for x in values.values()))


def uniform(low: float, high: float) -> dict[str, Any]:
    return {"uniform": {"low": low, "high": high}}


def log(low: float, high: float) -> dict[str, Any]:
    return {"loguniform": {"low": low, "high": high}}


def integer(low: int, high: int) -> dict[str, Any]:
    return {"int": {"low": low, "high": high}}


def choice(*values: Any) -> dict[str, Any]:
    return {"choice": {"values": list(values)}}


def basic_tasks() -> list[Task]:
    """The four on which each algorithm is held against the sampler of Optuna that it is."""
    return [
        Task("Branin", {"x": uniform(-5, 10), "y": uniform(0, 15)}, branin),
        Task("Hartmann-6", {f"x{place}": uniform(0, 1) for place in range(6)}, hartmann),
        Task("Rastrigin-10", {f"x{place}": uniform(-5.12, 5.12) for place in range(10)}, rastrigin),
        Task("SVR on diabetes", {"c": log(1e-3, 1e3), "gamma": log(1e-4, 10), "epsilon": log(1e-3, 2)}, _svr),
    ]


def tasks() -> list[Task]:
    """All of them."""
    plain, hard, *_others = basic_tasks()
    return [
        *basic_tasks(),
        Task("Branin, noisy", plain.space, branin, noise=3.0),
        Task(
            "Gramacy, constraint",
            {"x": uniform(0, 1), "y": uniform(0, 1)},
            lambda values: float(values["x"] + values["y"]),
            violation=_wave,
        ),
        Task("Hartmann-6, crashes", hard.space, hartmann, crashes=lambda values: values["x0"] + values["x1"] > 1.2),
        *(_bbob(function, dimension) for function, dimension in _BBOB),
        Task("SVC on cancer, branches", _SVC, _svc),
        Task(
            "forest on wine, mixed",
            {
                "trees": integer(2, 40),
                "depth": integer(1, 12),
                "leaf": integer(1, 20),
                "features": uniform(0.05, 1),
                "criterion": choice("gini", "entropy"),
            },
            _forest,
        ),
        Task(
            "boosting on diabetes",
            {"rate": log(1e-3, 1), "leaves": integer(2, 32), "l2": log(1e-6, 100), "leaf": integer(1, 40)},
            _boosting,
        ),
        Task(
            "MLP on digits, mixed",
            {
                "width": {"int": {"low": 4, "high": 64, "log": True}},
                "rate": log(1e-4, 0.1),
                "alpha": log(1e-6, 1),
                "activation": choice("relu", "tanh", "logistic"),
            },
            _mlp,
        ),
    ]


@functools.cache
def _suite() -> Any:
    return cocoex.Suite("bbob", "instances: 1", "dimensions: 2,5,10")


def _bbob(function: int, dimension: int) -> Task:
    names = [f"x{place:02}" for place in range(dimension)]

    @functools.cache
    def _problem() -> Any:
        return _suite().get_problem_by_function_dimension_instance(function, dimension, 1)

    def _loss(values: Values) -> float:
        return float(_problem()([values[name] for name in names]))

    return Task(f"BBOB f{function}, {dimension}-D", {name: uniform(-5, 5) for name in names}, _loss)


def _score(model: Any, data: Any, target: Any, scoring: str) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model that has not converged is a bad one, no more
        return -float(cross_val_score(model, data, target, cv=3, scoring=scoring).mean())


@functools.cache
def _diabetes() -> tuple[Any, Any]:
    data, target = load_diabetes(return_X_y=True)
    return data[:150], target[:150] / target[:150].std()


def _svr(values: Values) -> float:
    """Return the squared error, in variances of the target."""
    machine = SVR(C=values["c"], gamma=values["gamma"], epsilon=values["epsilon"])
    return _score(make_pipeline(StandardScaler(), machine), *_diabetes(), "neg_mean_squared_error")


_SVC = {
    "c": log(1e-3, 1e3),
    "kernel": {
        "choice": {
            "values": ["linear", "rbf", "poly"],
            "then": {"rbf": {"gamma": log(1e-4, 10)}, "poly": {"degree": integer(2, 5), "coef0": uniform(0, 2)}},
        }
    },
}


@functools.cache
def _cancer() -> tuple[Any, Any]:
    data, target = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(data[:200]), target[:200]


def _svc(values: Values) -> float:
    given = {name: values[name] for name in ("gamma", "degree", "coef0") if name in values}
    machine = SVC(C=values["c"], kernel=values["kernel"], max_iter=20_000, **given)
    return _score(machine, *_cancer(), "roc_auc")


@functools.cache
def _wine() -> tuple[Any, Any]:
    data, target = load_wine(return_X_y=True)
    return data[:, :6], target


def _forest(values: Values) -> float:
    model = RandomForestClassifier(
        values["trees"],
        max_depth=values["depth"],
        min_samples_leaf=values["leaf"],
        max_features=values["features"],
        criterion=values["criterion"],
        random_state=0,
    )
    return _score(model, *_wine(), "neg_log_loss")


def _boosting(values: Values) -> float:
    model = HistGradientBoostingRegressor(
        learning_rate=values["rate"],
        max_leaf_nodes=values["leaves"],
        l2_regularization=values["l2"],
        min_samples_leaf=values["leaf"],
        max_iter=20,
        random_state=0,
    )
    return _score(model, *_diabetes(), "neg_mean_squared_error")


@functools.cache
def digits() -> tuple[Any, Any]:
    data, target = load_digits(return_X_y=True)
    return data[:200] / 16, target[:200]


def _mlp(values: Values) -> float:
    model = MLPClassifier(
        (values["width"],),
        activation=values["activation"],
        alpha=values["alpha"],
        learning_rate_init=values["rate"],
        max_iter=30,
        random_state=0,
    )
    return _score(model, *digits(), "neg_log_loss")
