"""The worker's classes of the I/O thread refuse to be called from another one. No broker is needed for that."""

from collections.abc import Callable, Iterator

import pytest

from schedy.amqp.channel import Outgoing
from schedy.errors import BrokerError
from schedy.settings import load_settings
from schedy.wire.requests import GetExperiments
from schedy.worker.call import Call
from schedy.worker.call_table import CallTable
from schedy.worker.calls import Calls
from schedy.worker.heartbeats import Heartbeats
from schedy.worker.holds import Presence
from schedy.worker.leases import Leases
from schedy.worker.taker import Taker
from schedy.worker.ticket_claims import Taking
from schedy.worker.tickets import TicketChannels
from schedy.worker.worker_name import this_worker


@pytest.fixture
def calls() -> Iterator[Calls]:
    """Calls over a connection to a port where nothing listens."""
    settings = load_settings(override={"broker_url": "amqp://guest:guest@127.0.0.1:1/%2F"}, environment={})
    made = Calls(settings, connection_name="test")
    made.start()
    yield made
    made.close(5.0)


def entries(calls: Calls) -> dict[str, Callable[[], object]]:
    table: CallTable = calls._table
    call = Call(Outgoing("", "", b"", "", "id"), False, None)
    heartbeats = Heartbeats(calls, Presence(this_worker()), lease_seconds=1.0)
    channels = TicketChannels(calls.connection, consumer_tag="test")
    leases = Leases(calls, this_worker(), lease_seconds=1.0)
    taking = Taking(calls, leases, channels, this_worker(), load_settings(environment={}))
    taker = Taker(taking, experiment_name="E", experiment_uid="a" * 32, prefetch=1, stays=True, ahead=True)
    return {
        "CallTable.submit": lambda: table.submit(call),
        "CallTable.send_waiting": table.send_waiting,
        "CallTable.forget": lambda: table.forget(call),
        "CallTable.unfinished": table.unfinished,
        "Heartbeats.start": heartbeats.start,
        "Heartbeats.beat_now": heartbeats.connected,
        "Heartbeats.keep": lambda: heartbeats.keep(1.0),
        "TicketChannels.connected": channels.connected,
        "TicketChannels.lost": lambda: channels.lost(BrokerError("lost")),
        "TicketChannels.ended": channels.ended,
        "TicketChannels.stop": channels.stop,
        "TicketChannels.end": channels.end,
        "Taker.go_on": taker.go_on,
        "Taker.end": taker.end,
    }


def test_every_entry_finds_a_call_from_another_thread(calls: Calls) -> None:
    for name, entry in entries(calls).items():
        with pytest.raises(RuntimeError, match=rf"{name} was called in the thread 'MainThread'"):
            entry()


def test_a_call_after_the_end_fails_at_once(calls: Calls) -> None:
    calls.close(5.0)
    with pytest.raises(BrokerError, match="was closed"):
        calls.call(GetExperiments()).answer.result(0.0)


def test_the_end_fails_the_calls_that_wait(calls: Calls) -> None:
    waiting = calls.call(GetExperiments())
    calls.close(5.0)
    with pytest.raises(BrokerError, match="was closed"):
        waiting.answer.result(5.0)
