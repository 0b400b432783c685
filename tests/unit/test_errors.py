"""The tree drawn in the docstring of `schedy.errors` is the tree of classes."""

import inspect
import re

import schedy
from schedy import errors


def drawn_tree() -> dict[str, str]:
    """Each class in the drawing, and the class it hangs from."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ([│├└─ ]*)(\w+)\b", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            parents[found[2]] = path[depth - 1] if depth else "Exception"
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    classes = inspect.getmembers(
        errors, lambda member: inspect.isclass(member) and issubclass(member, errors.SchedyError)
    )
    assert drawn_tree() == {name: found.__bases__[0].__name__ for name, found in classes}


def test_every_error_says_when_it_is_raised() -> None:
    assert [name for name in drawn_tree() if not getattr(errors, name).__doc__] == []


def test_no_job_error_says_what_the_contract_says() -> None:
    assert str(schedy.NoJobError("MinimizeManual")) == "No job left for experiment MinimizeManual."


def test_an_invalid_value_is_a_value_error_too() -> None:
    assert issubclass(errors.InvalidValueError, ValueError)
