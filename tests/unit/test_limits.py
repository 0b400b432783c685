"""Limits and budgets on the command line: `+20` is 20 more than before."""

from typing import Any

import click
import pytest

from schedy.wire.records import Limits
from schedy_cli.parsing.limits import More, absolute, budget_options, changed_limits, limit_options, parse_budget


@click.command()
@budget_options
@limit_options
def command(**groups: Any) -> dict[str, Any]:
    return groups


def given(*words: str) -> dict[str, Any]:
    groups: dict[str, Any] = command.main(list(words), standalone_mode=False)
    return groups


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--max-jobs", "20"], {"max_jobs": 20}),
        (["--max-jobs", "+20"], {"max_jobs": 70}),
        (["--max-jobs", "none"], {"max_jobs": None}),
        (["--stop-at", "none"], {"stop_at": []}),
        (["--stop-at", "loss<=1e-2"], {"stop_at": [{"result": "loss", "at_most": 0.01}]}),
        (["--max-time", "+0.5", "--ready", "+1"], {"max_time": 100.5, "ready": 3}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_plus_sign_adds(words: list[str], expected: dict[str, Any]) -> None:
    before = {"max_jobs": 50, "max_time": 100, "ready": 2}
    found = absolute(parse_budget(given(*words)["budget"]), before)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


def test_limits_of_jobs_add_too() -> None:
    before = Limits(max_attempts=3, job_timeout=60.0)
    after = changed_limits(before, {"max_attempts": More(2), "job_timeout": More(30.0)})
    assert (after.max_attempts, after.job_timeout) == (5, 90.0)


def test_nothing_cannot_be_added_to() -> None:
    with pytest.raises(click.UsageError, match="--max-jobs \\+20: there is no max_jobs to add to"):
        absolute({"max_jobs": More(20)}, {"max_jobs": None})


def test_a_sum_that_is_too_large_is_wrong_usage() -> None:
    with pytest.raises(click.UsageError, match="Too large: max_attempts 2e\\+06"):
        changed_limits(Limits(max_attempts=1_000_000), {"max_attempts": More(1_000_000)})
