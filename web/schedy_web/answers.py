"""Answers that are made once however many ask: kept by their address until the store has changed."""

import gzip
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

_MOST_KEPT = 300
_MOST_BYTES = 30_000_000
_MOST_BYTES_KEPT = 2_000_000
_SMALL_BYTES = 1000
_LONGEST_SECONDS = 5.0

Tag = Callable[[], object]
"""Returns what an answer depends on, in a form that can be compared."""


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

    @property
    def size(self) -> int:
        return len(self.plain) + len(self.packed or b"")


@dataclass
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    body: Body | None = None
    version: int = -1
    depends: object = None
    checked_at: float = 0.0
    same_at: float = 0.0
    """When the store was last seen to be the same as when it was made."""
    seconds: float = 0.0


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
        self._bytes = 0
        self._lock = threading.Lock()

    def ready(self, key: str) -> Body | None:
        """Return the answer of that key unless it is time to look whether the store has changed. Never waits."""
        with self._lock:
            kept = self._kept.get(key)
        is_due = kept is None or kept.lock.locked() or time.monotonic() - kept.same_at >= kept.seconds
        return None if kept is None or is_due or kept.checked_at <= self._expired_at else kept.body

    def get(self, key: str, make: Callable[[], bytes], *, seconds: float, tag: Tag | None = None) -> Body:
        """Return the answer of that key; made again if the store has changed, and it is older than some seconds.

        With a tag, only if that has changed, too. While one thread makes it, the others get the one before.
        """
        kept = self._entry(key)
        if not kept.lock.acquire(blocking=False):
            before = kept.body if kept.checked_at > self._expired_at else None
            if before is not None:
                return before
            kept.lock.acquire()
        try:
            kept.seconds = seconds
            return self._still_good(kept) or self._made(kept, make, tag)
        finally:
            kept.lock.release()

    def _made(self, kept: _Kept, make: Callable[[], bytes], tag: Tag | None) -> Body:
        began, version = time.monotonic(), self.version()  # what changes from now on may not be in it
        depends = None if tag is None else tag()
        is_same = tag is not None and depends == kept.depends and kept.checked_at > self._expired_at
        body = kept.body if is_same and kept.body is not None else Body.of(make())
        self._keep(kept, body)
        kept.version, kept.depends, kept.checked_at, kept.same_at = version, depends, began, began
        return body

    def expire(self) -> None:
        """Make every answer again when it is next asked for: those who have changed something want to see it."""
        self._expired_at = time.monotonic()

    def _still_good(self, kept: _Kept) -> Body | None:
        now, is_same = time.monotonic(), kept.version == self.version()
        due = max(kept.seconds, self._longest_seconds) if is_same else kept.seconds
        if now - kept.checked_at >= due or kept.checked_at <= self._expired_at:
            return None
        if is_same:
            kept.same_at = now
        return kept.body

    def _keep(self, kept: _Kept, body: Body) -> None:
        with self._lock:
            before = 0 if kept.body is None else kept.body.size
            kept.body = body if body.size <= _MOST_BYTES_KEPT else None
            self._bytes += (0 if kept.body is None else body.size) - before

    def _entry(self, key: str) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT or (self._bytes > _MOST_BYTES and len(self._kept) > 1):
                _key, oldest = self._kept.popitem(last=False)
                self._bytes -= 0 if oldest.body is None else oldest.body.size
                oldest.body = None
            return kept
