"""How results are asked for: from the store itself, or through the results service."""

from typing import Protocol

from schedy.wire.base import A
from schedy.wire.requests import Request


class Ask(Protocol):
    """Answers a read. Raises SchedyError for a refusal, and if no answer comes."""

    def __call__(self, request: Request[A], /) -> A: ...
