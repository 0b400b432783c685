"""What `schedy run` finds in the output of a program."""

import math
import re
import time
from typing import Any

import pytest

from schedy_cli.running.failures import exit_text, failure_text, last_traceback, usage_text
from schedy_cli.running.findings import Findings, names_in
from schedy_cli.running.output_lines import LONGEST_LINE, OutputLines, Unsent

Points = dict[int, dict[str, float]]


def found(output: str, *, objective: str = "val_acc", report: str | None = None) -> tuple[dict[str, Any], Points]:
    lines = OutputLines()
    findings = Findings([objective] if objective else [], [re.compile(report)] if report else [])
    findings.read(lines.feed(output.encode()))
    findings.read(lines.end())
    return findings.results, findings.take_points()


@pytest.mark.parametrize(
    ("line", "results", "step"),
    [
        ("val_acc 0.97", {"val_acc": 0.97}, 1),
        ("val_acc=0.97", {"val_acc": 0.97}, 1),
        ("val_acc: -1e-05", {"val_acc": -1e-05}, 1),
        ("val_acc\t97.5%", {"val_acc": 97.5}, 1),
        ("epoch 3 loss 0.5 val_acc 0.9", {"loss": 0.5, "val_acc": 0.9}, 3),
        ("Epoch 3/20 - loss: 0.5 - val_acc: 0.9", {"loss": 0.5, "val_acc": 0.9}, 3),
        ("epoch 3 / 20 loss 0.5 val_acc 0.9", {"loss": 0.5, "val_acc": 0.9}, 3),
        ("epoch 45% loss 0.5 val_acc 0.9", {"loss": 0.5, "val_acc": 0.9}, 45),
        ("epoch: 3, step: 500, val_acc: 1", {"val_acc": 1}, 500),
        ("{'loss': 0.5, 'val_acc': 0.9, 'epoch': 2.0}", {"loss": 0.5, "val_acc": 0.9}, 2),
        ('{"epoch": 3, "val_acc": 0.5, "m": {"x": 1}, "name": "a", "ok": true}', {"val_acc": 0.5, "m.x": 1}, 3),
        ("2026-11-29 01:03:16,123 INFO val_acc 0.9 in 3 s, loss=0.1", {"val_acc": 0.9, "loss": 0.1}, 1),
        ("INFO:root:val_acc=0.9", {"val_acc": 0.9}, 1),
        ("val_acc 0.97 (best val_acc 0.99), time 3s", {"val_acc": 0.97}, 1),
        ("best_val_acc: 0.99, val_acc: 0.97", {"best_val_acc": 0.99, "val_acc": 0.97}, 1),
        ("\x1b[32mval_acc\x1b[0m: \x1b[1m0.9\x1b[0m", {"val_acc": 0.9}, 1),
        ("Epoch 3:  45%|##| 45/100 [00:01<00:01, val_acc=0.8]\rEpoch 3: val_acc=0.91]", {"val_acc": 0.91}, 3),
    ],
)
def test_a_line_with_the_objective_is_a_result_and_a_point(line: str, results: dict[str, Any], step: int) -> None:
    assert found(line) == (results, {step: results})


@pytest.mark.parametrize(
    "line",
    [
        "loaded 1797 samples in 0.3 s",
        "val_acc 1.2.3",
        "val_acc 1,234",
        "val_acc: 3/20",
        "my_val_acc 0.9 of them",
        'val_acc so far: good\n{"val_acc": 0.',
        "--lr 0.1",
        "",
    ],
)
def test_other_text_is_left_alone(line: str) -> None:
    assert found(line) == ({}, {})


def test_numbers_with_names_are_results_without_the_objective_and_no_points() -> None:
    assert found("test_acc 0.5, params=1200\nepoch 7\n") == ({"test_acc": 0.5, "params": 1200}, {})


def test_without_an_objective_a_line_with_a_step_is_a_point() -> None:
    assert found("epoch 4 loss 0.3\nparams 5\n", objective="") == ({"loss": 0.3, "params": 5}, {4: {"loss": 0.3}})


def test_points_without_steps_are_counted_and_the_last_value_is_the_result() -> None:
    results, points = found("val_acc 0.1\nval_acc 0.2\nval_acc nan\n")
    assert list(points) == [1, 2, 3]
    assert math.isnan(results["val_acc"])


def test_a_block_of_results_has_any_values() -> None:
    output = '--- RESULTS ---\nval_acc: 0.5\npath = "x y"\nsizes: [1, 2]\nnote some words\n---\nval_acc so so\n'
    assert found(output) == ({"val_acc": 0.5, "path": "x y", "sizes": [1, 2], "note": "some words"}, {})
    assert found('--- RESULTS ---\n{"val_acc": 0.5, "a": null}\n')[0] == {"val_acc": 0.5, "a": None}


def test_a_pattern_reads_what_else_is_there_and_alone_the_names_in_it() -> None:
    output = "val_acc 0.1\nAccuracy of the net: 97.3% at 12, file a.pt\n"
    report = r"net: (?P<val_acc>\S+) at (?P<step>\d+), file (?P<file>\S+)"
    assert found(output, report=report) == ({"val_acc": 97.3, "file": "a.pt"}, {12: {"val_acc": 97.3}})


def test_broken_json_is_kept_for_the_error() -> None:
    findings = Findings(["loss"])
    findings.read([b'{"loss": 0.3', b'{"loss": }'])
    assert (findings.broken_json, findings.missing) == ('{"loss": 0.3', ["loss"])


def test_a_program_that_makes_up_names_does_not_fill_the_store() -> None:
    findings = Findings(["loss"])
    findings.read([f"name{number} {number}".encode() for number in range(5000)])
    findings.read([b"loss 1"])
    assert len(findings.results) == 1001
    assert findings.missing == []


def test_what_cannot_be_stored_is_left_out() -> None:
    output = f"{'n' * 201} 5\n{'9' * 400} loss {'9' * 400}\n" + '{"loss": 1, "\\ud800": 2, "": 3}\n'
    lines = OutputLines()
    findings = Findings(["loss"])
    findings.read(lines.feed(output.encode()))
    assert findings.results == {"loss": 1}
    assert findings.take_points() == {1: {"loss": math.inf}, 2: {"loss": 1}}


def test_long_and_odd_lines_cost_little_time() -> None:
    odd = [
        b"a " * 30000,
        b"a 1 " * 15000 + b"!",
        b"epoch 1 " * 8000 + b"!",
        b"epoch 1/2 " * 6000 + b"!",
        b"'" * 60000,
        b"a-" * 30000,
        b"step " * 12000,
        b"\x1b[" * 30000,
    ]
    findings = Findings(["loss"])
    started = time.process_time()
    findings.read([*odd, *(line + b" loss" for line in odd)])
    assert time.process_time() - started < 1.0


def test_lines_are_cut_in_constant_memory() -> None:
    lines = OutputLines()
    assert lines.feed(b"one\r\ntwo\rth") == [b"one", b"two"]
    assert lines.feed(b"ree\n") == [b"three"]
    for _ in range(100):
        assert lines.feed(b"x" * LONGEST_LINE) == []
    assert lines.feed(b"end of it\nnext\n") == [b"next"]
    assert lines.feed(b"last") == []
    assert lines.end() == [b"last"]


def test_unsent_output_counts_bytes_also_of_what_is_not_utf8() -> None:
    unsent = Unsent(8)
    unsent.feed("aé".encode()[:2])
    text, end = unsent.take()
    assert (text, end) == ("a", 1)
    unsent.feed("é".encode()[1:])
    assert unsent.take() == ("é", 3)
    unsent.feed(b"\xff")
    assert unsent.take() == ("\ufffd", 6)
    unsent.feed(b"0123456789")
    assert unsent.take() == ("23456789", 16)


def test_names_that_stand_before_numbers() -> None:
    assert names_in("val accuracy: 0.9 foo=3 bar 2 and 1") == ["accuracy", "foo", "bar", "and"]


TRACEBACK = """Traceback (most recent call last):
  File "t.py", line 2, in <module>
    f()
  File "t.py", line 1, in f
    raise RuntimeError("loss diverged\\nat epoch 1")
RuntimeError: loss diverged
at epoch 1"""
CAUSE = """Traceback (most recent call last):
  File "t.py", line 1, in <module>
KeyError: 'lr'

During handling of the above exception, another exception occurred:

"""


def test_the_last_traceback_is_found_with_those_that_led_to_it() -> None:
    assert last_traceback("no\n") is None
    assert last_traceback(f"{TRACEBACK}\n\nagain\n{CAUSE}{TRACEBACK}\n\nbye\n") == CAUSE + TRACEBACK
    assert last_traceback(f"x\r\n{TRACEBACK}") == TRACEBACK


def test_the_error_is_the_exception_or_the_last_line_with_the_exit_code() -> None:
    assert failure_text(1, f"{CAUSE.partition(chr(10) * 2)[0]}\n\nwandb: bye\n") == "KeyError: 'lr' (exit code 1)"
    assert failure_text(3, "one\n\x1b[31mtwo\x1b[0m\r\n\n") == "two (exit code 3)"
    assert failure_text(-9, "") == "killed by signal 9, perhaps out of memory"
    assert failure_text(137, "one\n") == "exit code 137: killed by signal 9, perhaps out of memory. Last line: one"
    assert exit_text(-11) == "killed by signal 11 (SIGSEGV)"
    assert exit_text(137) == "exit code 137: killed by signal 9, perhaps out of memory"
    assert exit_text(255) == "exit code 255"


def test_the_usage_is_the_last_one_or_the_end_of_the_output() -> None:
    assert usage_text("hello\nusage: t.py\nt.py: error: no\n") == "usage: t.py\nt.py: error: no"
    assert usage_text("python: can't open file\n") == "python: can't open file"
