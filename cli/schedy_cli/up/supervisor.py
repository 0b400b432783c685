"""The work of `schedy up`: a broker, the topology, the store and the results service on this machine."""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

from schedy.errors import SchedyError
from schedy.settings import Settings
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.node.processes import Process
from schedy_cli.signals import stop_on_signals
from schedy_cli.up.broker_choice import BrokerOptions, choose_broker
from schedy_cli.up.pages_process import PagesProcess
from schedy_cli.up.ports import Ports
from schedy_cli.up.private_broker import PrivateBroker
from schedy_cli.up.run_record import RunRecord
from schedy_cli.up.service_process import ServiceProcess
from schedy_store.schema.engine import Store

_WATCH_SECONDS = 0.5
_RESTART_PAUSE_SECONDS = 2.0


class _StopRequested(Exception):
    """A signal to stop has come."""


class Supervisor:
    """Starts the parts in order, restarts those that end, and stops those that it has started in reverse order."""

    def __init__(
        self,
        settings: Settings,
        options: BrokerOptions,
        *,
        migrate: bool,
        origin: str | None,
        say: Callable[[str], None],
    ) -> None:
        """`migrate`: upgrade an older store; `origin`: where the URL of the broker is configured, None if nowhere."""
        self._settings = settings
        self._options = options
        self._migrate = migrate
        self._origin = origin
        self._print = say
        self._ports: Ports | None = None
        self._broker: PrivateBroker | None = None
        self._service: ServiceProcess | None = None
        self._pages: PagesProcess | None = None
        self._record: RunRecord | None = None
        self._stop_requested = False

    def run(self, announce: Callable[[RunRecord], None]) -> None:
        """Start everything, call `announce`, and watch until SIGINT, SIGTERM or SIGHUP; then stop everything.

        Raises SchedyError if a part cannot be started; nothing is left running then.
        """
        stop_on_signals(self._request_stop)
        try:
            record, service = self._start()
            announce(record)
            self._watch(record, service)
        except _StopRequested:
            self._say("Stopping ...")
        finally:
            self._stop()

    def _request_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Only set a flag: an exception here could come between the start of a process and its record."""
        self._stop_requested = True

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be closed
            self._print(text)

    def _check_stop(self) -> None:
        if self._stop_requested:
            raise _StopRequested

    def _start(self) -> tuple[RunRecord, ServiceProcess]:
        me = Process.find(os.getpid())
        if me is None:
            raise SchedyError("/proc is not readable here; `schedy up` needs it. Run `schedy serve` instead.")
        store_url = self._settings.effective_store_url
        record = RunRecord(supervisor=me, broker_url=self._settings.broker_url, store_url=store_url)
        choice = choose_broker(self._settings, self._options, origin=self._origin)
        with contextlib.closing(Store.open(store_url)) as store:
            upgraded = store.migrate(from_older=self._migrate)
        record = replace(record, notes=[*choice.notes, *([upgraded] if upgraded else [])])
        if choice.is_private:
            record = self._start_broker(record)
        self._save(record)
        setup(record.broker_url, tls=self._settings.broker_tls)
        self._service = service = ServiceProcess(self._settings, broker_url=record.broker_url, store_url=store_url)
        record = self._start_service(record, service)
        service.wait_until_it_answers(self._check_stop)
        if self._ports is not None:
            self._ports.save(self._settings.data_dir)  # not before: the note about a change is seen only now
        return self._save(replace(self._start_pages(record), ready=True)), service

    def _start_broker(self, record: RunRecord) -> RunRecord:
        self._say("Starting a private RabbitMQ node ...")
        self._ports = ports = Ports.choose(self._settings.data_dir, amqp=self._options.port)
        listen = self._options.listen
        self._broker = broker = PrivateBroker(self._settings.data_dir, ports=ports, listen=listen)
        broker.start(self._check_stop)
        return replace(
            record,
            notes=[*record.notes, *ports.notes],
            listen=listen,
            broker_url=broker.url,
            management_url=broker.management_url,
            worker_urls=broker.open_to_cluster(),
        )

    def _start_service(self, record: RunRecord, service: ServiceProcess) -> RunRecord:
        record = self._save(replace(record, service=service.start()))
        self._check_stop()
        return record

    def _start_pages(self, record: RunRecord) -> RunRecord:
        """Start the web pages if they are installed."""
        if self._pages is None:
            self._pages = PagesProcess.choose(self._settings, broker_url=record.broker_url, store_url=record.store_url)
        if self._pages is None:
            return record
        return replace(record, pages=self._pages.start(), pages_port=self._pages.port)

    def _watch(self, record: RunRecord, service: ServiceProcess) -> None:
        """Restart the parts that end."""
        while True:
            time.sleep(_WATCH_SECONDS)
            self._check_stop()
            if self._broker is not None and not self._broker.is_running():
                self._say("The RabbitMQ node has ended; starting it again.")
                time.sleep(_RESTART_PAUSE_SECONDS)
                self._broker.start(self._check_stop)
            if service.has_ended():
                self._say(f"The results service has ended ({service.last_log_line()}); starting it again.")
                time.sleep(_RESTART_PAUSE_SECONDS)
                record = self._start_service(record, service)
            if self._pages is not None and self._pages.has_ended():
                self._say(f"The web pages have ended ({self._pages.last_log_line()}); starting them again.")
                time.sleep(_RESTART_PAUSE_SECONDS)
                record = self._save(self._start_pages(record))

    def _stop(self) -> None:
        if self._pages is not None:
            self._pages.stop()
        if self._service is not None:
            self._service.stop()
        if self._broker is not None:
            self._broker.stop()
        if self._ports is not None:
            self._ports.close()
        if self._record is not None:
            self._settings.run_file.unlink(missing_ok=True)

    def _save(self, record: RunRecord) -> RunRecord:
        self._record = record
        record.save(self._settings.run_file)
        return record
