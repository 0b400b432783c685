"""The simulation that measures searches: it runs, is repeatable, and a search beats chance."""

import statistics
from pathlib import Path

from benchmarks import quality
from benchmarks.field import problems, pruning
from benchmarks.field.comparison import Field, holm
from benchmarks.field.tools import SAMPLERS


def test_every_row_is_printed() -> None:
    lines = list(quality.quality_lines(seeds=2, jobs=10))
    rows = {line.split("  ")[0] for line in lines}
    assert rows >= {f"{name}, {task.name}" for name in ("auto", *SAMPLERS) for task in problems.basic_tasks()}


def test_a_search_beats_chance_and_is_repeatable() -> None:
    branin = problems.basic_tasks()[0]
    by = {
        name: [quality.best_by_schedy(name, branin, seed, jobs=60) for seed in range(5)] for name in ("random", "tpe")
    }
    assert statistics.median(by["tpe"]) < statistics.median(by["random"])
    assert by["tpe"][0] == quality.best_by_schedy("tpe", branin, 0, jobs=60)


def test_the_tasks_have_the_minima_that_are_known() -> None:
    assert abs(problems.branin({"x": 3.14159265, "y": 2.275}) - 0.397887) < 1e-5
    place = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)
    assert abs(problems.hartmann({f"x{n}": x for n, x in enumerate(place)}) + 3.32237) < 1e-4
    assert problems.rastrigin({"x": 0.0, "y": 0.0}) == 0


def test_every_problem_of_the_field_can_be_searched_by_both_sides() -> None:
    for task in problems.tasks():
        found = quality.compare("auto", task, seeds=2, jobs=3)
        assert len(found.schedy) == len(found.optuna) == 2
    assert len({task.name for task in problems.tasks()}) >= 20


def test_chances_are_corrected_for_their_number() -> None:
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]


def test_runs_of_the_field_are_kept_and_made_only_once(tmp_path: Path) -> None:
    few = ["Branin", "Hartmann-6"]
    field = Field(tmp_path, ["auto", "tpe", "random"], seeds=2, jobs=100, problems=few)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept.keys() == {"auto.jsonl", "tpe.jsonl", "random.jsonl"}
    Field(tmp_path, ["auto", "random"], seeds=2, jobs=50, problems=few)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == kept
    rows = list(field.table())
    assert [row.split("|")[1].strip() for row in rows if row][2:4] == few


def test_what_pruners_save_is_a_table(tmp_path: Path) -> None:
    rows = [[cell.strip() for cell in row.split("|")] for row in pruning.lines(tmp_path, seeds=1)]
    assert [row[2] for row in rows] == ["pruner", "---", *2 * ["none", "median", "asha"]]
    assert all(" of 1)" in row[3] and " of 1)" in row[4] for row in rows[2:])
