"""The account of a command that changes something and ends early: by Ctrl-C, or since it has lost the broker."""

import contextlib
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from schedy.errors import NotStoredYetError, SchedyError, is_refusal
from schedy.wire.base import A
from schedy.wire.changes import Change
from schedy_cli.printing.messages import print_message

if TYPE_CHECKING:
    from schedy.worker.session import Session

_INTERRUPTED = 130


@contextlib.contextmanager
def accounted(account: Callable[[], str], *, nothing: str = "Nothing was done.") -> Iterator[None]:
    """Print the account if the command ends early: what was done, what may yet be done, and how to find out.

    It is empty while nothing was done; after Ctrl-C, `nothing` is said then. Raises click's Exit for Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        print_message(f"\nInterrupted. {account() or nothing}")
        raise click.exceptions.Exit(_INTERRUPTED) from None
    except NotStoredYetError:
        raise
    except (SchedyError, BrokenPipeError):
        if text := account():
            print_message(text)
        raise


class OneChange:
    """A command's only change."""

    def __init__(self, done: str, *, check: str) -> None:
        """`done` completes "... is unknown whether", and `check` is the command that shows it."""
        self._done = done
        self._check = check
        self._session: Session | None = None
        self._is_stored = False

    def send(self, session: "Session", change: Change[A], *, patience_seconds: float | None = None) -> A:
        """Send the change, and return its answer. Raises as `Session.change` does."""
        self._session = session
        try:
            answer = session.change(change, patience_seconds=patience_seconds)
            self._is_stored = True
            return answer
        except SchedyError as error:
            if is_refusal(error):
                self._session = None
            raise

    def account(self) -> str:
        """Return the account, for `accounted`."""
        if self._is_stored:
            return f"But {self._done}."
        if self._session is None or not self._session.calls.could_send:
            return ""
        return f"It is unknown whether {self._done}: it may still be done. `{self._check}` shows it."


def schedy_words(*words: str) -> str:
    """Return a command to type."""
    return shlex.join(["schedy", *words])
