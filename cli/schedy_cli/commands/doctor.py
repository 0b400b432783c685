"""`schedy doctor`."""

import shlex
from collections.abc import Iterator

import click

from schedy.errors import PermissionDeniedError, SchedyError
from schedy.escaping import printable, printable_lines
from schedy.settings import Settings
from schedy.urls import without_password
from schedy.wire.requests import GetExperiments
from schedy.worker.undelivered import kept_files, named
from schedy_broker_setup.dead_letters import dead_letters
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.doctor.checks import broker_checks
from schedy_cli.context import session_for, settings_of
from schedy_cli.home_check import home_checks
from schedy_cli.policy_check import policies
from schedy_cli.printing.messages import with_options
from schedy_store.reads.given_back import GivenBack, given_back_often
from schedy_store.schema.engine import Store

_LITTLE_ROOM_BYTES = 20_000_000
_NAMED_JOBS = 3
_COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "red", Status.UNKNOWN: "cyan"}


@click.command("doctor", epilog="Example: schedy doctor -v")
@click.option("-v", "--verbose", is_flag=True, help="Also print the first dead letters, with the reasons.")
@click.pass_context
def doctor_command(ctx: click.Context, *, verbose: bool) -> int:
    """Check the broker, the store and the results service, and print a remedy for each problem.

    The exit code is 1 if a check failed. *unknown* is what this user may not see; that is not a failure.
    """
    settings = settings_of(ctx)
    failed = False
    for check in _checks(settings):
        failed = failed or check.status is Status.FAILED
        status = click.style(f"{check.status.value:8}", fg=_COLOURS[check.status])
        click.echo(f"{status} {check.name}: {printable_lines(with_options(check.detail))}")
        if check.remedy:
            click.echo(f"        -> {printable_lines(with_options(check.remedy))}")
    if verbose:
        _show_dead_letters(settings)
    return 1 if failed else 0


def _checks(settings: Settings) -> Iterator[Check]:
    broker = broker_checks(settings.broker_url, tls=settings.broker_tls)
    yield from broker
    if broker[0].status is Status.OK:
        if all(check.status is not Status.FAILED for check in broker):
            yield _service_check(settings)
        yield from policies(settings)
    store, *room = _store_checks(settings)
    yield from (store, *room)
    if broker[0].status is Status.OK and store.status is Status.OK:
        yield from home_checks(settings)
    yield from _kept_results(settings)


def _service_check(settings: Settings) -> Check:
    try:
        with session_for(settings) as session:
            session.read(GetExperiments(limit=1), patience_seconds=5.0)
    except PermissionDeniedError:
        return Check(
            name="answers",
            status=Status.UNKNOWN,
            detail="This user may not ask the results service.",
            remedy="To check that it answers, run this as the worker or the pusher user.",
        )
    except SchedyError as error:
        return Check(name="answers", status=Status.FAILED, detail=str(error))
    return Check(name="answers", status=Status.OK, detail="The results service answers.")


def _store_checks(settings: Settings) -> Iterator[Check]:
    """Check the store, and its disk if that is nearly full. A worker's machine has none, which is not a failure."""
    place = without_password(settings.effective_store_url)
    if settings.store_url is None and not settings.sqlite_path.exists():
        yield Check(
            name="store",
            status=Status.UNKNOWN,
            detail="No store is configured here; only the results service needs one.",
            remedy="To check it, run this on the machine of the service, or set SCHEDY_STORE_URL.",
        )
        return
    try:
        store = Store.open(settings.effective_store_url, read_only=True)
        try:
            store.check_schema()
            free = store.free_bytes()
            with store.transaction() as transaction:
                often = given_back_often(transaction)
        finally:
            store.close()
    except SchedyError as error:
        yield Check(name="store", status=Status.FAILED, detail=str(error))
        return
    yield Check(name="store", status=Status.OK, detail=f"{place} is reachable and up to date.")
    if free is not None and free < _LITTLE_ROOM_BYTES:
        yield Check(
            name="room",
            status=Status.FAILED,
            detail=f"The disk of the store has {free / 1_000_000:.1f} MB left: soon nothing can be stored.",
            remedy="Make room; reports wait in the broker until there is some.",
        )
    if often:
        yield given_back_check(often)


def given_back_check(often: list[GivenBack]) -> Check:
    """Warn of jobs that are given back again and again, the first of which are named."""
    named = ", ".join(f"{job.experiment} {job.job_id} ({job.releases} times)" for job in often[:_NAMED_JOBS])
    more = f" and {len(often) - _NAMED_JOBS} more" if len(often) > _NAMED_JOBS else ""
    worst = f"{shlex.quote(often[0].experiment)} {shlex.quote(often[0].job_id)}"
    return Check(
        name="given back",
        status=Status.WARNING,
        detail=f"Given back again and again without a report in between: {named}{more}.",
        remedy="Their program ends itself without an error, or is always stopped before it reports anything (`put`,"
        f" `report`). `schedy history {worst}` names the workers. Mend the program, or end the job: `schedy cancel"
        f" {worst}`. The service's setting max_releases, by default 100, ends it in the end.",
    )


def _kept_results(settings: Settings) -> Iterator[Check]:
    """Warn of results that workers on this machine could not deliver."""
    for file in kept_files(settings):
        how = "start a worker here, or `schedy up`"
        if not file.is_for(settings):
            how = f"run `schedy up` if its broker was {file.brokers[0]}; else set SCHEDY_BROKER_URL to that, with the"
            how += " password, and start a worker here"
        yield Check(
            name="kept results",
            status=Status.WARNING,
            detail=f"The results of {named(file.jobs)} were not delivered, and wait in {file.path}.",
            remedy=f"To deliver them, {how}.",
        )


def _show_dead_letters(settings: Settings) -> None:
    try:
        letters = dead_letters(settings.broker_url, tls=settings.broker_tls)
    except SchedyError as error:
        click.echo(f"The dead letters cannot be read: {printable_lines(str(error))}")
        return
    for letter in letters:
        click.echo(f"dead letter {letter.number}: {printable(letter.routing_key)}: {printable(letter.reason)}")
        click.echo(f"        {printable(letter.body)}")
