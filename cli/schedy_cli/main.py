"""The `schedy` command: imports its subcommands, and turns errors into exit codes in one place.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import atexit
import contextlib
import difflib
import errno
import gc
import importlib
import io
import logging
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

import click

from schedy.errors import InvalidValueError, NotStoredYetError, SchedyError, SettingsError
from schedy_cli.printing.messages import EscapingFormatter, name_options, print_message

_COMMANDS = {
    "up": "Start a broker, the store and the results service on this machine.",
    "down": "Stop what `schedy up` has started.",
    "status": "Show what runs on this machine.",
    "ui": "Serve the web pages.",
    "serve": "Run the results service alone.",
    "doctor": "Check the broker, the store and the results service.",
    "broker": "Set up an existing RabbitMQ broker.",
    "add": "Add an experiment.",
    "push": "Push a job, or many from a file.",
    "ask": "Print what a search would try next.",
    "tell": "Store a result that was found elsewhere.",
    "run": "Run a program as the worker of an experiment.",
    "list": "List experiments, or the jobs of one.",
    "show": "Show an experiment or a job.",
    "output": "Show what a job has written, and the traceback of its error.",
    "plot": "Draw plots of an experiment: a page, a picture, or in the terminal.",
    "importance": "Print which hyperparameters matter.",
    "tree": "Print which jobs continue which.",
    "why": "Explain how a search has come to a job.",
    "best": "Show the best job of an experiment, and how to run it again.",
    "compare": "Print experiments beside each other.",
    "watch": "Watch a search until it has ended.",
    "export": "Write the jobs of an experiment to a file, or to Optuna.",
    "set": "Change the status, the limits or the search of an experiment.",
    "rm": "Remove an experiment or a job.",
    "pause": "Stop starting jobs of an experiment.",
    "resume": "Resume a paused experiment.",
    "cancel": "Cancel queued or running jobs.",
    "retry": "Queue finished jobs again.",
    "history": "Show the history of an experiment or a job.",
    "log": "Show the latest events, and follow them.",
    "workers": "List the workers.",
    "store": "Take care of the store: give room back.",
    "dead": "List, replay or drop messages that could not be processed.",
    "completion": "Print the script for completion in a shell.",
}
"""The commands with their summaries. The command NAME is `NAME_command` in `schedy_cli.commands.NAME`."""


_COLLECTED_AFTER = (50_000, 20, 20)
"""Objects after which garbage is looked for: imports alone make 300,000, none of them garbage."""
_COMPLETE = "_SCHEDY_COMPLETE"
"""The environment variable by which a shell asks for the completion of a word."""
_OF_THE_SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENFILE)
"""Errors of the machine, its disks and its permissions."""
_OTHER_NAMES = {
    "up": ("start", "init"),
    "down": ("stop", "quit"),
    "add": ("create", "new"),
    "push": ("submit", "enqueue"),
    "ask": ("suggest", "propose", "next"),
    "tell": ("observe", "report"),
    "run": ("work", "worker", "agent"),
    "list": ("ls", "jobs", "trials", "experiments"),
    "show": ("info", "describe", "get"),
    "set": ("edit", "update", "change"),
    "rm": ("delete", "remove", "del"),
    "cancel": ("kill", "abort"),
    "retry": ("rerun", "requeue"),
    "log": ("logs", "events", "tail"),
    "workers": ("ps",),
    "best": ("result", "results"),
    "watch": ("top", "monitor", "progress"),
    "plot": ("graph",),
    "ui": ("dashboard", "web", "serve-ui"),
    "export": ("csv", "download"),
}
"""Names that other tools have for a command."""


class LazyGroup(click.Group):
    """Imports the module of a command only when the command is used."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word, *rest = args
        if word == "version":
            return self.resolve_command(ctx, ["--version"])
        if word == "help":
            return self.resolve_command(ctx, [*rest, "--help"])
        if word in _COMMANDS or word.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        same = [name for name, others in _OTHER_NAMES.items() if word in others and name in _COMMANDS]
        close = [*same, *difflib.get_close_matches(word, _COMMANDS, n=1)]
        hint = f"Did you mean {close[0]!r}?" if close else "`schedy --help` lists the commands."
        raise click.UsageError(f"No such command {word!r}. {hint}")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"schedy_cli.commands.{cmd_name}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: schedy --data-dir /scratch/ada up",
)
@click.option("--config", metavar="FILE", help="Read settings from FILE (default: config.toml in the data folder).")
@click.option("--data-dir", metavar="DIR", help="Keep store, private broker and logs in DIR (default: ~/.schedy).")
@click.version_option(package_name="schedy-mq", prog_name="schedy")
def schedy(config: str | None, data_dir: str | None) -> None:
    """Hand hyperparameter jobs to a cluster of workers, and keep what they report."""
    name_options(config, data_dir)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    gc.set_threshold(*_COLLECTED_AFTER)
    _leave(run(arguments))


def _leave(code: int) -> None:
    """Exit without taking all modules apart, which takes as long as a short command, unless a thread goes on."""
    if threading.active_count() > 1:
        sys.exit(code)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    if _COMPLETE in os.environ:
        from schedy_cli.completion import complete  # noqa: PLC0415 - only a shell needs it

        return complete(schedy, _COMMANDS)
    if logging.lastResort is not None:  # prints the warnings of the library
        logging.lastResort.setFormatter(EscapingFormatter("%(message)s"))
    try:
        outcome: Any = schedy.main(args=arguments, prog_name="schedy", standalone_mode=False, color=_colour())
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_quietly()
    except click.ClickException as error:
        return _report(_shown(error), error.exit_code)
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("SCHEDY_LOG_LEVEL", "").upper() == "DEBUG":
            raise
        return _report(*_explained(error))
    return outcome if isinstance(outcome, int) else 0


def _explained(error: BaseException) -> tuple[str, int]:
    """Return the message for an error, and the exit code."""
    match error:
        case click.Abort() | KeyboardInterrupt():
            is_answer = isinstance(error, click.Abort) and error.__cause__ is None  # to a question
            return "Stopped; nothing was done." if is_answer else "Interrupted.", 130
        case NotStoredYetError():
            return str(error), 0
        case SettingsError() | InvalidValueError():
            from schedy.search.errors import message_of  # noqa: PLC0415 - `schedy --help` does without them
            from schedy_cli.parsing.setting_options import as_option  # noqa: PLC0415

            return f"Error: {message_of(error, as_option)}", 2
        case SchedyError():
            return f"Error: {error}", 1
        case OSError() if error.errno in _OF_THE_SYSTEM:
            return f"Error: {error.filename or 'The output cannot be written'}: {error.strerror}.", 1
    fault = f"{type(error).__name__}: {error}"
    return f"Error: {fault}. This is a bug in Schedy; SCHEDY_LOG_LEVEL=DEBUG shows where.", 1


def _colour() -> bool | None:
    """Return False where colours are not wanted (https://no-color.org), None to use them on a terminal."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if is_plain else None


def _shown(error: click.ClickException) -> str:
    text = io.StringIO()
    error.show(text)
    return text.getvalue().removesuffix("\n")


def _report(text: str, code: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        print_message(text)
    return code


def _leave_quietly() -> int:
    """Exit as click does when the reader of our output is gone (`schedy list | head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


if __name__ == "__main__":
    main()
