"""The context of a command: its settings, a session with the broker, a reader of the store."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from schedy.errors import StoreError
from schedy.escaping import printable
from schedy.results.lines import JobLine, JobNote, PointLine, ask_jobs, ask_notes, ask_points
from schedy.settings import DEFAULT_BROKER_URL, Settings, load_settings, origin_of
from schedy.wire.answers import expected
from schedy.wire.base import A, JobStatus
from schedy.wire.requests import Request
from schedy_cli.reading import Reader

if TYPE_CHECKING:
    from schedy.worker.session import Session

_PATIENCE_SECONDS = 10.0


def settings_of(ctx: click.Context, *, broker_url: str | None = None) -> Settings:
    """Return the settings under the options before the command, and under `broker_url`. Raises SettingsError."""
    options: dict[str, Any] = ctx.find_root().params
    override = {"data_dir": options.get("data_dir"), "broker_url": broker_url}
    return load_settings(options.get("config"), override={name: value for name, value in override.items() if value})


def broker_origin(ctx: click.Context) -> str | None:
    """Return where the URL of the broker is configured, None if nowhere; see `schedy.settings.origin_of`."""
    options: dict[str, Any] = ctx.find_root().params
    override = {"data_dir": options["data_dir"]} if options.get("data_dir") else {}
    return origin_of("broker_url", options.get("config"), override=override)


@contextlib.contextmanager
def session_for(settings: Settings) -> Iterator["Session"]:
    """Open a session with the broker for the length of a command; it waits seconds, not minutes."""
    from schedy.worker.session import Session  # noqa: PLC0415 - commands that read the store do without it

    patient = settings.model_copy(update={"service_wait_seconds": _PATIENCE_SECONDS})
    session = Session(patient, role="cli")
    try:
        yield session
    finally:
        session.close()


@contextlib.contextmanager
def reader_for(settings: Settings) -> Iterator[Reader]:
    """Read the store directly if one is configured or in the data folder, else ask the results service."""
    if has_store(settings):
        with contextlib.closing(_StoreReader(settings)) as store:
            yield store
        return
    with session_for(settings) as session:
        yield _ServiceReader(session)


@contextlib.contextmanager
def session_and_reader(settings: Settings) -> Iterator[tuple["Session", Reader]]:
    """Open both for a command that reads before it changes something."""
    with session_for(settings) as session:
        if has_store(settings):
            with contextlib.closing(_StoreReader(settings)) as store:
                yield session, store
        else:
            yield session, _ServiceReader(session)


def has_store(settings: Settings) -> bool:
    """Return true if commands that only read do so in the store itself."""
    if settings.store_url is not None:
        return True
    return settings.broker_url == DEFAULT_BROKER_URL and settings.sqlite_path.exists()


class _StoreReader:
    def __init__(self, settings: Settings) -> None:
        from schedy_store.schema.engine import Store  # noqa: PLC0415 - imports SQLAlchemy

        self._store = Store.open(settings.effective_store_url, read_only=True)
        try:
            self._store.check_schema()
        except StoreError:
            self._store.close()
            raise

    def close(self) -> None:
        self._store.close()

    def ask(self, request: Request[A], *, patience_seconds: float | None = None) -> A:
        from schedy_store.reads import answer_request  # noqa: PLC0415 - imports SQLAlchemy

        with self._store.transaction() as transaction:
            return expected(request, answer_request(transaction, request))

    def job_lines(self, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobLine]]:
        from schedy_store.reads.lines import job_lines  # noqa: PLC0415 - imports SQLAlchemy

        return job_lines(self._store, uid, statuses)

    def job_notes(self, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobNote]]:
        from schedy_store.reads.lines import job_notes  # noqa: PLC0415 - imports SQLAlchemy

        return job_notes(self._store, uid, statuses)

    def point_lines(self, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[PointLine]]:
        from schedy_store.reads.lines import point_lines  # noqa: PLC0415 - imports SQLAlchemy

        return point_lines(self._store, uid, statuses)


class _ServiceReader:
    def __init__(self, session: "Session") -> None:
        self._session = session

    def ask(self, request: Request[A], *, patience_seconds: float | None = None) -> A:
        return self._session.read(request, patience_seconds=patience_seconds)

    def job_lines(self, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobLine]]:
        return ask_jobs(self.ask, uid, statuses)

    def job_notes(self, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobNote]]:
        return ask_notes(self.ask, uid, statuses)

    def point_lines(self, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[PointLine]]:
        return ask_points(self.ask, uid, statuses)


def ask_first(question: str) -> None:
    """Ask for confirmation. Raises click.Abort for a no, click.UsageError where there is no terminal to ask on."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is no terminal to ask on: use --force to do it without asking.")
    click.confirm(printable(question), abort=True, err=True)
