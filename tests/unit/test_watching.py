"""The screens of `schedy watch`, as lines of text."""

import math
from datetime import timedelta
from typing import Any

import pytest

from schedy.results.sparkline import sparkline
from schedy.wire.answers import OverviewAnswer, OverviewsAnswer
from schedy.wire.records import RunningJob
from schedy_cli.watching.all_screen import overviews_lines
from schedy_cli.watching.screens import experiment_lines
from tests.unit.test_versions import EXPERIMENT, JOB, NOW, STANDING

SEARCH = EXPERIMENT.model_copy(
    update={
        "name": "Digits\x1b[2J",
        "scheduler": "tpe",
        "status": "RUNNING",
        "paused": False,
        "settings": {"objectives": [{"result": "acc", "direction": "maximize"}], "max_jobs": 40},
        "job_counts": {"RUNNING": 30, "DONE": 10},
    }
)
BEST = JOB.model_copy(
    update={
        "results": {"acc": 0.987654321},
        "hyperparameters": {"lr": 0.00123456789, "opt": "adam"},
        "finished_at": NOW,
    }
)
CRASHED = BEST.model_copy(
    update={"job_id": "_rashd", "status": "CRASHED", "error": "Traceback\nKeyError: 'l\x1br'", "results": {}}
)
RUNNING = [
    RunningJob(
        job_id=f"abcd{number:02}", worker=f"gpu{number}:1 train.py", attempt=1, seconds=75, steps=[3], values=[number]
    )
    for number in range(20)
]


def screen(width: int = 80, height: int = 23, **found: Any) -> list[str]:
    overview = OverviewAnswer.model_validate(
        {
            **dict(STANDING),
            "experiment": SEARCH,
            "best": [BEST],
            "open_jobs": 30,
            "seconds_left": 130.0,
            "running": RUNNING,
            "last_ended": BEST,
            "last_crashed": CRASHED,
            **found,
        }
    )
    lines = experiment_lines(overview, width=width, height=height, now=NOW + timedelta(minutes=3))
    return [line.plain.rstrip() for line in lines]


def test_a_screen_says_how_far_what_is_best_and_what_goes_wrong() -> None:
    lines = screen()
    assert lines[:8] == [
        "Digits\\x1b[2J  tpe, maximize acc",
        "━" * 26 + "  10/40 ended   about 2 min left",
        "30 RUNNING  10 DONE",
        "best     0.9877  abcdef  3 min ago   lr 0.001235  opt adam",
        "ended    abcdef  DONE  0.9877  3 min ago",
        "crashed  _rashd  3 min ago  KeyError: 'l\\x1br'",
        "         schedy output 'Digits\\x1b[2J' _rashd",
        "workers  2 alive, 1 of them at work on this",
    ]
    assert lines[9].split() == ["running", "worker", "for", "step", "acc"]
    assert lines[10].split() == ["abcd00", "gpu0:1", "75", "s", "3", "0", "▅"]
    assert len(lines) == 23
    assert lines[-1] == "and 18 more"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20, 4), (40, 11), (79, 12), (300, 100)])
def test_a_screen_fits_every_terminal(width: int, height: int) -> None:
    lines = screen(width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_screen_without_workers_objectives_or_a_readable_definition() -> None:
    lines = screen(workers=0, best=[], running=[], last_ended=None, last_crashed=None, seconds_left=None)
    assert lines[-1] == "no worker is alive: start one with `schedy run 'Digits\\x1b[2J' -- PROGRAM`"
    assert lines[1].endswith("10/40 ended")
    newer = SEARCH.model_copy(update={"settings": {"of_a_later_version": 1}, "paused": True})
    assert screen(experiment=newer, best=[])[1].endswith("10/40 ended   paused")
    done = SEARCH.model_copy(update={"status": "DONE", "search_end": "Enough.", "job_counts": {"DONE": 40}})
    lines = screen(experiment=done, open_jobs=0, workers=0, running=[], seconds_left=None)
    assert lines[1] == "━" * 26 + "  40/40 ended   DONE: Enough."
    assert not any("no worker" in line for line in lines)


def test_a_running_job_says_what_is_odd_about_it_and_shows_the_end_of_its_curve() -> None:
    odd = RUNNING[0].model_copy(
        update={
            "attempt": 2,
            "silent_seconds": 25.0,
            "stop": "cancelled",
            "steps": list(range(30)),
            "values": [float(n) for n in range(30)],
        }
    )
    line = screen(running=[odd], width=120)[10]
    assert line.endswith("▇█  attempt 2  silent 25 s  stopping")
    assert len(line) == 120
    assert screen(running=[odd])[10].endswith("attempt 2  silent …"), "no room for the curve"


def test_all_experiments_have_a_line_each() -> None:
    standing = STANDING.model_copy(update={"experiment": SEARCH, "best": [BEST], "open_jobs": 30, "seconds_left": 7.0})
    answer = OverviewsAnswer(overviews=[standing] * 30)
    lines = [line.plain for line in overviews_lines(answer, width=80, height=23)]
    assert lines[0].split() == ["experiment", "ended", "running", "queued", "best"]
    assert lines[1].split() == ["Digits\\x1b[2J", "10/40", "30", "0", "0.9877", *["about", "7", "s", "left"]]
    assert (len(lines), lines[-1]) == (23, "and more: `schedy list` lists all experiments")
    nobody = standing.model_copy(update={"workers": 0, "seconds_left": None})
    assert overviews_lines(OverviewsAnswer(overviews=[nobody]), width=80, height=23)[1].plain.endswith(
        "no worker is alive"
    )


def test_a_sparkline_goes_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0.0, 1.0, 2.0, math.nan, 7.0]) == "▁▂▃ █"
    assert sparkline([1e308, -1e308]) == "█▁"
    assert sparkline([2.0, 2.0]) == "▅▅"
    assert sparkline([math.inf]) == " "
    assert sparkline([]) == ""
