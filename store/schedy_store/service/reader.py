"""Answering requests, beside the reports."""

import logging
import queue
import threading

from schedy.amqp.channel import Incoming
from schedy.errors import SchedyError
from schedy.wire.answers import Refusal
from schedy.wire.requests import Request
from schedy.wire.versions import UndecodableError
from schedy_store.reads import answer_request
from schedy_store.schema.engine import Store
from schedy_store.service.broker.link import Link
from schedy_store.service.decoding import decode_checked

_log = logging.getLogger(__name__)

_END_SECONDS = 5.0


class Reader:
    """Answers requests over a read-only connection to the store, so that none delays a report.

    Lives in a thread of its own, which the service thread starts and ends. Any thread may put into `requests`.
    """

    def __init__(self, store_url: str) -> None:
        """Open the store. Raises StoreError."""
        self.requests: queue.SimpleQueue[Incoming | None] = queue.SimpleQueue()
        self._store = Store.open(store_url, read_only=True)
        self._thread: threading.Thread | None = None

    def start(self, link: Link) -> None:
        self._thread = threading.Thread(target=self._run, args=(link,), name="schedy-reads", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self.requests.put(None)
        if self._thread is not None:
            self._thread.join(_END_SECONDS)
        self._store.close()

    def _run(self, link: Link) -> None:
        while (incoming := self.requests.get()) is not None:
            try:
                self._answer(link, incoming)
            except UndecodableError as error:
                link.reply(incoming, Refusal(code="invalid", reason=f"The request cannot be read: {error}"))
            except SchedyError as error:
                _log.debug("A request was not answered: %s", error)
            except Exception:
                _log.exception("A request failed")
            link.ack_one(incoming)

    def _answer(self, link: Link, incoming: Incoming) -> None:
        message = decode_checked(incoming)
        if isinstance(message, Request):
            with self._store.transaction() as transaction:
                link.reply(incoming, answer_request(transaction, message))
