"""What plots show, as numbers: from records of jobs; and that no name or value acts on the page that shows it."""

import json
import random
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any, cast

import click
import pytest

from schedy.errors import NotFoundError
from schedy.results.html import job_html, jobs_html
from schedy.results.plots.axes import column, number_axis
from schedy.results.plots.choosing import KINDS, makers
from schedy.results.plots.data import Plot, curves, front, history, measures
from schedy.results.plots.hyperparameters import importance, parallel, slices
from schedy.results.plots.page import page
from schedy.results.plots.source import Attempt, Source, earlier_attempts, latest_attempt
from schedy.results.plots.timeline import timeline
from schedy.search.definition import read_definition
from schedy.wire.records import JobEvent, JobRecord, Point
from schedy_cli.printing.plots import plot_lines

BEGIN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LOSS = {"result": "loss", "direction": "minimize"}
ACCURACY = {"result": "acc", "direction": "maximize"}
HOSTILE = "<script>alert(1)</script>"


def job(place: int, status: Any = "DONE", *, x: Any = 1, **results: Any) -> JobRecord:
    return JobRecord(
        position=place,
        job_id=f"job{place:03}",
        status=status,
        quality=results.pop("quality", 0.0),
        hyperparameters=x if isinstance(x, dict) else {"x": x},
        results=results,
        created_at=BEGIN,
        started_at=BEGIN + timedelta(seconds=place),
        finished_at=BEGIN + timedelta(seconds=place + 5),
        worker="gpu1:7 train.py",
        attempt=1,
        error="ValueError: bad\nlast line" if status == "CRASHED" else None,
    )


def source_of(*jobs: JobRecord, objectives: Any = (LOSS,), **more: Any) -> Source:
    definition = read_definition({"objectives": list(objectives), **more.pop("settings", {})})
    return Source("E", definition, list(jobs), list(range(1, len(jobs) + 1)), len(jobs), **more)


def only(source: Source) -> Any:
    return measures(source.definition)[0]


def test_the_history_has_the_best_so_far_and_each_kind_of_job_apart() -> None:
    settings = {"constraints": [{"result": "ms", "at_most": 10.0}]}
    source = source_of(
        job(1, loss=5, ms=1),
        job(2, loss=1, ms=99),
        job(3, "PRUNED", quality=4.5),
        job(4, "CRASHED"),
        job(5, loss=3, ms=1),
        job(6, loss=4, ms=1),
        settings=settings,
    )
    plot = history(source, only(source))
    assert (plot.done.x, plot.done.y) == ([1, 5, 6], [5, 3, 4])
    assert (plot.broken.x, plot.broken.y) == ([2], [1])
    assert (plot.pruned.x, plot.crashed.x) == ([3], [4])
    assert plot.crashed.y == [plot.y.high_edge], "the bad end of a loss is the upper one"
    assert (plot.best.x, plot.best.y) == ([1, 5, 6], [5, 3, 3]), "a job that breaks a constraint is no best"
    assert plot.crashed.texts == ["job004  CRASHED\nx 1\n5 s\nlast line"]
    assert plot.note == ""


def test_the_best_goes_up_where_the_objective_is_maximized() -> None:
    source = source_of(*(job(place, acc=acc) for place, acc in enumerate([2, 1, 3], 1)), objectives=[ACCURACY])
    assert history(source, only(source)).best.y == [2, 3, 3]


def test_a_value_far_outside_does_not_flatten_the_others() -> None:
    source = source_of(*(job(place, loss=place % 4 + 1) for place in range(1, 30)), job(30, loss=900))
    plot = history(source, only(source))
    assert plot.y.high < 20
    assert (plot.outside.x, plot.outside.y) == ([30], [plot.y.high_edge])
    assert "One value lies beyond the axis" in plot.note
    assert "loss 900" in plot.outside.texts[0], "its text has the value"
    assert number_axis("y", [1, 2, 3, 1e6], worst="high").log, "these are far apart: their logarithms are drawn"


def test_a_sample_is_said_to_be_one() -> None:
    source = source_of(job(1, loss=1), job(2, loss=2))
    some = Source("E", source.definition, source.jobs, [1, 1_000_000], 1_000_000)
    plot = history(some, only(some))
    assert plot.note.startswith("2 of 1,000,000 jobs that have ended are drawn")
    assert plot.done.x == [1, 1_000_000]


def test_the_front_is_that_of_both_objectives() -> None:
    jobs = [job(1, loss=1, acc=1), job(2, loss=2, acc=3), job(3, loss=3, acc=2), job(4, "PRUNED", loss=0, acc=9)]
    plot = front(source_of(*jobs, objectives=[LOSS, ACCURACY]))
    assert sorted(zip(plot.front.x, plot.front.y, strict=True)) == [(1, 1), (2, 3)]
    assert plot.done.x == [3]
    assert plot.pruned.texts[0].startswith("job004")


def test_without_a_value_it_is_said_why() -> None:
    with pytest.raises(NotFoundError, match="none of its jobs has ended"):
        history(source_of(), only(source_of()))
    with pytest.raises(NotFoundError, match=r"none of its 1 jobs that have ended \(1 DONE\) has a number for 'loss'"):
        history(source_of(job(1, loss="small")), only(source_of()))
    without = source_of(job(1), objectives=[])
    with pytest.raises(NotFoundError, match="Name a result to minimize or maximize"):
        history(without, only(without))
    with pytest.raises(NotFoundError, match="more than one value"):
        parallel(source_of(job(1, loss=1), job(2, loss=2)), only(source_of()))
    with pytest.raises(NotFoundError, match="1 are DONE with a value, and 20 are needed"):
        importance(source_of(job(1, loss=1)), only(source_of()))
    with pytest.raises(NotFoundError, match="no learning curve of 'loss'"):
        curves(source_of(job(1, loss=1)), "loss")
    with pytest.raises(NotFoundError, match="no worker has run one of its jobs"):
        timeline(source_of(job(1, loss=1)))


def test_parallel_coordinates_have_the_best_job_last_and_a_place_for_what_is_missing() -> None:
    settings = {"hyperparameters": {"lr": "loguniform(0.0001, 1)", "net": "choice(a, b)"}}
    jobs = [
        job(1, x={"lr": 0.01, "net": "a"}, loss=1),
        job(2, x={"lr": 0.1, "net": "b"}, loss=3),
        job(3, x={"net": "b"}, loss=2),
        job(4, "PRUNED", x={"lr": 1, "net": "a"}, quality=4.0),
    ]
    source = source_of(*jobs, settings=settings)
    plot = parallel(source, only(source))
    assert [axis.label for axis in plot.axes] == ["lr", "net", "loss"]
    assert [text.split()[0] for text in plot.texts] == ["job004", "job002", "job003", "job001"]
    assert plot.shades[0] is None, "PRUNED"
    assert plot.shades[1:] == sorted(plot.shades[1:], reverse=True)  # type: ignore[type-var]
    assert plot.axes[0].log
    assert [line[0] for line in plot.lines] == [0, -1, plot.axes[0].low, -2]
    assert plot.axes[0].ticks[0] == (plot.axes[0].low, "none")
    assert [text for _place, text in plot.axes[1].ticks] == ["a", "b"]


def test_values_of_a_choice_stand_in_their_order_and_rare_ones_together() -> None:
    numbers = column(
        "batch",
        [64, 8, 16, 8],
        read_definition({"hyperparameters": {"b": "choice(8, 16, 64)"}}).space().parameters["b"],
    )
    assert [text for _place, text in numbers.axis.ticks] == ["8", "16", "64"]
    assert numbers.places == [2, 0, 1, 0]
    many = column("name", [f"v{number}" for number in range(40)] + ["v0"], None)
    assert [text for _place, text in many.axis.ticks][-1] == "29 others"
    assert many.places[0] == many.places[-1] < many.places[39]


def test_importance_tells_what_matters_from_chance() -> None:
    chance = random.Random(4)  # noqa: S311
    jobs = []
    for place in range(1, 301):
        values: dict[str, Any] = {
            "curved": chance.uniform(-1, 1),
            "noise": chance.uniform(-1, 1),
            "net": chance.choice("ab"),
            "one": 1,
        }
        jobs.append(job(place, x=values, loss=values["curved"] ** 2 + 0.2 * (values["net"] == "a")))
    source = source_of(*jobs)
    plot = importance(source, only(source))
    assert plot.names == ["curved", "net", "noise"], "a constant is left out"
    assert plot.shares[0] > 0.6, "also what is neither up nor down with it"
    assert 0.05 < plot.shares[1] < 0.4
    assert plot.shares[2] < 0.05
    assert "explains alone" in plot.note


def test_curves_have_the_best_on_top_and_slices_a_panel_each() -> None:
    points = {
        f"job{place:03}": [Point(step=step, values={"loss": place / step}) for step in (1, 2, 3)] for place in (1, 2)
    }
    points["job002"].append(Point(step=4, values={"loss": float("nan")}))
    jobs = [job(place, x={"x": place, "y": -place}, loss=place / 3) for place in range(1, 8)]
    source = source_of(*jobs, curves=points)
    lines = curves(source, "loss").lines
    assert [(line.text.split()[0], line.x, line.is_best) for line in lines] == [
        ("job001", [1, 2, 3], True),
        ("job002", [1, 2, 3], True),
    ]
    plot = slices(source, only(source))
    assert [panel.x.label for panel in plot.panels] == ["x", "y"]
    assert plot.panels[1].done.x == [-place for place in range(1, 8)]
    assert (plot.panels[0].ages[0], plot.panels[0].ages[-1]) == (0, 1)


def test_the_timeline_has_a_row_for_each_job_that_a_worker_runs_at_once() -> None:
    def attempt(job_id: str, worker: str, start: int, end: int, status: str = "DONE") -> Attempt:
        return Attempt(job_id, 1, worker, BEGIN + timedelta(seconds=start), BEGIN + timedelta(seconds=end), status)

    attempts = [
        attempt("a", "gpu1:7 t.py", 0, 100),
        attempt("b", "gpu1:7 t.py", 50, 150, "LOST"),
        attempt("c", "gpu1:7 t.py", 110, 160),
        attempt("d", "gpu2:8 t.py", 20, 300, "CRASHED"),
    ]
    plot = timeline(source_of(job(1, loss=1), attempts=attempts))
    assert plot.rows == ["gpu1:7", "", "gpu2:8"]
    assert [(bar.row, bar.status) for bar in plot.bars] == [(0, "DONE"), (0, "DONE"), (1, "LOST"), (2, "CRASHED")]
    assert plot.x.label == "minutes since 2026-01-02 03:04 UTC"
    assert plot.bars[3].length == pytest.approx(280 / 60)


def test_earlier_attempts_are_read_from_the_events_of_a_job() -> None:
    def event(seconds: int, kind: str, attempt: int, detail: str = "") -> JobEvent:
        at = BEGIN + timedelta(seconds=seconds)
        return JobEvent(
            position=1,
            experiment="E",
            job_id="job001",
            at=at,
            kind=kind,
            worker=f"w{attempt}",
            attempt=attempt,
            detail=detail,
        )

    latest = job(100, loss=1).model_copy(update={"attempt": 3})
    events = [
        event(0, "claimed", 1),
        event(1, "reported", 1),
        event(9, "lost", 1, "No sign of life"),
        event(20, "claimed", 2),
        event(30, "ended", 2, "CRASHED: ValueError"),
        event(31, "retried", 2),
        event(100, "claimed", 3),
        event(105, "ended", 3, "DONE"),
    ]
    found = [(each.number, each.worker, each.status) for each in earlier_attempts(events, latest)]
    assert found == [(1, "w1", "LOST"), (2, "w2", "CRASHED")]


class Reader(HTMLParser):
    """Collects the elements of a page, and the texts of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script":
            self.scripts[-1] += data


def hostile_plots() -> list[Plot]:
    settings = {"objectives": [{"result": HOSTILE, "direction": "minimize"}]}
    jobs = []
    for place in range(1, 30):
        values = {HOSTILE: ["</script><img src=x onerror=alert(2)>", "\x1b[31m", "$x_1$"][place % 3], "<b>": place}
        made = job(place, x=values, **cast(Any, {HOSTILE: place / 7}))
        jobs.append(made.model_copy(update={"worker": f"{HOSTILE}:7 x", "error": HOSTILE}))
    curve = {made.job_id: [Point(step=step, values={HOSTILE: step}) for step in (1, 2)] for made in jobs}
    attempts = [
        Attempt(each.job_id, 1, str(each.worker), BEGIN, BEGIN + timedelta(seconds=9), "CRASHED", HOSTILE)
        for each in jobs
    ]
    source = Source(HOSTILE, read_definition(settings), jobs, list(range(1, 30)), 29, curves=curve, attempts=attempts)
    return [make() for kind in KINDS for make in makers(source, kind)]


def test_no_name_or_value_acts_on_a_page_or_a_terminal() -> None:
    plots = hostile_plots()
    assert len(plots) == len(KINDS)
    text = page(HOSTILE, plots, [HOSTILE])
    read = Reader()
    read.feed(text)
    assert [tag for tag, _attributes in read.elements].count("script") == 3
    assert not [tag for tag, attributes in read.elements if tag in ("img", "b", "link") or "src" in attributes]
    figures = json.loads(read.scripts[1])
    texts = re.findall(r'"((?:[^"\\]|\\.)*)"', json.dumps(figures))
    assert any("&lt;script&gt;" in each for each in texts)
    shown = json.dumps(
        [{**each, "data": [trace for trace in each["data"] if trace["type"] != "parcoords"]} for each in figures]
    )
    assert "<script" not in shown, "plotly reads some of HTML in texts"
    assert "<img" not in shown
    assert len(text) < 6_000_000
    for plot in plots:
        for line in plot_lines(plot, 80):
            assert click.unstyle(line).isprintable()


def test_the_page_of_a_thousand_jobs_with_curves_is_small() -> None:
    settings = {"hyperparameters": {f"p{number}": "uniform(0, 1)" for number in range(5)}, "objectives": [LOSS]}
    chance = random.Random(1)  # noqa: S311
    jobs = [job(place, x={f"p{n}": chance.random() for n in range(5)}, loss=chance.random()) for place in range(1000)]
    curve = [Point(step=step, values={"loss": chance.random()}) for step in range(20)]
    source = Source(
        "E",
        read_definition(settings),
        jobs,
        list(range(1, 1001)),
        1000,
        curves={made.job_id: curve for made in jobs},
        attempts=[attempt for made in jobs for attempt in latest_attempt(made)],
    )
    plots = [make() for kind in KINDS for make in makers(source, kind)]
    assert len(plots) == len(KINDS)
    assert len(page("E", plots)) < 6_000_000


def test_jobs_show_themselves_as_tables_without_acting() -> None:
    made = job(1, x={HOSTILE: "<img src=x>"}, loss=0.123456789)
    for text in (job_html(made, made.results), jobs_html([(made, made.results)])):
        assert "0.1235" in text
        assert "&lt;script&gt;" in text
        assert "<script" not in text
        assert "<img" not in text
    assert "50 of 60 jobs" in jobs_html([(made, made.results)] * 60)
