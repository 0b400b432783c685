"""A TCP forwarder on loopback, to cut, reset and hang connections between Schedy and its servers."""

import contextlib
import select
import socket
import struct
import threading
from typing import Self


class Forwarder:
    """Forwards connections from `port` to a local server, until told otherwise. Thread-safe."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._refusing = False
        self._ended = False
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended = True
        self.resume()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def cut(self, *, reset: bool = False, refuse: bool = False) -> None:
        """Close all connections, with RST if asked; `refuse` closes new ones at once until `resume`."""
        self._refusing = refuse
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    if reset:
                        # Closing sends RST then; the forwarding thread closes when it reads the end.
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)

    def hang(self) -> None:
        """Let nothing through, and keep the connections."""
        self._flowing.clear()

    def resume(self) -> None:
        self._refusing = False
        self._flowing.set()

    def connections(self) -> int:
        """How many connections are forwarded now."""
        with self._lock:
            return sum(1 for incoming, _outgoing in self._pairs if incoming.fileno() != -1)

    def _spawn(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended:
            ready, _, _ = select.select([self._listener], [], [], 0.1)
            if not ready:
                continue
            incoming, _address = self._listener.accept()
            if self._refusing:
                incoming.close()
                continue
            try:
                outgoing = socket.create_connection(self._target)
            except OSError:
                incoming.close()
                continue
            with self._lock:
                self._pairs.append((incoming, outgoing))
            self._spawn(self._forward, incoming, outgoing)

    def _forward(self, one: socket.socket, other: socket.socket) -> None:
        with one, other, contextlib.suppress(OSError):
            while not self._ended:
                ready, _, _ = select.select([one, other], [], [], 0.1)
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    while not self._flowing.wait(0.1):
                        if self._ended:
                            return
                    (other if source is one else one).sendall(data)
