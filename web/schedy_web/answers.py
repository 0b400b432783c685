"""Answers that are made once however many ask: kept by their address until the store has changed."""

import gzip
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

_MOST_KEPT = 500
_MOST_BYTES_KEPT = 2_000_000
_SMALL_BYTES = 1000
_LONGEST_SECONDS = 5.0


@dataclass(frozen=True)
class Body:
    """The body of an answer: compressed once, with the tag by which a browser asks whether it has changed."""

    plain: bytes
    packed: bytes | None
    tag: str

    @classmethod
    def of(cls, plain: bytes) -> "Body":
        packed = gzip.compress(plain, 5, mtime=0) if len(plain) > _SMALL_BYTES else None
        return cls(plain, packed, f'"{hashlib.blake2b(plain, digest_size=12).hexdigest()}"')


@dataclass
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    body: Body | None = None
    version: int = -1
    made_at: float = 0.0


class KeptAnswers:
    """The latest answers. Any thread may use it; those who ask for the same wait for one of them to make it."""

    def __init__(self, version: Callable[[], int], *, longest_seconds: float = _LONGEST_SECONDS) -> None:
        """`version` returns a number that grows with each change of the store.

        After `longest_seconds` an answer is made again without a change: that a service is silent is seen by the clock.
        """
        self.version = version
        self._longest_seconds = longest_seconds
        self._expired_at = 0.0
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], bytes], *, seconds: float) -> Body:
        """Return the answer of that key; made again if the store has changed, and it is older than some seconds."""
        kept = self._entry(key)
        with kept.lock:
            version, now = self.version(), time.monotonic()
            due = seconds if kept.version != version else max(seconds, self._longest_seconds)
            if kept.body is None or now - kept.made_at >= due or kept.made_at <= self._expired_at:
                body = Body.of(make())
                kept.body = body if len(body.plain) <= _MOST_BYTES_KEPT else None
                kept.version, kept.made_at = version, now
                return body
            return kept.body

    def expire(self) -> None:
        """Make every answer again when it is next asked for: those who have changed something want to see it."""
        self._expired_at = time.monotonic()

    def _entry(self, key: str) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
            return kept
