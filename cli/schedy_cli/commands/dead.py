"""`schedy dead`: messages that could not be processed."""

import dataclasses
from collections.abc import Iterable

import click

from schedy.escaping import printable
from schedy_broker_setup.dead_letters import (
    DeadLetter,
    Fate,
    dead_letters,
    drop_dead_letters,
    replay_dead_letters,
)
from schedy_cli.context import ask_first, settings_of
from schedy_cli.interruption import accounted
from schedy_cli.parsing.option_groups import FORCE_OPTION, JSON_OPTION
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.tables import print_table
from schedy_cli.printing.text import JsonForm, json_line, local_time, print_paragraphs

_HEADER = ("number", "routing key", "kind", "user", "reason", "body")
_BODY_CHARACTERS = 60
_LEFT = "`schedy dead` lists those that are left."
_INTERRUPTED = f"Perhaps one message was done. {_LEFT}"

_numbers_argument = click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=click.IntRange(min=1))


@click.group("dead", invoke_without_command=True, epilog="Example: schedy dead -v")
@click.option("-v", "--verbose", is_flag=True, help="Print whole messages, with the time of each.")
@JSON_OPTION
@click.pass_context
def dead_command(ctx: click.Context, *, verbose: bool, as_json: JsonForm | None) -> None:
    """List messages that the results service could not process, oldest first, with the reasons.

    They stay in the list. Once the cause is fixed, replay them: schedy dead replay.
    """
    if ctx.invoked_subcommand is not None:
        if verbose or as_json is not None:
            raise click.UsageError(
                f"-v and --json apply to the list, not to {ctx.invoked_subcommand!r}: leave them out."
            )
        return
    settings = settings_of(ctx)
    whole = verbose or as_json is not None
    letters = dead_letters(settings.broker_url, limit=None, whole=whole, tls=settings.broker_tls)
    if as_json is not None:
        for letter in letters:
            click.echo(_json(letter, as_json))
    elif verbose:
        print_paragraphs(map(_paragraph, letters))
    else:
        print_table(_HEADER, map(_row, letters))


@dead_command.command(
    "replay", epilog="Example: schedy dead replay 1 2", short_help="Replay messages once the cause is fixed."
)
@_numbers_argument
@click.option("--all", "everything", is_flag=True, help="Replay all messages.")
@click.pass_context
def replay_command(ctx: click.Context, *, numbers: tuple[int, ...], everything: bool) -> int:
    """Replay messages, by their numbers in `schedy dead`: they are processed as if they had just arrived.

    Messages that still cannot be processed return to the end of the list. Tickets, the offers of jobs to workers, are
    dropped: the service publishes new ones. Needs the broker URL of the service user or an administrator.
    """
    chosen = _chosen(numbers, everything=everything)
    fates: list[Fate] = []
    settings = settings_of(ctx)
    with accounted(lambda: _account(len(fates)), nothing=_INTERRUPTED):
        for letter, fate in replay_dead_letters(settings.broker_url, chosen, tls=settings.broker_tls):
            fates.append(fate)
            click.echo(f"{letter.number}\t{_name(letter)}\t{fate.value}", err=fate is Fate.LEFT)
    if not fates:
        print_message("There are no messages to replay.")
    return 1 if Fate.LEFT in fates else 0


@dead_command.command("drop", epilog="Example: schedy dead drop 1", short_help="Delete messages for good.")
@_numbers_argument
@click.option("--all", "everything", is_flag=True, help="Drop all messages.")
@FORCE_OPTION
@click.pass_context
def drop_command(ctx: click.Context, *, numbers: tuple[int, ...], everything: bool, force: bool) -> None:
    """Delete messages for good, by their numbers in `schedy dead`, after confirmation."""
    settings = settings_of(ctx)
    chosen = _chosen(numbers, everything=everything)
    if not force:
        ask_first("Drop all dead letters for good?" if chosen is None else f"Drop {_listed(chosen)} for good?")
    dropped: list[int] = []
    with accounted(lambda: _account(len(dropped)), nothing=_INTERRUPTED):
        for letter in drop_dead_letters(settings.broker_url, chosen, tls=settings.broker_tls):
            dropped.append(letter.number)
            click.echo(f"{letter.number}\t{_name(letter)}\tdropped")
    if not dropped:
        print_message("There are no messages to drop.")


def _chosen(numbers: tuple[int, ...], *, everything: bool) -> set[int] | None:
    """Return the numbers, None for all. Raises click.UsageError if neither or both are given."""
    if bool(numbers) == everything:
        raise click.UsageError("Give the numbers that `schedy dead` prints, or --all.")
    return None if everything else set(numbers)


def _account(count: int) -> str:
    return f"Done: {count} message(s), and perhaps the next one. {_LEFT}" if count else ""


def _listed(numbers: Iterable[int]) -> str:
    return f"dead letter {', '.join(str(number) for number in sorted(numbers))}"


def _name(letter: DeadLetter) -> str:
    return printable(" ".join(filter(None, [letter.routing_key, f"of {letter.user}" if letter.user else ""])))


def _row(letter: DeadLetter) -> list[str]:
    texts = (letter.routing_key, letter.kind, letter.user, letter.reason, letter.body[:_BODY_CHARACTERS])
    return [str(letter.number), *map(printable, texts)]


def _paragraph(letter: DeadLetter) -> str:
    lines = [
        ("Number", str(letter.number)),
        ("Reason", letter.reason),
        ("Routing key", letter.routing_key),
        ("Kind", letter.kind),
        ("User", letter.user),
        ("Message id", letter.message_id),
        ("Time", "" if letter.at is None else local_time(letter.at)),
        ("Body", letter.body),
    ]
    return "\n".join(f"{label}: {printable(text)}" for label, text in lines if text)


def _json(letter: DeadLetter, form: JsonForm) -> str:
    names = [field.name for field in dataclasses.fields(letter) if field.name != "content"]
    return json_line({name: getattr(letter, name) for name in names}, form)
