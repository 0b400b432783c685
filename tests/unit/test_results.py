"""Results as people read them: rounded numbers, times, options of a program."""

import math
from typing import Any

import pytest

from schedy.results.options import option_words
from schedy.results.overview import open_jobs, seconds_left
from schedy.results.rounding import about, duration, rounded, short_value
from schedy.search.definition import Definition
from tests.unit.test_versions import EXPERIMENT


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.98333333, "0.9833"),
        (0.99996, "1"),
        (-0.000123456, "-0.0001235"),
        (0.0000123456, "1.235e-05"),
        (0.0, "0"),
        (1.0, "1"),
        (100.0, "100"),
        (12345.678, "12346"),
        (123456789.0, "1.235e+08"),
        (math.inf, "Infinity"),
        (math.nan, "NaN"),
    ],
)
def test_a_number_has_four_digits(number: float, text: str) -> None:
    assert rounded(number) == text


@pytest.mark.parametrize(
    ("value", "text"), [(123456, "123456"), (True, "true"), ("adam", "adam"), ("0.5", '"0.5"'), ([0.25], "[0.25]")]
)
def test_what_has_no_fraction_is_not_rounded(value: Any, text: str) -> None:
    assert short_value(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2149, "0.21 s"),
        (6.24, "6.2 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (250, "4 min 10 s"),
        (11_100, "3 h 05 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_a_measured_time_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1, "about 1 s"),
        (7.4, "about 7 s"),
        (44, "about 40 s"),
        (95, "about 2 min"),
        (7000, "about 2 h"),
        (200_000, "about 2 days"),
    ],
)
def test_an_estimated_time_is_rough(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_options_of_a_program_have_all_digits() -> None:
    values = {"lr": 0.0116234567890123, "batch_size": 128, "low": -1e-05, "opt": "adam w", "nested": [1, None]}
    assert option_words(values) == [
        *("--lr", "0.0116234567890123"),
        *("--batch-size", "128"),
        "--low=-1e-05",
        *("--opt", "adam w"),
        *("--nested", "[1, null]"),
    ]


def test_open_jobs_are_queued_running_or_still_to_be_made() -> None:
    counts = {"QUEUED": 2, "RUNNING": 3, "DONE": 4}
    search = EXPERIMENT.model_copy(
        update={"scheduler": "tpe", "status": "RUNNING", "job_counts": counts, "made": 9, "search_end": None}
    )
    assert open_jobs(search, Definition(max_jobs=20)) == 16
    assert open_jobs(search, Definition()) is None, "nothing limits them"
    assert open_jobs(search.model_copy(update={"search_end": "enough"}), Definition(max_jobs=20)) == 5
    assert open_jobs(search.model_copy(update={"status": "DONE"}), Definition(max_jobs=20)) == 3
    assert open_jobs(search.model_copy(update={"scheduler": "manual"}), Definition()) == 5


def test_the_time_left_is_bounded_by_jobs_and_by_time() -> None:
    def left(**known: Any) -> float | None:
        return seconds_left(**{"open_jobs": 12, "mean_seconds": 10.0, "at_once": 4, "seconds_to_limit": None, **known})

    assert left() == 30.0
    assert left(seconds_to_limit=5.0) == 15.0, "the last jobs run on"
    assert left(open_jobs=None, seconds_to_limit=-1.0) == 10.0
    assert left(open_jobs=None) is None
    assert left(at_once=0) is None, "nobody works"
    assert left(open_jobs=0) is None, "nothing is left to do"
    assert left(mean_seconds=None) is None
