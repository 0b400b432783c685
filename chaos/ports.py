"""Ports for servers that go down and come back."""

import random
import socket
from pathlib import Path

_FIRST = 20_000
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def lasting_port() -> int:
    """Return a free port that the system gives to nobody as the near end of a connection.

    Else whoever tries to reach a server that is down may get the server's own port, and meet himself.
    """
    last = int(_RANGE_FILE.read_text().split()[0]) - 1
    while True:
        port = random.randint(_FIRST, last)  # noqa: S311 - not part of what a seed repeats
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
