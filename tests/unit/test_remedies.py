"""Each command, option, setting, extra and document that a message of the program names exists.

Looked for are the texts in the source, docstrings included (those of commands are their help), and the documents.
"""

import ast
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from schedy.settings import _OTHER_VARIABLES, ENVIRONMENT_PREFIX, Settings
from tests.unit.test_docs_cli import COMMANDS, spellings

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("schedy", "cli", "broker_setup", "store") for path in (ROOT / folder).rglob("*.py")]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_COMMANDS = re.compile(r"schedy (?:help.*|version|gen-token|list, 10 jobs|(?:worker|cli|service) \S+:\S+.*)")
"""Help and version, one of another program, a row of the benchmarks, names of connections."""
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

_PLACEHOLDER = "X"
_COMMAND = re.compile(r"`((?:\$ )?schedy -?-?[a-z][^`\n]*)`|^(?: {4}\$ |Example: )(schedy [^\n|>&]+)", re.M)
_VARIABLE = re.compile(r"\bSCHEDY_[A-Z]\w*")
_SETTING = re.compile(r"(?:\b[Tt]he setting (\w+_\w+)|\b(\w+_\w+) in the settings)")
_EXTRA = re.compile(r"schedy-mq\[(\w+)\]")
_DOCUMENT = re.compile(r"\bdocs/([\w-]+\.md)(?:#([\w-]+)|, ([A-Z][\w ]+))?")


def text_of(node: ast.expr) -> str | None:
    """The text of a literal; what an f-string fills in is a placeholder. None for other expressions."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or _PLACEHOLDER for part in node.values)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "schedy_words":
        words = [text_of(argument) or _PLACEHOLDER for argument in node.args]
        return f"`schedy {' '.join(words)}`"
    return None


def texts(path: Path) -> Iterator[str]:
    """The texts of a module, or a document."""
    if path.suffix == ".md":
        yield path.read_text()
        return
    for node in ast.walk(ast.parse(path.read_text())):
        found = text_of(node) if isinstance(node, ast.expr) else None
        if found:
            yield found


def wrong_command(words: list[str]) -> str:
    """What is wrong with `schedy WORDS`: a command or an option that does not exist; empty if nothing is."""
    name, command = "schedy", COMMANDS["schedy"]
    rest = iter(words)
    for word in rest:
        if word == "--":  # a program follows, or words that are no options
            break
        if word.startswith("-") and word != "-":
            option, is_given, _value = word.partition("=")
            known = [*spellings(command), "-h", "--help"]
            if option not in known and "(" not in next(rest, ""):  # a hyperparameter may be written as an option
                return f"{name} has no option {option}"
            if option in known and not is_given and name == "schedy":
                next(rest, None)
        elif isinstance(command, click.Group) and word != "...":
            if f"{name} {word}" not in COMMANDS:
                return "" if command.invoke_without_command else f"there is no command {name} {word}"
            name, command = f"{name} {word}", COMMANDS[f"{name} {word}"]
    return ""


def commands(text: str) -> Iterator[str]:
    for quoted, example in _COMMAND.findall(text):
        written = (quoted or example).removeprefix("$ ")
        if NOT_COMMANDS.fullmatch(written):
            continue
        try:
            words = shlex.split(written)[1:]
        except ValueError:  # the example goes on in the next line
            words = written.split()[1:]
        if fault := wrong_command(words):
            yield f"`{written}`: {fault}"


def variables(text: str) -> Iterator[str]:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields} | _OTHER_VARIABLES
    for name in _VARIABLE.findall(text):
        if name not in known and not name.startswith(("SCHEDY_TEST_", "SCHEDY_CHAOS_", "SCHEDY_X")) and name[-1] != "_":
            yield f"there is no variable {name}"


def settings(text: str) -> Iterator[str]:
    for name in filter(None, [name for pair in _SETTING.findall(text) for name in pair]):
        if name not in Settings.model_fields:
            yield f"there is no setting {name}"


def extras(text: str) -> Iterator[str]:
    yield from (f"there is no extra {name}" for name in _EXTRA.findall(text) if name not in EXTRAS | {_PLACEHOLDER: []})


def documents(text: str) -> Iterator[str]:
    for name, anchor, heading in _DOCUMENT.findall(text):
        path = ROOT / "docs" / name
        titles = re.findall(r"^#+ (.*)$", path.read_text(), re.M) if path.exists() else []
        anchors = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
        if not titles or (anchor and anchor not in anchors) or (heading and heading not in titles):
            yield f"there is no docs/{name} {anchor or heading}"


CHECKS: list[Callable[[str], Iterator[str]]] = [commands, variables, settings, extras, documents]


@pytest.mark.parametrize("check", CHECKS)
def test_what_the_program_names_exists(check: Callable[[str], Iterator[str]]) -> None:
    faults = [
        f"{path.relative_to(ROOT)}: {fault}"
        for path in [*SOURCES, *DOCUMENTS]
        for text in texts(path)
        for fault in check(text)
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (commands, "Run `schedy server`."),
        (commands, "Run `schedy serve --migrat`, or nothing."),
        (commands, "`schedy --data-dir DIR frobnicate`"),
        (commands, "`schedy broker set-up`"),
        (commands, "Examples:\n\nExample: schedy list --limt 3"),
        (variables, "Set SCHEDY_BROKER_ULR."),
        (settings, "Raise max_message_byte in the settings."),
        (settings, "The setting broker_ulr is wrong."),
        (extras, "pip install 'schedy-mq[optuno]'"),
        (documents, "see docs/clusters.md"),
        (documents, "see docs/cluster.md#who-may"),
        (documents, "see docs/cluster.md, Who may"),
    ],
)
def test_what_does_not_exist_is_noticed(check: Callable[[str], Iterator[str]], text: str) -> None:
    assert len(list(check(text))) == 1
