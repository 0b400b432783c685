"""First answers to changes as they are kept in the store.

The answer to a push repeats itself for each job: 340 bytes, as many as the job has, but 16 when it is compressed.
"""

import base64
import zlib

from schedy.wire.base import Answer
from schedy.wire.codec import decode_answer, encode

_LONG_BYTES = 2000
_COMPRESSED = "z:"


def kept_text(answer: Answer) -> str:
    """Return the text that is kept for an answer."""
    body = encode(answer)
    if len(body) < _LONG_BYTES:
        return body.decode()
    return _COMPRESSED + base64.b64encode(zlib.compress(body, 1)).decode()


def kept_answer(text: str) -> Answer:
    """Return the answer for which a text was kept."""
    if text.startswith(_COMPRESSED):
        return decode_answer(zlib.decompress(base64.b64decode(text.removeprefix(_COMPRESSED))))
    return decode_answer(text.encode())
