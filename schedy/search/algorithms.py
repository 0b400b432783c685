"""The table of Schedy's own search algorithms: what each asks of a definition, and the class that stands for it.

It imports nothing else, so that `import schedy` and `schedy --help` may read it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from schedy.close_names import did_you_mean
from schedy.errors import InvalidValueError

MANUAL = "manual"
"""The scheduler of an experiment whose jobs are all pushed."""
MOST_OBJECTIVES = 16


class Algorithm(NamedTuple):
    """A search algorithm. Its options are in `schedy.search.options`, its class in `schedy.searches`."""

    class_name: str
    summary: str
    objectives: tuple[int, int]
    """The least and the most."""
    ready: int
    """The default number of jobs made ahead of demand: none where each result counts."""
    constraints: bool = False
    """It prefers jobs that keep all constraints."""
    starts_from_others: bool = True
    """It learns from the jobs of other experiments."""
    needs_space: bool = True
    """It has at least one hyperparameter, with its distribution."""
    may_repeat: bool = True
    """It may suggest a point twice."""
    continues_jobs: bool = False
    """Its jobs continue others, so that results depend on more than the hyperparameters."""
    changes_space: bool = True
    """Its hyperparameters can be changed once there are jobs."""


DEFAULT = "auto"
"""The algorithm of a search that names an objective and no algorithm."""
_ANY = (0, MOST_OBJECTIVES)

ALGORITHMS: dict[str, Algorithm] = {
    "auto": Algorithm(
        "AutoSearch", "a Gaussian process and trees in turns", (1, MOST_OBJECTIVES), ready=0, constraints=True
    ),
    "random": Algorithm("RandomSearch", "independent random draws", _ANY, ready=10, starts_from_others=False),
    "grid": Algorithm(
        "GridSearch",
        "every combination of values, once",
        _ANY,
        ready=10,
        starts_from_others=False,
        may_repeat=False,
        changes_space=False,
    ),
    "sobol": Algorithm("SobolSearch", "quasi-random points", _ANY, ready=10, starts_from_others=False),
    "tpe": Algorithm("TPESearch", "tree-structured Parzen estimator", (1, MOST_OBJECTIVES), ready=0, constraints=True),
    "cmaes": Algorithm("CMAESSearch", "covariance matrix adaptation", (1, 1), ready=0),
    "nsga2": Algorithm(
        "NSGA2Search", "genetic algorithm for several objectives", (2, MOST_OBJECTIVES), ready=0, constraints=True
    ),
    "gp": Algorithm("GPSearch", "Gaussian process", (1, 1), ready=0, constraints=True),
    "pbt": Algorithm(
        "PopulationBasedTraining",
        "population based training",
        (1, 1),
        ready=1,
        starts_from_others=False,
        needs_space=False,
        continues_jobs=True,
        changes_space=False,
    ),
}
"""Schedy's own algorithms. Others are found by the entry points of the group `schedy.algorithms`."""

OTHERS_READY = 1
"""The default number of jobs made ahead of demand by an algorithm of a user's own."""


def makes_ahead(scheduler: str) -> bool:
    """Return True if jobs do not wait for results of others: pushed ones, and those of a search that learns nothing."""
    return scheduler == MANUAL or (scheduler in ALGORITHMS and ALGORITHMS[scheduler].ready > 1)


def unknown_algorithm(name: str, known: Iterable[str]) -> InvalidValueError:
    """Return the error for an algorithm that is none of the known ones."""
    return InvalidValueError(f"There is no algorithm {name!r}. {did_you_mean(name, known)}")
