"""docs/search.md names all that a search can be told; its commands and files are ones that Schedy takes."""

import inspect
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from schedy.pbt import Perturb, Truncate
from schedy.random import KINDS, parse_distribution
from schedy.search.algorithms import ALGORITHMS
from schedy.search.checks import check_definition
from schedy.search.definition import Constraint, Definition, read_definition
from schedy.search.options import options_of
from schedy.search.pruners import PRUNERS
from schedy.search.space import Space
from schedy.wire.records import Limits
from schedy_cli.commands import add as experiments
from schedy_cli.main import run
from schedy_cli.parsing.definition_files import read_definition_file
from schedy_store.search.catalogue import needs_of
from tests.unit.test_search_options import Recorder

DOCUMENT = Path(__file__).parents[2] / "docs" / "search.md"
TEXT = DOCUMENT.read_text()
SPANS = re.findall(r"`([^`\n]+)`", TEXT)


def rows(word: str) -> list[list[str]]:
    """The cells of the rows of tables that begin with a word."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TEXT.splitlines()
        if line.startswith(f"| `{word}` |")
    ]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def own_rows(algorithm: str) -> dict[str, str]:
    """The options of an algorithm in their table, with their defaults."""
    table = TEXT.split("| algorithm | option |")[1].split("\n\n")[0]
    found: dict[str, str] = {}
    current = ""
    for line in table.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        current = cells[0].strip("`") or current
        if current == algorithm:
            found |= dict.fromkeys(re.findall(r"`(\w+)`", cells[1]), cells[2].strip("`"))
    return found


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_has_a_row_that_says_what_it_takes(name: str) -> None:
    (_name, purpose, objectives, install, *_paper), *_ = rows(name)
    rules = ALGORITHMS[name]
    assert purpose
    words = {(0, 16): "any number, or none", (1, 1): "one", (1, 16): "one or several", (2, 16): "two or more"}
    assert objectives == words[rules.objectives]
    assert install.strip("`") == needs_of(name)[1]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_option_of_an_algorithm_is_there_with_its_default(name: str) -> None:
    fields = options_of(name).model_fields
    documented = own_rows(name)
    assert list(documented) == list(fields)
    for option, default in documented.items():
        value = fields[option].default
        if isinstance(value, int | float):
            assert default == str(value).lower()


@pytest.mark.parametrize("name", KINDS)
def test_every_distribution_has_a_row_whose_examples_can_be_read(name: str) -> None:
    ((_name, parameters, value),) = rows(name)
    assert value
    made = [parse_distribution(text) for text in re.findall(r"`(\w+\(.*?\))`", parameters)]
    assert {each.kind for each in made} == {name}
    assert all(f"`{parameter}`" in parameters for parameter in inspect.signature(KINDS[name]).parameters)


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_has_a_row_with_its_parameters_and_defaults(name: str) -> None:
    ((_name, _purpose, parameters),) = rows(name)
    told = parameters + rows("median")[0][2] if "those of `median`" in parameters else parameters
    for field, information in PRUNERS[name].model_fields.items():
        assert f"`{field}`" in told
        if isinstance(information.default, int | float):
            assert re.search(rf"`{field}` {information.default:g}\b", told)


@pytest.mark.parametrize(
    "name",
    [*Definition.model_fields, "at_most", "at_least", *Truncate.__annotations__, *Perturb.__annotations__],
)
def test_every_other_setting_is_named(name: str) -> None:
    assert name == "kind" or re.search(rf"(?<!\w){name}(?!\w)", " ".join([*SPANS, *blocks("toml"), *blocks("bash")]))
    assert set(Constraint.model_fields) == {"result", "at_most", "at_least"}


def test_its_commands_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(experiments, "session_for", recorder)
    text = "\n".join(blocks("bash")).replace("\\\n", " ")
    found = [shlex.split(each) for each in re.split(r"^(?=schedy )", text, flags=re.M) if each.strip()]
    commands = [command for command in found if command[1] != "set"]  # those: tests/acceptance/test_changed_space.py
    for command in commands:
        assert run(command[1:]) == 0
    assert [message.name for message in recorder.sent] == [command[2] for command in commands]


def test_its_file_has_every_setting_and_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "search.toml"
    file.write_text(blocks("toml")[0])
    found = read_definition_file(str(file))
    assert set(found.settings) == set(Definition.model_fields)
    assert found.limits != Limits()
    assert found.algorithm is not None
    definition = read_definition(found.settings)
    check_definition(found.algorithm, definition)
    assert isinstance(definition.space(), Space)


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)
    assert links
    for link in links:
        assert (DOCUMENT.parent / link).exists(), link


def test_its_entry_point_is_that_of_the_example() -> None:
    example = tomllib.loads((DOCUMENT.parents[1] / "examples" / "own_algorithm" / "pyproject.toml").read_text())
    shown = tomllib.loads(blocks("toml")[1])
    assert shown["project"]["entry-points"] == example["project"]["entry-points"]


def test_the_example_imports_from_the_two_modules_that_algorithms_need() -> None:
    example = (DOCUMENT.parents[1] / "examples" / "own_algorithm" / "hill_climbing.py").read_text()
    assert set(re.findall(r"^from (schedy\S*) import", example, re.MULTILINE)) == {
        "schedy.errors",
        "schedy_store.search.protocol",
    }
