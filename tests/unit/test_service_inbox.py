"""The service's inbox: what is taken together, and what a lost connection leaves."""

from typing import cast

from schedy.amqp.channel import Channel, Incoming
from schedy.errors import BrokerError
from schedy_store.lifecycle.tickets import TicketKey
from schedy_store.search.wire import ProcessEnded
from schedy_store.service.inbox import Arrivals, Inbox

ENDED = ProcessEnded(process="", reason="The search process ended with code 1.")


def incoming(tag: int, *, kind: str = "claim", body: bytes = b"") -> Incoming:
    return Incoming(cast("Channel", None), tag, body, f"report.{kind}", None, None, None)


def take(inbox: Inbox, *, most: int = 10, most_bytes: int = 1000) -> Arrivals:
    return inbox.take(wait_seconds=0, most=most, most_bytes=most_bytes)


def tags(arrivals: Arrivals) -> list[int]:
    return [delivery.tag for delivery in arrivals.deliveries]


def test_deliveries_are_taken_in_order_and_in_batches() -> None:
    inbox = Inbox()
    for tag in range(5):
        inbox.put_delivery(incoming(tag))
    assert [tags(take(inbox, most=3)) for _ in range(3)] == [[0, 1, 2], [3, 4], []]


def test_a_batch_ends_with_the_delivery_that_exceeds_its_bytes() -> None:
    inbox = Inbox()
    for tag in range(3):
        inbox.put_delivery(incoming(tag, body=b"x" * 600))
    assert [tags(take(inbox)) for _ in range(2)] == [[0, 1], [2]]


def test_a_lone_heartbeat_is_delivered_after_a_moment() -> None:
    inbox = Inbox()
    inbox.put_delivery(incoming(1, kind="heartbeat"))
    assert tags(take(inbox)) == [1]


def test_outcomes_are_taken_once() -> None:
    inbox = Inbox()
    inbox.put_confirmed(TicketKey(1, 1))
    inbox.put_returned(TicketKey(2, 1))
    inbox.put_queue_length(7, 0)
    inbox.put_recreated("E")
    inbox.put_answer(ENDED)
    arrivals = take(inbox)
    assert (arrivals.confirmed, arrivals.returned, arrivals.queue_lengths) == ([(1, 1)], [(2, 1)], {7: 0})
    assert (arrivals.recreated, arrivals.answers) == ({"E"}, [ENDED])
    assert arrivals.has_outcomes
    assert not take(inbox).has_outcomes


def test_tickets_that_are_confirmed_and_not_taken_are_known() -> None:
    inbox = Inbox()
    inbox.put_confirmed(TicketKey(1, 1))
    inbox.put_confirmed(TicketKey(2, 5))
    assert inbox.confirmed_of({2, 3}) == [2]
    take(inbox)
    assert inbox.confirmed_of({2, 3}) == []


def test_a_lost_connection_takes_back_what_was_delivered_and_leaves_what_it_did_not_bring() -> None:
    inbox = Inbox()
    inbox.connected()
    inbox.put_delivery(incoming(1))
    inbox.put_confirmed(TicketKey(1, 1))
    inbox.put_recreated("E")
    inbox.put_answer(ENDED)
    inbox.lost(BrokerError("gone"))
    assert not inbox.has_delivered
    arrivals = take(inbox)
    assert (arrivals.deliveries, arrivals.confirmed) == ([], [])
    assert (arrivals.recreated, arrivals.answers) == ({"E"}, [ENDED])
    assert (arrivals.connection, str(arrivals.error)) == (2, "gone")


def test_the_reason_for_a_cut_is_kept_until_there_is_a_connection() -> None:
    inbox = Inbox()
    inbox.channel_failed(BrokerError("A queue is missing."))
    inbox.lost(BrokerError("The connection was cut."))
    assert str(take(inbox).error) == "A queue is missing."
    inbox.connected()
    assert take(inbox).error is None
