"""The answers to points of a learning curve, as the worker takes them."""

from types import SimpleNamespace
from typing import Any, cast

from schedy.wire.answers import ReportAnswer
from schedy.wire.records import Point
from schedy.wire.reports import Curve
from schedy.worker.call import Call
from schedy.worker.curves import Curves
from schedy.worker.holds import Hold


def test_a_later_answer_does_not_take_back_what_the_pruner_has_said() -> None:
    calls: list[Call] = []

    def call(_curve: Curve) -> Call:
        calls.append(Call(cast(Any, None), wants_answer=True, resend_seconds=None))
        return calls[-1]

    hold = Hold("a" * 32, "job001", "b" * 32, 30.0)
    curves = Curves(cast(Any, SimpleNamespace(call=call, cancel=lambda _call: None)), cast(Any, None))
    for step, prune in enumerate([False, True, False]):
        curves.add(hold, Point(step=step, values={"loss": 1.0}))
        calls[-1].answer.set_result(ReportAnswer(accepted=True, prune=prune))
        assert hold.prune == (step >= 1), "ASHA judges a rung once, and says no more between rungs"
