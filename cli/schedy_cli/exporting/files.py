"""Files that are there only once they are complete."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click

from schedy.escaping import printable


@contextlib.contextmanager
def new_file(name: str, *, replace: bool) -> Iterator[IO[bytes]]:
    """Open a file to be written beside its place, and put it there at the end of the block.

    Nothing of it is left when the block ends with an exception. What is no regular file, such as a pipe, is written
    itself. Raises click.ClickException if the file exists and is not to be replaced, and for faults of the disk.
    """
    path = Path(name)
    try:
        path = path.resolve()
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as file:
                yield file
            return
        _check(path, name, replace=replace)
        with _beside(path) as (file, part):
            yield file
            file.flush()
            os.fsync(file.fileno())
            _check(path, name, replace=replace)
            part.replace(path)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f"{printable(name)} cannot be written: {error.strerror}.") from None


def _check(path: Path, name: str, *, replace: bool) -> None:
    if path.is_dir():
        raise click.ClickException(f"{printable(name)} is a folder. Name a file.")
    if path.exists() and not replace:
        raise click.ClickException(f"{printable(name)} exists. --force replaces it.")


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        with part.open("w+b") as file:
            yield file, part
    finally:
        part.unlink(missing_ok=True)
