"""The search algorithms: Schedy's own, and those of the entry points of the group ``schedy.algorithms``.

The module of an algorithm is imported when it is used: the libraries that it needs may not be installed.
"""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from schedy.search.algorithms import unknown_algorithm
from schedy.search.definition import Definition
from schedy_store.search.protocol import Algorithm, Pruner

GROUP = "schedy.algorithms"


@dataclass(frozen=True, slots=True)
class _Own:
    """One of Schedy's own algorithms: its place in `schedy_store.search.algorithms`, and what must be installed."""

    place: str
    needs: tuple[str, ...] = ()
    """Modules."""
    extra: str = ""
    """The extra of the distribution that brings them."""


_OPTUNA = ("optuna", "numpy", "scipy")

_OWN = {
    "auto": _Own("auto:Auto", needs=(*_OPTUNA, "sklearn"), extra="optuna"),
    "random": _Own("random:RandomSearch"),
    "grid": _Own("grid:Grid"),
    "sobol": _Own("sobol:Sobol", needs=("scipy",), extra="optuna"),
    "tpe": _Own("tpe:Tpe", needs=_OPTUNA, extra="optuna"),
    "cmaes": _Own("cmaes:Cmaes", needs=(*_OPTUNA, "cmaes"), extra="optuna"),
    "nsga2": _Own("nsga2:Nsga2", needs=_OPTUNA, extra="optuna"),
    "gp": _Own("gp:Gp", needs=(*_OPTUNA, "torch"), extra="gp"),
    "pbt": _Own("pbt:Pbt"),
}


def known_schedulers() -> dict[str, EntryPoint]:
    """Return the entry point of each algorithm, without importing any. Own ones win over others of the same name."""
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    own = {name: EntryPoint(name, f"schedy_store.search.algorithms.{each.place}", GROUP) for name, each in _OWN.items()}
    return {**own, **{name: entry for name, entry in others.items() if name not in own}}


def make_algorithm(scheduler: str, definition: Definition) -> Algorithm:
    """Return the algorithm of that name. Raises InvalidValueError if there is none, or it cannot use the definition."""
    known = known_schedulers()
    if scheduler not in known:
        raise unknown_algorithm(scheduler, known)
    made: Algorithm = known[scheduler].load()(definition)
    return made


def make_pruner(definition: Definition) -> Pruner | None:
    """Return the pruner of a definition, None if it has none. Raises InvalidValueError."""
    if definition.pruner is None:
        return None
    from schedy_store.search.pruners import OptunaPruner  # noqa: PLC0415 - Optuna may not be installed

    return OptunaPruner(definition)


def missing_requirement(scheduler: str, definition: Definition) -> str | None:
    """Return what has to be installed for an experiment as a sentence, None if nothing has to."""
    needs, extra = needs_of(scheduler)
    missing = _missing(needs)
    if missing is not None:
        return _install(scheduler, missing, extra)
    if definition.pruner is not None and _missing(("optuna",)) is not None:
        return _install("A pruner", "optuna", "optuna")
    return None


def needs_of(scheduler: str) -> tuple[tuple[str, ...], str]:
    """Return the modules that an algorithm of Schedy's own imports, and the extra that brings them."""
    own = _OWN.get(scheduler)
    return (own.needs, own.extra) if own is not None else ((), "")


_PRODUCTS = {"optuna": "Optuna", "numpy": "NumPy", "scipy": "SciPy", "sklearn": "scikit-learn", "torch": "PyTorch"}


def _missing(modules: tuple[str, ...]) -> str | None:
    return next((module for module in modules if find_spec(module) is None), None)


def _install(who: str, module: str, extra: str) -> str:
    product = _PRODUCTS.get(module, module)
    return f"{who} needs {product}. Install it where the results service runs: pip install 'schedy-mq[{extra}]'"
