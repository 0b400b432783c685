"""The name under which this process works."""

import os
import socket
import sys
import uuid
from pathlib import Path

from schedy.wire.base import LONGEST_LINE, Worker, as_line


def this_worker() -> Worker:
    """Return host, process id and program of this process, with a new random uid."""
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    printable = "".join(character if character.isprintable() else "?" for character in program[:LONGEST_LINE])
    return Worker(
        host=as_line(socket.gethostname()), pid=os.getpid(), program=printable or "python", uid=uuid.uuid4().hex
    )
