"""The `schedy` command: finds its subcommands, and turns errors into exit codes in one place.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from schedy.errors import InvalidValueError, NotStoredYetError, SchedyError, SettingsError

_COMMANDS = {
    "up": "up",
    "down": "up",
    "status": "up",
    "serve": "serve",
    "doctor": "doctor",
    "broker": "broker",
    "add": "add",
    "push": "push",
    "list": "list",
    "show": "list",
    "set": "add",
    "rm": "add",
    "pause": "retry",
    "resume": "retry",
    "cancel": "retry",
    "retry": "retry",
    "history": "history",
    "log": "history",
    "workers": "workers",
    "dead": "dead",
}
"""Every command and the module it lives in; the module is imported when the command is used."""

_SUMMARIES = {
    "up": "Start everything on this machine.",
    "down": "Stop what `up` started.",
    "status": "Show what runs on this machine.",
    "serve": "Run the results service alone.",
    "doctor": "Check broker, store and service, and say how to mend them.",
    "broker": "Set up a RabbitMQ that somebody else runs.",
    "add": "Add an experiment.",
    "push": "Push one job, or many from a file.",
    "list": "List experiments, or the jobs of one.",
    "show": "Show an experiment or a job.",
    "set": "Change the status, the limits or the budget of an experiment.",
    "rm": "Remove an experiment or a job.",
    "pause": "Begin no more jobs of an experiment.",
    "resume": "Begin jobs of a paused experiment again.",
    "cancel": "End jobs that nobody wants any more.",
    "retry": "Queue jobs that have ended again.",
    "history": "Show all that happened to an experiment or a job.",
    "log": "Show what happened last, and what happens.",
    "workers": "List the workers.",
    "dead": "List what could not be handled, put it back, or drop it.",
}


class LazyGroup(click.Group):
    """Imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        found: click.Command = getattr(importlib.import_module(f"schedy_cli.commands.{module}"), f"{cmd_name}_command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", metavar="FILE", help="Read settings from FILE instead of ~/.schedy/config.toml.")
@click.option(
    "--data-dir", metavar="DIR", help="Keep the store, the private broker and logs in DIR instead of ~/.schedy."
)
@click.version_option(package_name="schedy-mq", prog_name="schedy")
@click.pass_context
def schedy(ctx: click.Context, config: str | None, data_dir: str | None) -> None:
    """Hand hyperparameter jobs to a cluster of workers, and keep what they report."""
    ctx.obj = {"config_path": config, "override": {"data_dir": data_dir} if data_dir else {}}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    try:
        outcome: Any = schedy.main(args=arguments, prog_name="schedy", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_quietly()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("SCHEDY_LOG_LEVEL", "").upper() == "DEBUG":
            raise
        return _complain(*_explained(error))
    return outcome if isinstance(outcome, int) else 0


def _explained(error: BaseException) -> tuple[str, int]:
    """Return what to say about an error, and the exit code."""
    match error:
        case click.Abort():
            return "Stopped; nothing was done.", 130
        case KeyboardInterrupt():
            return "Interrupted.", 130
        case NotStoredYetError():
            return str(error), 0
        case SettingsError() | InvalidValueError():
            return f"Error: {error}", 2
        case SchedyError():
            return f"Error: {error}", 1
    fault = f"{type(error).__name__}: {error}"
    return f"Error: {fault}. This is a fault of Schedy; SCHEDY_LOG_LEVEL=DEBUG shows where.", 1


def _complain(text: str, code: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        click.echo(text, err=True)
    return code


def _leave_quietly() -> int:
    """Whoever read our output has left (`schedy list | head`): exit as click does then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


if __name__ == "__main__":
    main()
