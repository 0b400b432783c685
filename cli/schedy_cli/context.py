"""What commands need from the settings: a session with the broker, or a reader of the store."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Protocol

import click

from schedy.errors import StoreError
from schedy.settings import DEFAULT_BROKER_URL, Settings, load_settings
from schedy.wire.answers import expected
from schedy.wire.base import A
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import GetExperiments, Request

_PATIENCE_SECONDS = 10.0


def settings_of(ctx: click.Context, **override: Any) -> Settings:
    """Return the settings under the options of the `schedy` command. Raises SettingsError."""
    options: dict[str, Any] = ctx.find_root().obj or {}
    return load_settings(options.get("config_path"), override={**options.get("override", {}), **override})


class Reader(Protocol):
    """Answers reads, from the store itself or through the results service."""

    def ask(self, request: Request[A], *, patience_seconds: float | None = None) -> A:
        """Return the answer. Raises SchedyError for a refusal, and when nothing answers in time."""
        ...


@contextlib.contextmanager
def session_for(settings: Settings) -> Iterator[Any]:
    """Open a session with the broker for the length of a command; it waits seconds, not minutes."""
    from schedy.worker.session import Session  # noqa: PLC0415 - not needed by commands that read the store

    patient = settings.model_copy(update={"service_wait_seconds": _PATIENCE_SECONDS})
    session = Session(patient, role="cli")
    try:
        yield session
    finally:
        session.close()


@contextlib.contextmanager
def reader_for(settings: Settings) -> Iterator[Reader]:
    """Read the store directly where one is configured or lies in the data folder, else ask the results service."""
    if _has_store(settings):
        with contextlib.closing(_StoreReader(settings)) as store:
            yield store
        return
    with session_for(settings) as session:
        yield _ServiceReader(session)


@contextlib.contextmanager
def session_and_reader(settings: Settings) -> Iterator[tuple[Any, Reader]]:
    """Open what a command needs that looks first and then changes something."""
    with session_for(settings) as session:
        if _has_store(settings):
            with contextlib.closing(_StoreReader(settings)) as store:
                yield session, store
        else:
            yield session, _ServiceReader(session)


def _has_store(settings: Settings) -> bool:
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
        from schedy_store.reads import answer_request  # noqa: PLC0415

        with self._store.transaction() as transaction:
            return expected(request, answer_request(transaction, request))


class _ServiceReader:
    def __init__(self, session: Any) -> None:
        self._session = session

    def ask(self, request: Request[A], *, patience_seconds: float | None = None) -> A:
        answer: A = self._session.read(request, patience_seconds=patience_seconds)
        return answer


def find_experiment(reader: Reader, name: str) -> ExperimentRecord:
    """Return the experiment of that name. Raises NotFoundError with close names."""
    return reader.ask(GetExperiments(name=name)).experiments[0]


def ask_first(question: str) -> None:
    """Ask before something is lost. Raises click.Abort for a no, click.UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is no terminal to ask at; --force does it without asking.")
    click.confirm(question, abort=True, err=True)
