"""The tree of `schedy tree`: a long line stays narrow, and branches are seen."""

import itertools
from datetime import UTC, datetime

from schedy.wire.records import JobRecord
from schedy_cli.printing.tree import tree_rows

_PLACES = itertools.count(1)


def job(name: str, parent: str | None, generation: int, **rates: float) -> JobRecord:
    return JobRecord(
        job_id=name.ljust(6, "-"),
        position=next(_PLACES),
        status="DONE",
        hyperparameters={"same": 1, **rates},
        results={},
        quality=0.25,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        parent=None if parent is None else parent.ljust(6, "-"),
        generation=generation,
    )


def test_a_job_stands_below_the_one_that_it_continues() -> None:
    jobs = [
        job("A1", None, 1, rate=0.1),
        job("B1", None, 1, rate=0.2),
        job("A2", "A1", 2, rate=0.1),
        job("B2", "A1", 2, rate=0.12),
        job("A3", "A1", 2, rate=0.08),
        job("B3", "B2", 3, rate=0.13),
        job("C3", "B2", 3, rate=0.12),
        job("D4", "gone", 4, rate=0.12),
    ]
    assert [(row[0].rstrip("-"), row[1], row[-1]) for row in tree_rows(jobs)] == [
        ("A1", "1", ""),
        ("├ A2", "2", ""),
        ("├ B2", "2", "rate 0.12"),
        ("│ ├ B3", "3", "rate 0.13"),
        ("│ C3", "3", ""),
        ("A3", "2", "rate 0.08"),
        ("B1", "1", ""),
        ("D4", "4", ""),
    ]


def test_a_line_of_thousands_of_generations_is_no_wider_than_one() -> None:
    jobs = [job(f"J{number}", f"J{number - 1}" if number else None, number + 1) for number in range(3000)]
    assert [row[0] for row in tree_rows(jobs)] == [each.job_id for each in jobs]
