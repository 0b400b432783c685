"""docs/cli.md names every command and option that there is, and no other command."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from schedy_cli import commands, main

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"
_HEADING = re.compile(r"^###? (schedy[a-z ]+)$", re.M)


def spellings(command: click.Command) -> list[str]:
    """All options of a command, as they are typed."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    return [spelling for option in options for spelling in (*option.opts, *option.secondary_opts)]


def walk(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, by the words that call them."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name, parent=parent)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            yield from walk(below, f"{name} {word}", context)


COMMANDS = dict(walk(main.schedy, "schedy"))


def section(name: str) -> str:
    """What the document says of a command, up to the next command."""
    text = DOCUMENT.read_text()
    if name == "schedy":
        return text[: next(_HEADING.finditer(text)).start()]
    parts = _HEADING.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[name]


def test_the_sections_are_the_commands() -> None:
    assert sorted(["schedy", *_HEADING.findall(DOCUMENT.read_text())]) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_text_that_is_a_sentence(name: str) -> None:
    text = (COMMANDS[name].help or "").strip()
    assert text
    assert text[0].isupper()
    assert text.endswith(".")


def test_the_table_of_commands_has_every_module_and_a_sentence_of_each() -> None:
    modules = {path.stem for path in Path(commands.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(main._COMMANDS) == modules
    for name, summary in main._COMMANDS.items():
        assert re.fullmatch(r"[A-Z].{,68}\.", summary), name


LEAVES = [name for name, command in COMMANDS.items() if not isinstance(command, click.Group)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_an_example_that_is_understood(name: str) -> None:
    epilog = str(COMMANDS[name].epilog).replace("\\\n", " ")
    examples = [shlex.split(each) for each in re.findall(r"schedy .*", epilog)]
    assert examples
    assert "Example" in epilog
    for example in examples:
        found = max((leaf for leaf in LEAVES if f"{' '.join(example)} ".startswith(f"{leaf} ")), key=len, default=None)
        arguments = example[len(str(found).split()) :]
        assert found is None or COMMANDS[found].make_context(found, arguments, help_option_names=["-h", "--help"])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_an_option_is_one_short_sentence(name: str) -> None:
    options = [param for param in COMMANDS[name].params if isinstance(param, click.Option)]
    for option in options:
        assert re.fullmatch(r"[A-Z-].{,78}\.", option.help or ""), option.opts


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_stands_in_the_section_of_its_command(name: str) -> None:
    missing = [
        spelling
        for spelling in spellings(COMMANDS[name])
        if not re.search(rf"`{re.escape(spelling)}[` ]", section(name))
    ]
    assert missing == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_section_lists_no_option_that_is_not_there(name: str) -> None:
    known = {*spellings(COMMANDS[name]), "-h", "--help"}
    listed = {
        spelling
        for row in re.findall(r"^\| (`-.*?) \| ", section(name), re.M)
        for spelling in re.findall(r"`(--?[a-z-]+)", row)
        if not row.startswith("`-p x") and not row.startswith("`-p day") and not row.startswith("`-p opt")
    }
    assert listed <= known
