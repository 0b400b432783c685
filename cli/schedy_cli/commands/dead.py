"""`schedy dead`: what could not be handled."""

import dataclasses
from collections.abc import Iterable

import click

from schedy_broker_setup.dead_letters import (
    DeadLetter,
    Fate,
    dead_letters,
    drop_dead_letters,
    replay_dead_letters,
)
from schedy_cli.commands.list import JSON_OPTION
from schedy_cli.context import ask_first, settings_of
from schedy_cli.printing.jobs import any_json, local_time, print_table, printable

_HEADER = ("number", "routing key", "kind", "user", "reason", "body")
_BODY_CHARACTERS = 60

_numbers_argument = click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=click.IntRange(min=1))


@click.group("dead", invoke_without_command=True)
@click.option("-v", "--verbose", is_flag=True, help="Show all of each message, and when it came.")
@JSON_OPTION
@click.pass_context
def dead_command(ctx: click.Context, verbose: bool, as_json: bool) -> None:
    """List what the results service could not handle, oldest first, with the reasons.

    It stays where it is. Once the cause is mended, put it back: schedy dead replay.
    """
    if ctx.invoked_subcommand is not None:
        if verbose or as_json:
            raise click.UsageError("-v and --json are for the list: leave out the command behind them.")
        return
    settings = settings_of(ctx)
    whole = verbose or as_json
    letters = dead_letters(settings.broker_url, limit=None, whole=whole, tls=settings.broker_tls)
    if as_json:
        for letter in letters:
            click.echo(_json(letter))
    elif verbose:
        click.echo("\n\n".join(_paragraph(letter) for letter in letters), nl=bool(letters))
    else:
        print_table(_HEADER, [_row(letter) for letter in letters])


@dead_command.command("replay")
@_numbers_argument
@click.option("--all", "everything", is_flag=True, help="Put all of them back.")
@click.pass_context
def replay_command(ctx: click.Context, numbers: tuple[int, ...], everything: bool) -> int:
    """Put messages back, by their numbers in `schedy dead`, to be handled as if they had just come.

    What still cannot be handled comes back to the end of the list. A ticket is dropped: the results service publishes a
    new one. Needs the broker URL of the service user or of an administrator.
    """
    chosen = _chosen(numbers, everything)
    left = count = 0
    settings = settings_of(ctx)
    for letter, fate in replay_dead_letters(settings.broker_url, chosen, tls=settings.broker_tls):
        count += 1
        left += fate is Fate.LEFT
        click.echo(f"{letter.number}\t{_name(letter)}\t{fate.value}", err=fate is Fate.LEFT)
    if not count:
        click.echo("There is nothing to put back.", err=True)
    return 1 if left else 0


@dead_command.command("drop")
@_numbers_argument
@click.option("--all", "everything", is_flag=True, help="Drop all of them.")
@click.option("-f", "--force", is_flag=True, help="Do not ask first.")
@click.pass_context
def drop_command(ctx: click.Context, numbers: tuple[int, ...], everything: bool, force: bool) -> None:
    """Delete messages for good, by their numbers in `schedy dead`. It asks first."""
    settings = settings_of(ctx)
    chosen = _chosen(numbers, everything)
    if not force:
        ask_first("Drop all dead letters for good?" if chosen is None else f"Drop {_listed(chosen)} for good?")
    count = 0
    for letter in drop_dead_letters(settings.broker_url, chosen, tls=settings.broker_tls):
        count += 1
        click.echo(f"{letter.number}\t{_name(letter)}\tdropped")
    if not count:
        click.echo("There is nothing to drop.", err=True)


def _chosen(numbers: tuple[int, ...], everything: bool) -> set[int] | None:
    """The numbers, or None for all. Raises click.UsageError if neither or both are given."""
    if bool(numbers) == everything:
        raise click.UsageError("Give the numbers that `schedy dead` shows, or --all.")
    return None if everything else set(numbers)


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
        ("Came", "" if letter.at is None else local_time(letter.at)),
        ("Body", letter.body),
    ]
    return "\n".join(f"{label}: {printable(text)}" for label, text in lines if text)


def _json(letter: DeadLetter) -> str:
    fields = {field.name: getattr(letter, field.name) for field in dataclasses.fields(letter)}
    del fields["content"]
    return any_json(fields)
