"""The floor: the same work by plain pika, without a store, leases, or anyone who decides.

A job is one persistent message in a quorum queue, published with a confirm and `mandatory`. A worker takes it,
publishes one report message with a confirm, and acknowledges.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pika
from pika.channel import Channel

REPORTS_SUFFIX = ".reports"

_BODY = b'{"schema_version":1,"kind":"ticket","job_id":"fVKGjg","hyperparameters":{"x":1,"y":2}}'
_PROPERTIES = pika.BasicProperties(content_type="application/json", delivery_mode=2)
_IDLE_SECONDS = 0.5


def declare(url: str, queue: str) -> None:
    """Make an empty queue for jobs and one for reports."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for name in (queue, queue + REPORTS_SUFFIX):
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_purge(name)
    connection.close()


def delete(url: str, queue: str) -> None:
    """Delete both: what nobody takes is kept by the broker in memory, and written to the disk some time."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for name in (queue, queue + REPORTS_SUFFIX):
        channel.queue_delete(name)
    connection.close()


class Pusher:
    """Pushes one job at a time, each confirmed before the next."""

    def __init__(self, url: str, queue: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        self._queue = queue

    def push(self) -> None:
        self._channel.basic_publish("", self._queue, _BODY, _PROPERTIES, mandatory=True)

    def close(self) -> None:
        self._connection.close()


def push_pipelined(url: str, queue: str, count: int) -> float:
    """Push many jobs without waiting in between; return the seconds until all are confirmed."""
    return publish_pipelined(url, [("", queue, _BODY, _PROPERTIES)] * count)


def publish_pipelined(url: str, messages: Sequence[tuple[str, str, bytes, pika.BasicProperties]]) -> float:
    """Publish messages (exchange, routing key, body, properties); return the seconds until all are confirmed."""
    times: list[float] = []
    unconfirmed = dict.fromkeys(range(1, len(messages) + 1))

    def _opened(channel: Channel) -> None:
        channel.confirm_delivery(_confirmed, callback=lambda _ok: _publish(channel))

    def _publish(channel: Channel) -> None:
        times.append(time.perf_counter())
        for exchange, routing_key, body, properties in messages:
            channel.basic_publish(exchange, routing_key, body, properties, mandatory=True)

    def _confirmed(frame: Any) -> None:
        tag = frame.method.delivery_tag
        if frame.method.multiple:
            for number in list(itertools.takewhile(lambda number: number <= tag, unconfirmed)):
                del unconfirmed[number]
        unconfirmed.pop(tag, None)
        if not unconfirmed:
            times.append(time.perf_counter())
            connection.close()

    connection = pika.SelectConnection(
        pika.URLParameters(url),
        on_open_callback=lambda opened: opened.channel(on_open_callback=_opened),
        on_close_callback=lambda closed, _reason: closed.ioloop.stop(),
    )
    connection.ioloop.start()
    return times[-1] - times[0]


@contextlib.contextmanager
def worker(url: str) -> Iterator[Callable[[str, bool, Callable[[], None]], Iterator[float]]]:
    """Connect; give what does the jobs of a queue and yields when each began, as `benchmarks.worker` wants it."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_qos(prefetch_count=1)

    def _work(queue: str, waits: bool, on_ready: Callable[[], None]) -> Iterator[float]:
        on_ready()
        for method, _properties, _body in channel.consume(queue, inactivity_timeout=None if waits else _IDLE_SECONDS):
            if method is None or method.delivery_tag is None:
                break
            yield time.perf_counter()
            channel.basic_publish("", queue + REPORTS_SUFFIX, _BODY, _PROPERTIES, mandatory=True)
            channel.basic_ack(method.delivery_tag)
        channel.cancel()

    yield _work
    connection.close()


class PipelinedWorker:
    """What pika can do at most: SelectConnection, two reports a job, acknowledged once both are confirmed."""

    def __init__(self, url: str, prefetch: int) -> None:
        self._url = url
        self._prefetch = prefetch

    def work(self, queue: str, _waits: bool, on_ready: Callable[[], None]) -> Iterator[float]:
        """Do the jobs of a queue until none comes for a while; then yield when each began."""
        draining = _Draining(queue, self._prefetch, on_ready)
        draining.connection = pika.SelectConnection(
            pika.URLParameters(self._url),
            on_open_callback=lambda opened: opened.channel(on_open_callback=draining.opened),
            on_close_callback=lambda closed, _reason: closed.ioloop.stop(),
        )
        draining.connection.ioloop.start()
        yield from draining.moments


class _Draining:
    """A queue that is being emptied, all in callbacks of pika."""

    connection: pika.SelectConnection

    def __init__(self, queue: str, prefetch: int, on_ready: Callable[[], None]) -> None:
        self.moments: list[float] = []
        self._queue = queue
        self._prefetch = prefetch
        self._on_ready = on_ready
        self._published = 0
        self._jobs: dict[int, int] = {}
        """Deliveries by the numbers of their second reports."""

    def opened(self, channel: Channel) -> None:
        channel.confirm_delivery(lambda frame: self._confirmed(channel, frame), callback=lambda _ok: self._go(channel))

    def _go(self, channel: Channel) -> None:
        self._on_ready()
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(self._queue, self._delivered)
        self._end_if_idle(None)

    def _delivered(self, channel: Channel, method: Any, _properties: object, _body: bytes) -> None:
        self.moments.append(time.perf_counter())
        for _ in range(2):
            channel.basic_publish("", self._queue + REPORTS_SUFFIX, _BODY, _PROPERTIES, mandatory=True)
        self._published += 2
        self._jobs[self._published] = method.delivery_tag

    def _confirmed(self, channel: Channel, frame: Any) -> None:
        tag = frame.method.delivery_tag
        for number in [number for number in self._jobs if number <= tag] if frame.method.multiple else [tag]:
            if number in self._jobs:
                channel.basic_ack(self._jobs.pop(number))

    def _end_if_idle(self, seen: int | None) -> None:
        """End once no job has come for a while; `seen` had come before."""
        count = len(self.moments)
        if count == seen:
            self.connection.close()
        else:
            self.connection.ioloop.call_later(_IDLE_SECONDS, lambda: self._end_if_idle(count))
