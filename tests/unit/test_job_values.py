"""Points of learning curves, and results, as users write them."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import schedy
from tests.unit.job_support import NotingSession, held_job
from tests.unit.test_user_text import ReprRecurses


@pytest.fixture
def session() -> NotingSession:
    return NotingSession()


@pytest.fixture
def job(session: NotingSession) -> schedy.Job:
    return held_job(session)


def points(session: NotingSession) -> list[tuple[int, dict[str, float]]]:
    return [(point.step, point.values) for point in session.points]


@pytest.mark.parametrize(
    "step", [2, 2.0, np.float64(2), np.float32(2), np.int64(2), np.array(2.0), Decimal(2), Fraction(4, 2)], ids=repr
)
def test_what_equals_a_whole_number_is_a_step(session: NotingSession, job: schedy.Job, step: Any) -> None:
    job.report(step, loss=np.float32(0.5))
    assert points(session) == [(2, {"loss": 0.5})]
    assert type(session.points[0].step) is int


@pytest.mark.parametrize("step", [0.5, "3", b"3", None, 2**70, math.nan, math.inf, np.array([1, 2]), ReprRecurses()])
def test_a_step_that_is_none_costs_a_point_and_no_job(
    session: NotingSession, step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with held_job(session) as job:
        job.report(step, loss=1.0)
        job.report(step, loss=2.0)
        job.report(1, loss=3.0)
    assert job.status == "DONE"
    assert points(session) == [(1, {"loss": 3.0})]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the step " in caplog.text


@pytest.mark.parametrize(
    "value", [None, "a", [1, 2], 10**400, {}, ReprRecurses()], ids=lambda value: type(value).__name__
)
def test_a_value_that_is_no_number_is_left_out(
    session: NotingSession, job: schedy.Job, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job.report(1, loss=1.0, bad=value)
    job.report(2, bad=value)
    job.report(3, loss=math.nan, **{"": 1.0, "x" * 201: 2.0})
    assert str(points(session)) == "[(1, {'loss': 1.0}), (3, {'loss': nan})]"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Job job001: a point is left out, or a part of it, as more may be: " in caplog.text
    assert "'bad': " in caplog.text


def test_values_may_have_the_names_of_parameters(session: NotingSession, job: schedy.Job) -> None:
    job.report(4, step=1, self=2, values=3)
    job.report(step=5, loss=1)
    job.report(6)
    assert points(session) == [(4, {"step": 1.0, "self": 2.0, "values": 3.0}), (5, {"loss": 1.0}), (6, {})]


MINIMIZES = {"objectives": [{"result": "loss", "direction": "minimize"}]}


def done(session: NotingSession, results: dict[str, Any], **settings: Any) -> None:
    with held_job(session, **settings) as job:
        job.results.update(results)


def test_the_first_job_without_the_objective_is_warned_of(
    session: NotingSession, caplog: pytest.LogCaptureFixture
) -> None:
    done(session, {"loss": np.float32(1.0)}, **MINIMIZES)
    assert caplog.text == ""
    done(session, {"val_loss": 1.0, "accuracy": 2.0}, **MINIMIZES)
    done(session, {}, **MINIMIZES)
    assert [record.getMessage() for record in caplog.records] == [
        "Job job001 of K is DONE, and the search learns nothing from it: its result 'loss', to minimize, is missing."
        " Its results: 'val_loss', 'accuracy'."
    ]


@pytest.mark.parametrize(
    ("results", "lack"),
    [
        ({"loss": math.nan}, "'loss', to minimize, is nan, no number. Its results: 'loss'."),
        ({"loss": "low"}, "'loss', to minimize, is 'low', no number. Its results: 'loss'."),
        ({"loss": [1.0]}, "'loss', to minimize, is [1.0], no number. Its results: 'loss'."),
        ({}, "'loss', to minimize, is missing. Its results: none."),
    ],
)
def test_the_warning_names_what_is_wrong(
    session: NotingSession, caplog: pytest.LogCaptureFixture, results: dict[str, Any], lack: str
) -> None:
    done(session, results, **MINIMIZES)
    assert lack in caplog.text


def test_a_job_that_is_not_done_or_has_no_objective_needs_no_result(
    session: NotingSession, caplog: pytest.LogCaptureFixture
) -> None:
    done(session, {})
    with held_job(session, **MINIMIZES):
        raise schedy.Pruned
    assert caplog.text == ""
