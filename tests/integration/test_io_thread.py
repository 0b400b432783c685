"""Classes of the I/O thread refuse to be called from another one."""

import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from schedy.amqp.channel import Channel
from schedy.amqp.connection import Connection
from schedy.settings import Settings
from schedy_store.service.broker.channels import Channels
from schedy_store.service.inbox import Inbox


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    connected: Future[None] = Future()
    opened = Connection(
        settings,
        name="test",
        on_connected=lambda: connected.set_result(None),
        on_lost=connected.set_exception,
    )
    opened.start()
    connected.result(10.0)
    yield opened
    opened.close(5.0)


@pytest.fixture
def channel(connection: Connection) -> Channel:
    opened: Future[Channel] = Future()
    connection.run(lambda: connection.open_channel(opened.set_result, lambda _channel, _error: None))
    return opened.result(10.0)


def in_io_thread(connection: Connection, action: Callable[[], object]) -> object:
    """Return the action's result, or raise what it raised in the I/O thread."""
    done: Future[object] = Future()

    def _act() -> None:
        try:
            done.set_result(action())
        except Exception as error:
            done.set_exception(error)

    connection.run(_act)
    return done.result(10.0)


def test_a_timer_is_set_in_the_io_thread_only(connection: Connection) -> None:
    with pytest.raises(RuntimeError, match=r"Connection\.later was called in the thread 'MainThread'"):
        connection.later(1.0, lambda: None)
    timer = in_io_thread(connection, lambda: connection.later(60.0, lambda: None))
    in_io_thread(connection, lambda: connection.cancel_timer(timer))


def test_a_channel_is_used_in_the_io_thread_only(connection: Connection, channel: Channel) -> None:
    with pytest.raises(RuntimeError, match=r"Channel\.unconfirmed .* Hand the call to Connection\.run\.$"):
        channel.unconfirmed()
    assert in_io_thread(connection, channel.unconfirmed) == []


def entries(part: object) -> Iterator[tuple[str, Callable[..., object]]]:
    """The public methods of a part, by their names."""
    for name, method in inspect.getmembers(part, inspect.ismethod):
        if not name.startswith("_"):
            yield f"{type(part).__name__}.{name}", method


@pytest.fixture
def channels(settings: Settings) -> Iterator[Channels]:
    opened = Channels(settings, Inbox(), instance="test", on_request=lambda _request: None)
    opened.connection.start()
    yield opened
    opened.connection.close(5.0)


def test_the_parts_of_the_service_are_called_in_the_io_thread_only(channels: Channels) -> None:
    parts = [
        part for part in vars(channels).values() if type(part).__module__.startswith("schedy_store.service.broker")
    ]
    checked = []
    for part in (*parts, channels.queues.steps):
        for name, method in entries(part):
            parameters = inspect.signature(method).parameters.values()
            named = {each.name: None for each in parameters if each.kind is each.KEYWORD_ONLY}
            arguments = [None] * (len(parameters) - len(named))
            with pytest.raises(
                RuntimeError, match=rf"^{type(part).__name__}\.\w+ was called in the thread 'MainThread'"
            ):
                method(*arguments, **named)
            checked.append(name)
    assert {"Replies.hold", "TicketPublisher.publish", "JobsQueues.recover", "ChannelSteps.put"} <= set(checked)
