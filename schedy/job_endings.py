"""The end of a job's block: what becomes of the job."""

from dataclasses import dataclass

from schedy.errors import JobCancelledError, Pruned
from schedy.user_text import error_text
from schedy.wire.base import CRASHED, DONE, PRUNED, FinalStatus


@dataclass(frozen=True, slots=True)
class Ending:
    """`status` None: the job is given back. `swallows`: the exception ends with the block."""

    status: FinalStatus | None
    error: str | None = None
    swallows: bool = False
    warning: str | None = None


def ending_of(error: BaseException | None, *, must_stop: bool, stop_signal: str | None) -> Ending:
    """Judge the exception with which a block is left, None for a block that reached its end.

    `must_stop`: the service wants the job to end. `stop_signal` came while the block ran: unless its exception is
    what leaves the block, the trainer has swallowed it, and may have stopped half-way.
    """
    kind = type(error)
    if issubclass(kind, Pruned) or (issubclass(kind, JobCancelledError) and must_stop):
        return Ending(PRUNED, swallows=True)
    if stop_signal is not None:
        return Ending(None, warning=_swallowed(stop_signal, error))
    if error is None:
        return Ending(DONE)
    if issubclass(kind, Exception) or (issubclass(kind, SystemExit) and _exit_code(error) != 0):
        return Ending(CRASHED, error_text(error))
    return Ending(None)


def _exit_code(error: BaseException) -> int:
    """Return the exit code with which a SystemExit would end the program."""
    code: object = SystemExit.__dict__["code"].__get__(error)
    if code is None:
        return 0
    return int(code) if isinstance(code, int) else 1


def _swallowed(stop_signal: str, error: BaseException | None) -> str | None:
    """Return what to log of a stop signal whose own exception does not leave the block."""
    if issubclass(type(error), KeyboardInterrupt | SystemExit):
        return None
    end = "its block reached its end" if error is None else f"its block ended with {error_text(error)}"
    return f"{stop_signal} came while it ran, and {end}. Call job.finish() to end such a job as DONE."
