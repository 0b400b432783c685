"""Packages of others that only some of the results need."""

import importlib
from typing import Any

from schedy.errors import MissingPackageError

_PRODUCTS = {"pyarrow": "PyArrow", "optuna": "Optuna"}


def needed(module: str, *, what: str, extra: str) -> Any:
    """Import and return a module that `what` needs. Raises MissingPackageError naming the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        product = _PRODUCTS.get(module.partition(".")[0], module)
        why = "" if isinstance(error, ModuleNotFoundError) else f" ({error})"
        raise MissingPackageError(
            f"{what} needs {product}, which cannot be imported{why}. Install it: pip install 'schedy-mq[{extra}]'"
        ) from None
