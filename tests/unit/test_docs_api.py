"""docs/api.md names everything public of the library."""

import inspect
import re
from pathlib import Path

import pytest

import schedy
from schedy import errors
from schedy.pbt import Truncate
from schedy.search.algorithms import ALGORITHMS
from schedy.search.options import options_of

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
CODE = " ".join(re.findall(r"`([^`]+)`", TEXT))


def public(kind: type) -> list[str]:
    """Attributes of a class that users may touch: methods, properties, class and annotated attributes."""
    names = {*dir(kind), *inspect.get_annotations(kind)}
    return sorted(name for name in names if not name.startswith("_"))


def occurs(name: str) -> bool:
    return re.search(rf"(?<!\w){name}(?!\w)", CODE) is not None


ERRORS = [
    name for name, found in vars(errors).items() if inspect.isclass(found) and issubclass(found, errors.SchedyError)
]


@pytest.mark.parametrize("name", schedy.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert occurs(name)


@pytest.mark.parametrize(
    "name",
    [
        *(f"Job.{name}" for name in [*public(schedy.Job), "hyperparameters"]),
        *(f"Experiment.{name}" for name in [*public(schedy.Experiment), "status"]),
        *(f"SchedyDB.{name}" for name in public(schedy.SchedyDB)),
    ],
)
def test_every_public_attribute_is_documented(name: str) -> None:
    kind, attribute = name.split(".")
    section = TEXT.split(f"\n## {kind}\n")[1].split("\n## ")[0]
    assert re.search(rf"`[^`\n]*(?<!\w){attribute}(?!\w)[^`\n]*`", section)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_class_of_an_algorithm_has_a_row_with_its_options(algorithm: str) -> None:
    name = ALGORITHMS[algorithm].class_name
    (row,) = (line for line in TEXT.splitlines() if line.startswith("| ") and f"`{name}(" in line)
    for option in options_of(algorithm).model_fields:
        assert re.search(rf"(?<!\w){option}(?!\w)", row), option


def test_the_signatures_of_experiments_are_those_of_the_classes() -> None:
    shown = re.findall(r"`(\w+)\((name, [^`]*)\)`", " ".join(TEXT.split()))
    kinds = [(kind, parameters) for kind, parameters in shown if hasattr(schedy, kind)]
    assert len(kinds) >= 8
    for kind, parameters in kinds:
        signature = inspect.signature(getattr(schedy, kind)).parameters
        for word in re.split(r", (?![^()]*\))", parameters.replace("*, ", "").removesuffix(", ...")):
            name, _, default = word.partition("=")
            wanted = signature[name].default
            assert default == ("" if wanted is inspect.Parameter.empty else _shown(wanted)), (kind, name)


def _shown(default: object) -> str:
    return "Truncate()" if default == Truncate() else repr(default)


def test_the_tree_of_errors_is_the_one_in_the_module() -> None:
    drawn = TEXT.split("\n## Errors\n")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^    [│ ├└─]*([A-Z]\w+)\b", drawn, re.M)) == sorted(ERRORS)


def test_every_error_that_is_drawn_hangs_under_its_parent() -> None:
    drawn = re.findall(r"^    ([│ ├└─]*)([A-Z]\w+)\b", TEXT.split("\n## Errors\n")[1], re.M)
    path: list[str] = []
    for indent, name in drawn:
        depth = len(indent) // 4
        path[depth:] = [name]
        if depth:
            assert getattr(errors, name).__bases__[0].__name__ == path[depth - 1]
