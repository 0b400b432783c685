"""How a process names itself."""

import os
import sys

import pytest

from schedy.worker.worker_name import this_worker


@pytest.mark.parametrize(
    ("argument", "program"),
    [
        ("/home/me/train.py", "train.py"),
        ("", "python"),
        ("/", "python"),
        ("a\nb\x1b\x9b\udcff.py", "a?b???.py"),
        ("x" * 400, "x" * 300),
    ],
)
def test_any_program_has_a_printable_name(argument: str, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [argument])
    assert (this_worker().pid, this_worker().program) == (os.getpid(), program)
