"""The description that `schedy up` and `schedy status` print: URLs, logins, and what to type next."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from schedy.errors import SchedyError
from schedy.settings import Settings, load_settings
from schedy.urls import without_password
from schedy.wire.requests import GetExperiments
from schedy_cli.context import reader_for
from schedy_cli.up.broker_choice import removal_of
from schedy_cli.up.run_record import RunRecord
from schedy_web.tokens import TOKENS_FILE, Tokens


def description(record: RunRecord, settings: Settings, *, origin: str | None, verbose: bool = False) -> str:
    """Return the description of what runs; `origin`: where the URL of the broker is configured, None if nowhere."""
    return "\n".join(
        [*_lines(record, settings, verbose=verbose), *_notes(record, settings, origin), *_next(record, settings)]
    )


def _lines(record: RunRecord, settings: Settings, *, verbose: bool) -> Iterator[str]:
    yield "Schedy is up." if record.ready else "Schedy is starting."
    if record.ready:
        yield f"  Dashboard      {_dashboard(record, settings)}"
    yield f"  Broker         {record.broker_url if record.has_own_broker else without_password(record.broker_url)}"
    if record.management_url is not None and (verbose or record.pages_port is None):
        parts = urlsplit(record.management_url)
        place = f"http://{parts.hostname}:{parts.port}/"
        yield f"  Management UI  {place}  user {parts.username}, password {parts.password}"
    yield f"  Store          {without_password(record.store_url)}"
    yield f"  Logs           {settings.data_dir}/service.log"
    if record.worker_urls:
        yield "On worker machines:"
        yield f"  export SCHEDY_BROKER_URL={shlex.quote(record.worker_urls[0])}"
        yield "On machines that push jobs:"
        yield f"  export SCHEDY_BROKER_URL={shlex.quote(record.worker_urls[1])}"


def _dashboard(record: RunRecord, settings: Settings) -> str:
    """Return the link to the web pages, which may change something; or how to install them."""
    if record.pages_port is None:
        return "not installed: pip install 'schedy-mq[web]', then `schedy down` and `schedy up`"
    tokens = Tokens.kept(settings.data_dir / TOKENS_FILE)
    return f"http://127.0.0.1:{record.pages_port}/?token={tokens.operate}"


def _notes(record: RunRecord, settings: Settings, origin: str | None) -> Iterator[str]:
    for note in record.notes:
        yield f"Note: {note}"
    if origin is not None and _place(settings.broker_url) != _place(record.broker_url):
        yield (
            f"Note: {origin} names another broker here, {without_password(settings.broker_url)}, and commands use that"
            f" one. To use this one: {removal_of(origin)}."
        )


def _place(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return parts.hostname, parts.port


def _next(record: RunRecord, settings: Settings) -> Iterator[str]:
    """Return the first steps while there is no experiment."""
    if not record.ready or _has_experiments(record, settings):
        return
    command = shell_command(settings)
    yield "Next:"
    yield f"  {command} add MinimizeManual manual"
    yield f"  {command} push MinimizeManual -p x 1 y 2"
    yield f"  {command} list -l MinimizeManual"


def _has_experiments(record: RunRecord, settings: Settings) -> bool:
    here = settings.model_copy(update={"broker_url": record.broker_url, "store_url": record.store_url})
    try:
        with reader_for(here) as reader:
            return bool(reader.ask(GetExperiments(limit=1)).experiments)
    except SchedyError:
        return True  # not the time for first steps


def shell_command(settings: Settings) -> str:
    """Return the words that call this `schedy` with the same data folder."""
    beside = Path(sys.executable).parent / "schedy"
    command = shlex.quote(str(beside)) if beside.exists() else "schedy"
    if load_settings().data_dir == settings.data_dir:
        return command
    return f"{command} --data-dir {shlex.quote(str(settings.data_dir))}"
