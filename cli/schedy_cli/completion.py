"""The completion of words in a shell: commands, options, and what is in the store.

The shell starts `schedy` with `VARIABLE` set, as click's scripts do, and somebody waits for the answer: whatever fails,
fails without a word. Which words an argument or option takes is told by its name, the same in all commands.
"""

import contextlib
import io
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem, shell_complete

from schedy.search.algorithms import ALGORITHMS, MANUAL
from schedy.settings import Settings
from schedy_cli.context import has_store, settings_of
from schedy_store import completion_words

VARIABLE = "_SCHEDY_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
Find = Callable[[click.Context, str], Iterable[str]]


def complete(group: click.Group, summaries: Mapping[str, str]) -> int:
    """Print the words that the shell asks for; return the exit code. `summaries` are those of the group's commands."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return shell_complete(_Group(group, summaries), {}, "schedy", VARIABLE, os.environ[VARIABLE])
    except Exception:  # whatever is wrong, nothing may be printed into the line that is being typed
        return 1


class _Group(click.Group):
    """Another group, which imports none of its commands to list them, and whose commands know what may be typed."""

    def __init__(self, group: click.Group, summaries: Mapping[str, str]) -> None:
        super().__init__(params=group.params, context_settings=group.context_settings)
        self._group = group
        self._summaries = summaries
        _learn(self)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = self._group.get_command(ctx, cmd_name)
        if command is not None:
            _learn(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Leave out an option whose value is being typed: after it click would forget the arguments."""
        return super().resolve_command(ctx, args[:-1] if len(args) > 1 and args[-1].startswith("-") else args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[str]]":
        names = [name for name in self._summaries if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=self._summaries[name]) for name in names), *options]


def _learn(command: click.Command) -> None:
    """Tell the parameters of a command, and of those below it, what may be typed for them."""
    for param in command.params:
        if param.name in PATHS:
            param.type = PATHS[param.name]
        elif param.name in WORDS and isinstance(param.type, click.types.StringParamType):
            param.type = _Words(WORDS[param.name])
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _learn(below)


class _Words(click.types.StringParamType):
    """Texts of which some are known."""

    def __init__(self, find: Find) -> None:
        self._find = find

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem[str]]":
        with contextlib.suppress(Exception):
            return [
                CompletionItem(_quoted(word)) for word in self._find(ctx, incomplete) if word.startswith(incomplete)
            ]
        return []


def _quoted(word: str) -> str:
    """Return the word as the shell must get it: bash inserts it as it is, the others quote it."""
    return shlex.quote(word) if os.environ.get(VARIABLE, "").startswith("bash") else word


def _stored(find: Callable[..., Sequence[str]], ctx: click.Context, *arguments: Any) -> Sequence[str]:
    """Return what is found in the store if the commands that read it would, too."""
    settings: Settings = settings_of(ctx)
    return find(settings, *arguments) if has_store(settings) else ()


def _experiments(ctx: click.Context, incomplete: str) -> Iterable[str]:
    return _stored(completion_words.experiment_names, ctx, incomplete)


def _names(ctx: click.Context, incomplete: str) -> Iterable[str]:
    return () if ctx.command.name == "add" else _experiments(ctx, incomplete)


def _jobs(ctx: click.Context, incomplete: str) -> Iterable[str]:
    return _stored(completion_words.job_ids, ctx, incomplete, ctx.params["name"])


def _values(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    return _stored(completion_words.value_names, ctx, ctx.params["name"])


def _fields(ctx: click.Context, incomplete: str) -> Iterable[str]:
    from schedy.wire.requests import JOB_COLUMNS  # noqa: PLC0415 - imports all messages

    yield from JOB_COLUMNS
    yield from _values(ctx, incomplete)


def _pruners(_ctx: click.Context, _incomplete: str) -> Iterable[str]:
    from schedy.search.pruners import PRUNERS  # noqa: PLC0415 - imports the definition of searches

    return PRUNERS


def _statuses(_ctx: click.Context, _incomplete: str) -> Iterable[str]:
    from schedy_cli.parsing.push_files import PUSHED_STATUSES  # noqa: PLC0415 - imports the reading of files

    return PUSHED_STATUSES


WORDS: dict[str | None, Find] = {
    "name": _names,
    "names": _names,
    "from_experiments": _experiments,
    "job": _jobs,
    "jobs": _jobs,
    "sort": _fields,
    "fields": _fields,
    "hyperparameters": _values,
    "results": _values,
    "algorithm": lambda _ctx, _incomplete: (MANUAL, *ALGORITHMS),
    "pruner": _pruners,
    "status": _statuses,
}
PATHS: dict[str | None, click.Path] = {
    "source": click.Path(),
    "output": click.Path(),
    "file": click.Path(),
    "config": click.Path(),
    "data_dir": click.Path(file_okay=False),
}
