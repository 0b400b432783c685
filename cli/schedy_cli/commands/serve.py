"""`schedy serve`."""

import logging
import sys
from pathlib import Path
from types import FrameType

import click

from schedy.errors import SchedyError
from schedy.urls import without_password
from schedy_cli.context import settings_of
from schedy_cli.log_file import LogFile
from schedy_cli.printing.messages import EscapingFormatter
from schedy_cli.signals import stop_on_signals

_log = logging.getLogger("schedy.serve")

_SWITCH_SECONDS = 0.0005
"""Time for which a thread that runs Python may keep the others waiting, a tenth of the usual: the I/O thread has little
to do, and often.
"""


@click.command("serve", epilog="Example: schedy serve --migrate")
@click.option("--migrate", is_flag=True, help="Upgrade a store of an older version first; SQLite gets a backup.")
@click.option(
    "--log-file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Log to FILE, which becomes FILE.1 at 10 MB, up to FILE.3 (default: stderr).",
)
@click.pass_context
def serve_command(ctx: click.Context, *, migrate: bool, log_file: Path | None) -> None:
    """Run the results service in the foreground until SIGTERM, Ctrl-C or the end of the terminal.

    Several instances may run, on one machine or many: one is active, and another takes over when it ends.
    """
    from schedy_broker_setup.serving import ServedBroker  # noqa: PLC0415 - heavy, and only this command serves
    from schedy_store.schema.engine import Store  # noqa: PLC0415
    from schedy_store.service.loop import ResultsService  # noqa: PLC0415

    sys.setswitchinterval(_SWITCH_SECONDS)
    settings = settings_of(ctx)
    start_logging(settings.log_level, log_file)
    store = Store.open(settings.effective_store_url)

    broker = ServedBroker(settings.broker_url, settings.broker_tls)
    service = ResultsService(settings, store, broker=broker, migrate_older=migrate)

    def _stop(_number: int, _frame: FrameType | None) -> None:
        service.stop()

    stop_on_signals(_stop)
    _log.info("Serving %s with the store %s", without_password(settings.broker_url), without_password(store.url))
    try:
        service.run()
    finally:
        store.close()


def start_logging(level: str, file: Path | None = None) -> None:
    """Log to a file or stderr, with timestamps. Raises SchedyError if there can be no such file."""
    try:
        handler = logging.StreamHandler() if file is None else LogFile(file)
    except OSError as error:
        raise SchedyError(f"The log {file} cannot be written: {error.strerror}.") from None
    handler.setFormatter(EscapingFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    if level != "DEBUG":
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # we log its errors ourselves, once
