"""Learning curves as the terminal shows them."""

import math

from schedy.wire.records import Point
from schedy_cli.printing.curves import curve_lines


def points(*values: float, name: str = "loss", step: int = 1) -> list[Point]:
    return [Point(step=place * step, values={name: value}) for place, value in enumerate(values)]


def test_a_job_without_a_curve_has_no_drawing() -> None:
    assert list(curve_lines([])) == []


def test_a_falling_line_goes_from_the_upper_left_to_the_lower_right() -> None:
    heading, *rows, steps = curve_lines(points(*(10.0 - each for each in range(11)), step=5))
    assert heading == "Curve of loss, 11 steps, 0 at 50:"
    assert len(rows) == 8
    assert rows[0] == " 10 \u2809\u2811\u2812\u2824\u2824\u2884\u28c0\u2840"
    assert rows[-1].startswith("  0 ")
    assert rows[-1].endswith("\u2812\u2822\u2824\u2824\u28c0")
    assert [len(row) for row in rows] == sorted(len(row) for row in rows)
    assert steps.split() == ["0", "50"]
    assert len(steps) == len(rows[-1])


def test_values_that_cannot_be_drawn_are_left_out() -> None:
    heading, *rows = curve_lines(points(1.0, math.nan, math.inf, 2.0))
    assert heading == "Curve of loss, 4 steps, 2 at 3:"
    assert sum(character not in " 0123\u2800" for row in rows for character in row) == 2


def test_the_largest_numbers_are_drawn() -> None:
    assert len(list(curve_lines(points(-1.7e308, 1.7e308)))) == 10


def test_one_point_or_none_that_is_finite_is_told_and_not_drawn() -> None:
    assert list(curve_lines(points(3.0))) == ["Curve of loss, 1 step, 3 at 0."]
    assert list(curve_lines(points(math.nan, math.nan))) == ["Curve of loss, 2 steps, nan at 1."]


def test_a_flat_line_is_drawn() -> None:
    assert len(list(curve_lines(points(2.0, 2.0, 2.0)))) == 10


def test_each_value_has_its_drawing_and_its_name_cannot_act_on_the_terminal() -> None:
    lines = list(curve_lines([*points(1.0, 2.0, name="a"), *points(1.0, 2.0, name="b\x1b[31m")]))
    assert [line for line in lines if line.startswith("Curve")] == [
        "Curve of a, 2 steps, 2 at 1:",
        'Curve of "b\\u001b[31m", 2 steps, 2 at 1:',
    ]
