"""The connection to RabbitMQ.

One background thread per `Connection` does all of its I/O: heartbeats, publishes, acks and reconnecting with back-off.
Only `start`, `run`, `drop`, `close` and `abandon` may be called from other threads. All callbacks run
in the I/O thread and must not block. Classes that live in this thread call `assert_io_thread` at their entries.
"""

import logging
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pika
from pika.channel import MAX_CHANNELS
from pika.channel import Channel as PikaChannel

from schedy.amqp.channel import Channel
from schedy.amqp.errors import blocked_error, broker_error
from schedy.amqp.loop import ActionLoop
from schedy.amqp.silence import silent_seconds
from schedy.amqp.transport import RecordingServices, nodes_of
from schedy.errors import BrokerError
from schedy.settings import Settings

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_FAILURE_PAUSE_SECONDS = 1.0
_STEADY_SECONDS = 5.0
"""Time after which a connection counts as steady: pauses between attempts start again from the shortest."""
_LOOK_SECONDS = 2.0
_LONGEST_UNSTEADY_PAUSE_SECONDS = 2.0
"""The longest pause between connections that are made and do not last."""

Timer = object
"""The timer that `Connection.later` returns, for `Connection.cancel_timer`."""


class Connection:
    """A connection that is kept up until `close`.

    `on_connected` is called after each successful connect, `on_lost` with the reason after each loss and each
    failed attempt. An authentication error is reported like the others, and attempts go on, since a password can be
    corrected on the broker; the caller decides when to give up.

    Of several URLs the first is tried first, and the next one after each loss and each failed attempt.

    A connection over which RabbitMQ confirms nothing for long, though it has raised no alarm, is replaced: its flow
    control has cases in which it reads no more from a connection, and nothing else ends that.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        name: str,
        on_connected: Callable[[], None],
        on_lost: Callable[[BrokerError], None],
        on_ended: Callable[[], None] | None = None,
        on_unblocked: Callable[[], None] | None = None,
    ) -> None:
        self._nodes = nodes_of(settings, name=name)
        self._attempts = 0
        """Attempts since the last connection."""
        self._reconnect_max_seconds = settings.reconnect_max_seconds
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_ended = on_ended
        self._on_unblocked = on_unblocked
        self._blocked: BrokerError | None = None
        _quiet_pika()
        self._loop = ActionLoop()
        self._services = RecordingServices(self._loop)
        self._pika: pika.SelectConnection | None = None
        self._pause = _FIRST_PAUSE_SECONDS
        self._opened_at: float | None = None
        """Time at which the live connection was made, by `time.monotonic`."""
        self._open_channels = 0
        self._channels: list[Channel] = []
        self._free_since = 0.0
        """Time at which the last alarm ended, by `time.monotonic`."""
        self._closing = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="schedy-io", daemon=True)

    def start(self) -> None:
        """Start the I/O thread, which connects."""
        self._thread.start()

    def run(self, action: Callable[[], None]) -> None:
        """Run `action` in the I/O thread soon, or never once it has ended; in the order of the calls.

        From anywhere, also from a finaliser or a signal handler: it takes no lock.
        """
        if not self._ended:
            self._loop.run_soon(action)

    @property
    def blocked(self) -> BrokerError | None:
        """The reason why RabbitMQ takes no messages over this connection; None if it takes them."""
        return self._blocked

    @property
    def has_tried_all(self) -> bool:
        """True once every URL was tried since the last connection."""
        return self._attempts >= len(self._nodes)

    @property
    def is_alive(self) -> bool:
        """True while the I/O thread runs."""
        return self._thread.is_alive()

    def assert_io_thread(self) -> None:
        """Raise RuntimeError if the calling method runs in another thread than the I/O thread."""
        if threading.get_ident() != self._thread.ident:
            method = sys._getframe(1).f_code.co_qualname
            raise RuntimeError(
                f"{method} was called in the thread {threading.current_thread().name!r}, but belongs to the"
                f" I/O thread of its connection ({self._thread.name!r}). Hand the call to Connection.run."
            )

    def later(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run `action` after `seconds` (I/O thread only)."""
        self.assert_io_thread()
        return self._loop.call_later(seconds, action)

    def cancel_timer(self, timer: Timer) -> None:
        """Cancel what `later` has scheduled (I/O thread only)."""
        self.assert_io_thread()
        self._loop.remove_timeout(timer)  # type: ignore[arg-type]

    @property
    def free_channels(self) -> int:
        """Number of channels that may be opened on the live connection beside those that are (I/O thread only)."""
        self.assert_io_thread()
        return self.most_channels - self._open_channels

    @property
    def most_channels(self) -> int:
        """Number of channels that client and broker have agreed on, 2047 by default; 0 without a connection."""
        return 0 if self._pika is None else int(self._pika.params.channel_max or MAX_CHANNELS)

    def open_channel(
        self, on_open: Callable[[Channel], None], on_closed: Callable[[Channel, BrokerError], None]
    ) -> None:
        """Open a channel on the live connection (I/O thread only).

        `on_closed` is called when the broker closes the channel: neither after our own `Channel.close`, nor when the
        whole connection goes.
        """
        self.assert_io_thread()
        connection = self._pika
        if connection is None or not connection.is_open:
            return
        channels: list[Channel] = []
        address = self._nodes[0].address

        def _opened(opened: PikaChannel) -> None:
            channels.append(Channel(opened, self.assert_io_thread))
            self._channels.append(channels[0])
            on_open(channels[0])

        pika_channel = connection.channel(on_open_callback=_opened)
        self._open_channels += 1

        def _closed(_channel: object, reason: Exception) -> None:
            if connection is self._pika:
                self._open_channels -= 1
                self._channels = [channel for channel in self._channels if channel not in channels]
            if connection.is_open and channels and not channels[0].closed_by_us:
                on_closed(channels[0], broker_error(reason, address))

        pika_channel.add_on_close_callback(_closed)

    def drop(self) -> None:
        """Cut the connection without a closing handshake; a new one is made. From any thread.

        The broker puts everything unacknowledged back in its old order at once.
        """
        self.run(self._services.shut_down_socket)

    def close(self, timeout_seconds: float) -> None:
        """Close the connection in good order and end the thread. From any thread but the I/O thread."""
        if self._thread.is_alive():
            self.run(self.begin_close)
            self._thread.join(timeout_seconds)

    def abandon(self) -> None:
        """Cut the connection and end the thread, for a service that holds unacknowledged reports. From any thread.

        Earlier actions, an acknowledgement for instance, are sent first, in the turn of the loop before.
        """
        if self._thread.is_alive():
            self.run(lambda: self._loop.add_callback_threadsafe(self.begin_abandon))
            self._thread.join(5.0)

    def close_in_child(self) -> None:
        """Let go of the connection in a forked child, where its thread does not exist."""
        self._services.close_in_child()

    def begin_abandon(self) -> None:
        """Cut the connection and end the thread (I/O thread only)."""
        self.assert_io_thread()
        self._end(self._services.shut_down_socket)

    def begin_close(self) -> None:
        """Close the connection in good order (I/O thread only), unless the broker does not listen."""
        self.assert_io_thread()
        if self._blocked is not None:
            self.begin_abandon()
        else:
            self._end(lambda: self._pika.close() if self._pika is not None else None)

    def _end(self, end_open_connection: Callable[[], None]) -> None:
        """End the thread: by way of `_disconnected`, so that pika closes its socket, unless there is none."""
        self._closing = True
        connection = self._pika
        if connection is None:
            self._loop.stop()
        elif connection.is_open:
            end_open_connection()
        elif self._services.has_socket:
            self._services.shut_down_socket()  # pika 1.4 fails an assertion if it is closed during the handshake
        elif not connection.is_closing:
            connection.close()

    def _run(self) -> None:
        self._loop.thread_id = threading.get_ident()
        self._loop.add_callback_threadsafe(self._connect)
        try:
            while not self._loop_ends():
                pass
        finally:
            self._ended = True
            self._services.shut_down_socket()
            self._loop.close()
            if self._on_ended is not None:
                self._on_ended()

    def _loop_ends(self) -> bool:
        """Run the loop; True when it has ended as asked.

        Whatever fails in it (no file descriptor left for a new socket, a fault of pika or ours) must not end the
        heartbeats: a new connection is made.
        """
        try:
            self._loop.start()
        except Exception as error:
            is_handshake = self._opened_at is None
            if is_handshake:  # what is not AMQP may break anything in pika
                _log.debug("The attempt to connect has failed", exc_info=True)
            else:
                _log.exception("The connection to RabbitMQ failed in an unexpected way; making a new one.")
            self._services.shut_down_socket()
            self._services.forget_socket()
            self._pika = self._blocked = None
            self._opened_at = None
            self._on_lost(
                broker_error(error, self._nodes[0].address)
                if is_handshake
                else BrokerError(f"The connection to RabbitMQ failed: {type(error).__name__}: {error}.")
            )
            self._loop.call_later(_FAILURE_PAUSE_SECONDS, self._connect)
            return False
        return True

    def _connect(self) -> None:
        if self._closing:
            self._loop.stop()
            return
        self._attempts += 1
        self._pika = pika.SelectConnection(
            self._nodes[0].parameters,
            on_open_callback=self._opened,
            on_open_error_callback=self._disconnected,
            on_close_callback=self._disconnected,
            custom_ioloop=self._services,
        )

    def _opened(self, connection: object) -> None:
        if connection is not self._pika:
            return
        self._opened_at = time.monotonic()
        self._open_channels = 0
        self._channels = []
        self._attempts = 0
        if self._pika is not None:
            self._pika.add_on_connection_blocked_callback(self._alarm_raised)
            self._pika.add_on_connection_unblocked_callback(self._alarm_ended)
        self._loop.call_later(_LOOK_SECONDS, lambda: self._look_for_silence(connection))
        self._on_connected()

    def _look_for_silence(self, connection: object) -> None:
        if connection is not self._pika:
            return
        self._loop.call_later(_LOOK_SECONDS, lambda: self._look_for_silence(connection))
        silent = silent_seconds(self._channels, free_since=self._free_since) if self._blocked is None else None
        if silent is not None:
            address = self._nodes[0].address
            _log.warning("RabbitMQ at %s has confirmed nothing for %.0f s; making a new connection.", address, silent)
            self._services.shut_down_socket()

    def _alarm_raised(self, _connection: object, frame: Any) -> None:
        """Note an alarm: RabbitMQ reads no more from publishers. Its heartbeats go on, and the connection stays."""
        self._blocked = blocked_error(self._nodes[0].address, frame.method.reason)
        _log.warning("%s Nothing is lost; waiting.", self._blocked)

    def _alarm_ended(self, *_frames: object) -> None:
        _log.warning("RabbitMQ at %s takes messages again.", self._nodes[0].address)
        self._blocked = None
        self._free_since = time.monotonic()
        if self._on_unblocked is not None:
            self._on_unblocked()

    def _disconnected(self, connection: object, reason: BaseException) -> None:
        if connection is not self._pika:
            return
        self._pika = None
        self._blocked = None
        self._services.forget_socket()
        if self._closing:
            self._loop.stop()
            return
        opened_at, self._opened_at = self._opened_at, None
        error = broker_error(reason, self._nodes[0].address, was_open=opened_at is not None)
        self._loop.call_later(self._next_pause(opened_at), self._connect)
        self._nodes.rotate(-1)
        self._on_lost(error)

    def _next_pause(self, opened_at: float | None) -> float:
        """Return the pause before the next attempt.

        It doubles once every URL was tried, and with each connection that was made (`opened_at`) and did not last.
        """
        if opened_at is not None:
            is_steady = time.monotonic() - opened_at >= _STEADY_SECONDS
            self._pause = _FIRST_PAUSE_SECONDS if is_steady else min(self._pause, _LONGEST_UNSTEADY_PAUSE_SECONDS)
        pause = self._pause
        if self.has_tried_all or opened_at is not None:
            self._pause = min(self._pause * 2, self._reconnect_max_seconds)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads reconnects, hides nothing


def _quiet_pika() -> None:
    """Silence pika's log: lost connections are logged once, here. A level set by the user stays."""
    logger = logging.getLogger("pika")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
