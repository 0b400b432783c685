"""Which algorithms there are: Schedy's own, and those of the entry points of the group ``schedy.algorithms``.

An algorithm's module is imported when it is used, since what it needs may not be installed.
"""

from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from schedy.search.definition import ALGORITHMS, Definition, unknown_algorithm
from schedy_store.search.protocol import Algorithm, Pruner

GROUP = "schedy.algorithms"

_OWN = {
    "random": "random:RandomSearch",
    "grid": "grid:Grid",
    "sobol": "sobol:Sobol",
    "tpe": "tpe:Tpe",
    "cmaes": "cmaes:Cmaes",
    "nsga2": "nsga2:Nsga2",
    "gp": "gp:Gp",
    "pbt": "pbt:Pbt",
}


def known_schedulers() -> dict[str, EntryPoint]:
    """Return where each algorithm is, by name, without importing any. Nobody else can take the name of an own one."""
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    own = {name: EntryPoint(name, f"schedy_store.search.algorithms.{place}", GROUP) for name, place in _OWN.items()}
    return {**own, **{name: entry for name, entry in others.items() if name not in own}}


def make_algorithm(scheduler: str, definition: Definition) -> Algorithm:
    """Return the algorithm of that name. Raises InvalidValueError if there is none, or it cannot do what is asked."""
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
    """Return what has to be installed for an experiment, None if nothing has to."""
    rules = ALGORITHMS.get(scheduler)
    if rules is not None:
        missing = _missing(rules.needs)
        if missing is not None:
            return _install(scheduler, missing, rules.extra)
    if definition.pruner is not None and _missing(("optuna",)) is not None:
        return _install("A pruner", "optuna", "optuna")
    return None


_PRODUCTS = {"optuna": "Optuna", "numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch"}


def _missing(modules: tuple[str, ...]) -> str | None:
    return next((module for module in modules if find_spec(module) is None), None)


def _install(who: str, module: str, extra: str) -> str:
    product = _PRODUCTS.get(module, module)
    return f"{who} needs {product}. Install it where the results service runs: pip install 'schedy-mq[{extra}]'"
