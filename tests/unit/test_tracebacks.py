"""Tracebacks as they are stored: the user's frames, whatever the exception does."""

from collections.abc import Callable
from functools import partial

from schedy.jobs import Job
from schedy.tracebacks import traceback_text
from schedy.user_text import LONGEST_MESSAGE, type_name
from tests.unit.test_user_text import Exits, Interrupts, Nameless, Recurses


def _text_of(error: BaseException) -> str:
    try:
        raise error
    except BaseException as raised:
        return traceback_text(raised)


def test_it_is_that_of_python() -> None:
    lines = _text_of(ValueError("lr < 0")).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith("in _text_of")
    assert lines[-1] == "ValueError: lr < 0"


def _called_by_the_library(call: Callable[[], object]) -> str:
    """Return the traceback of an exception that passes through a frame of the library first."""
    code = compile("call()", Job.should_prune.__code__.co_filename, "exec")
    try:
        exec(code, {"call": call})  # noqa: S102
    except BaseException as error:
        return traceback_text(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
    return ""


def test_frames_of_the_library_at_the_top_are_left_out_unless_there_are_no_others() -> None:
    def _train() -> None:
        raise ValueError

    of_user = _called_by_the_library(_train)
    assert "in _train" in of_user
    assert "jobs.py" not in of_user
    assert "jobs.py" in _called_by_the_library(partial(int, "x"))


def test_a_long_message_costs_no_frame_and_one_that_cannot_be_read_no_traceback() -> None:
    assert len(_text_of(ValueError("x" * 10 * LONGEST_MESSAGE))) < LONGEST_MESSAGE
    assert "in _text_of" in _text_of(ValueError("x" * 10 * LONGEST_MESSAGE))
    for unreadable in (Exits(), Interrupts(), Recurses(), Nameless()):
        lines = _text_of(unreadable).splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[1].endswith("in _text_of")
        assert type_name(unreadable) in lines[-1]
