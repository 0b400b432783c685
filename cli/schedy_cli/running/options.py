"""The options of `schedy run` beside its experiment."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import click

from schedy_cli.running.command_line import JOB_TOKENS, CommandLine


@dataclass(frozen=True)
class RunOptions:
    """What runs, and how."""

    command: CommandLine
    jobs: int
    patterns: Sequence[re.Pattern[str]]
    grace_seconds: float
    stop_signals: Sequence[str]
    until_empty: bool
    verbose: bool


def check_tokens(command: CommandLine, experiment: str, hyperparameters: Sequence[str]) -> None:
    """Raise click.UsageError for a token that stands for nothing."""
    unknown = command.unknown(hyperparameters)
    if unknown:
        tokens = ", ".join(f"{{{name}}}" for name in (*hyperparameters, *JOB_TOKENS))
        raise click.UsageError(
            f"{{{unknown[0]}}} stands for nothing. {experiment} has {tokens}."
            f" Write {{{{{unknown[0]}}}}} for the text itself."
        )
