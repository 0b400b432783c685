"""What `schedy why` prints."""

from typing import Any

import pytest

from schedy.results.why import why_lines
from schedy.wire.answers import Ancestor, WhyAnswer
from tests.unit.test_printing import experiment
from tests.unit.test_printing import job as job_record

LOSS: dict[str, Any] = {"objectives": [{"result": "loss", "direction": "minimize"}]}


def told(why: WhyAnswer, scheduler: str = "auto", settings: dict[str, Any] = LOSS, **of_job: Any) -> list[str]:
    return list(why_lines(experiment(scheduler=scheduler, settings=settings), job_record(**of_job), why))


def test_a_prediction_stands_beside_what_was_found() -> None:
    why = WhyAnswer(number=11, algorithm="gaussian process", ended=10, pending=1, expected=0.31211, deviation=0.0214)
    assert told(why, status="DONE", results={"loss": 0.3056}) == [
        "It is job 12 of those that the search has made.",
        "Made by gaussian process when 10 job(s) had ended, and 1 had not.",
        "Expected loss: 0.3121, with a standard deviation of 0.0214.",
        "Found: 0.3056.",
    ]
    assert told(why, status="RUNNING")[-1].startswith("Expected loss")


@pytest.mark.parametrize(
    ("scheduler", "why", "words"),
    [
        ("random", WhyAnswer(), "It was pushed: the search has not made it."),
        ("random", WhyAnswer(number=0), "It was drawn at random, regardless of other jobs."),
        ("grid", WhyAnswer(number=0), "It is a point of the grid, which are made in turn, regardless of other jobs."),
        ("sobol", WhyAnswer(number=0), "It is a point of a quasi-random sequence, regardless of other jobs."),
        ("pbt", WhyAnswer(number=0), "It is the first job of a member, drawn from the distributions."),
        ("mine", WhyAnswer(number=4), "Made by mine, an algorithm that is not Schedy's own."),
    ],
)
def test_each_kind_of_search_has_its_sentence(scheduler: str, why: WhyAnswer, words: str) -> None:
    assert told(why, scheduler)[-1] == words


def test_a_drawn_point_and_a_repeat() -> None:
    why = WhyAnswer(number=5, ended=5, pending=0, drawn=True)
    assert told(why, "tpe", {**LOSS, "repeats": 3})[1:] == [
        "It is try 3 of 3 at point 2.",
        "What tpe proposed is not allowed (conditions, no repeats): it was drawn at random instead.",
    ]


def test_a_job_that_continues_another_says_what_changed() -> None:
    parents = [
        Ancestor(job_id="b", generation=2, hyperparameters={"x": 1}),
        Ancestor(job_id="a", generation=1, hyperparameters={"x": 1}),
    ]
    why = WhyAnswer(number=3, ancestors=parents)
    changed = told(why, "pbt", hyperparameters={"x": 1.2}, parent="b", generation=3)
    assert changed[1:] == ["It continues from job b, with x 1 -> 1.2.", "Ancestors: b (2) <- a (1)"]
    same = told(WhyAnswer(number=3, ancestors=parents[:1]), "pbt", hyperparameters={"x": 1}, parent="b", generation=3)
    assert same[1:] == ["It continues from job b, with the same hyperparameters."]
    assert told(WhyAnswer(number=3), "pbt", parent="b")[1:] == ["It continues from job b, which was removed."]
