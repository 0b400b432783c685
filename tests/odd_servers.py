"""Servers that are not RabbitMQ, or not for long: what a client may meet behind a port."""

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from pika import spec
from pika.frame import Method

AMQP_1_0 = b"AMQP\x00\x01\x00\x00"
TLS_ALERT = bytes.fromhex("15030100020246")
"""Fatal, protocol version."""
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>Sorry</h1>\n"
START = Method(
    0, spec.Connection.Start(server_properties={"product": "RabbitMQ", "version": "3.10.8"}, mechanisms="PLAIN")
).marshal()
TUNE = Method(0, spec.Connection.Tune(channel_max=2047, frame_max=131072, heartbeat=60)).marshal()

Answer = Callable[[socket.socket], None]


def _reads_all(client: socket.socket) -> None:
    """Read until the client has given up."""
    while client.recv(4096):
        pass


def _says(*parts: bytes, then: Answer = _reads_all) -> Answer:
    """Answer each message of the client with the next part."""

    def _answer(client: socket.socket) -> None:
        for part in parts:
            client.recv(4096)
            client.sendall(part)
        then(client)

    return _answer


def _greets(greeting: bytes) -> Answer:
    """Speak first."""

    def _answer(client: socket.socket) -> None:
        client.sendall(greeting)
        _reads_all(client)

    return _answer


def _resets(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _closes(_client: socket.socket) -> None:
    """Close at once."""


def noise(seed: int) -> Answer:
    """Answer with random bytes: short or long, some of them like a frame, after a true beginning or none."""
    chance = random.Random(seed)  # noqa: S311 - a test's
    body = chance.randbytes(chance.choice([1, 7, 8, 100, 5000]))
    kind = chance.choice([1, 2, 3, 8])
    framed = struct.pack(">BHL", kind, chance.choice([0, 1]), len(body)) + body + chance.choice([b"\xce", b"\x00"])
    damaged = bytearray(START)
    for _ in range(chance.randint(1, 8)):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    part = chance.choice([body, framed, bytes(damaged), START + body, START + framed, START + TUNE + framed])
    return _says(part, then=chance.choice([_closes, _resets]))


ODD_SERVERS: Mapping[str, Answer] = MappingProxyType(
    {
        "a web server": _says(HTTP, then=_closes),
        "a web server that waits": _says(HTTP),
        "silence": _reads_all,
        "an end at once": _closes,
        "an end after the header": _says(b"", then=_closes),
        "a reset": _says(b"", then=_resets),
        "half a frame and silence": _says(START[: len(START) // 2]),
        "half a frame and an end": _says(START[: len(START) // 2], then=_closes),
        "a start and silence": _says(START),
        "a start and an end": _says(START, b"", then=_closes),
        "a start and a reset": _says(START, b"", then=_resets),
        "a tuning and an end": _says(START, TUNE, b"", then=_closes),
        "a tuning and silence": _says(START, TUNE),
        "AMQP 1.0": _says(AMQP_1_0, then=_closes),
        "a TLS alert": _says(TLS_ALERT, then=_closes),
        "a TLS alert and silence": _says(TLS_ALERT),
        "the greeting of SSH": _greets(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        "the greeting of MySQL": _greets(b"J\x00\x00\x00\n5.7.42\x00"),
    }
)


@contextmanager
def odd_server(answer: Answer) -> Iterator[int]:
    """Give the port of a server that answers each connection so."""
    listener = socket.create_server(("127.0.0.1", 0))

    def _serve() -> None:
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            threading.Thread(target=_answered, args=(client,), daemon=True).start()

    def _answered(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):  # the client may go first
            answer(client)

    threading.Thread(target=_serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
