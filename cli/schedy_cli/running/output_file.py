"""The file that keeps the output of an attempt on the worker's machine."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

MOST_BYTES = 64 * 1024 * 1024
"""A file that has grown to this size is renamed to ``.1``, in the place of the one before."""

MOST_KEPT_BYTES = 2 * 1024**3
"""Output of all attempts that stays on this machine."""
_LONGEST_NAME = 200
"""Bytes of the name of a folder; file systems take 255."""


class OutputFile:
    """Output in a file; a disk that takes no more does not end the trial. Lives in one thread."""

    def __init__(self, path: Path, *, complain: Callable[[str], None], most_bytes: int = MOST_BYTES) -> None:
        """`complain` is called once, with a sentence, if the output cannot be kept."""
        self.path = path
        self._complain = complain
        self._most_bytes = most_bytes
        self._size = 0
        self._descriptor: int | None = None
        with self._tolerant():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()

    def write(self, data: bytes) -> None:
        if self._descriptor is None:
            return
        with self._tolerant():
            if self._size + len(data) > self._most_bytes:
                self._start_again()
            while data:
                done = os.write(self._descriptor, data)
                self._size += done
                data = data[done:]

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._size = 0

    def _start_again(self) -> None:
        self.close()
        self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        self._open()

    @contextlib.contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.close()
            self._complain(f"The output is no longer kept in {self.path}: {error.strerror}. The trial goes on.")


def remove_old_output(folder: Path, *, most_bytes: int = MOST_KEPT_BYTES) -> None:
    """Remove the oldest files of a folder of output, until the rest has no more than `most_bytes`."""
    files: list[tuple[float, int, Path]] = []
    for path in folder.glob("*/*.log*"):
        with contextlib.suppress(OSError):
            found = path.stat()
            files.append((found.st_mtime, found.st_size, path))
    total = sum(size for _at, size, _path in files)
    for _at, size, path in sorted(files):
        if total <= most_bytes:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size


def folder_name(experiment: str) -> str:
    """Return the name of an experiment as that of a folder."""
    name = experiment.replace("%", "%25").replace("/", "%2F")
    if len(name.encode()) > _LONGEST_NAME:
        return hashlib.sha256(experiment.encode()).hexdigest()
    return f"%2E{name[1:]}" if name.startswith(".") else name
