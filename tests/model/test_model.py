"""Every state that the protocol can reach, with the real rules; and that each rule is needed."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.model.mutations import MUTATIONS, Mutation, mutated
from tests.model.scenario import Break
from tests.model.scenarios import LARGE, SMALL
from tests.model.search import search

_ROOT = Path(__file__).parents[2]
_STATES = 1_000_000


def _searched(name: str) -> dict[str, Any]:
    """Search in a process of its own, which coverage does not slow down, with what others leave of the processors."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}
    done = subprocess.run(
        ["nice", "-n", "19", sys.executable, "-m", "tests.model", name],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_nothing_that_can_happen_breaks_a_promise() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(_searched, [scenario.name for scenario in LARGE]))
    sys.stdout.write(_figures(results))  # shown by pytest -rA
    broken = [result["violation"] for result in results if result["violation"]]
    assert not broken, "\n\n".join(broken)
    assert sum(result["states"] for result in results) >= _STATES


def _figures(results: list[dict[str, Any]]) -> str:
    total = {key: sum(result[key] for result in results) for key in ("states", "transitions", "seconds", "cpu_seconds")}
    total |= {"scenario": "together", "depth": max(result["depth"] for result in results)}
    line = "{scenario:28} {states:>9,} states {transitions:>10,} transitions  depth {depth:>2}  {cpu_seconds:6.1f} s\n"
    return "\n" + "".join(line.format(**result) for result in [*results, total])


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_each_rule_is_needed(mutation: Mutation) -> None:
    scenario, rules = mutated(mutation)
    found = search(scenario, rules).violation
    assert found is not None, "The search does not notice that the rule is broken."
    assert found.broken == mutation.violates, str(found)


@pytest.mark.parametrize("name", SMALL)
def test_the_scenarios_of_the_mutations_find_nothing_while_the_rules_are_kept(name: str) -> None:
    assert search(SMALL[name]).violation is None


def test_no_scenario_is_there_for_nothing() -> None:
    assert {mutation.scenario for mutation in MUTATIONS} == set(SMALL)


def test_each_rule_of_service_and_library_is_broken_once() -> None:
    broken = [mutation.broken for mutation in MUTATIONS if mutation.broken is not None]
    assert sorted(rule.name for rule in broken) == sorted(rule.name for rule in Break)


def test_a_violation_comes_with_the_way_that_leads_there() -> None:
    mutation = next(mutation for mutation in MUTATIONS if mutation.rule == "a report needs the token")
    scenario, rules = mutated(mutation)
    told = str(search(scenario, rules).violation)
    assert "a worker takes a ticket and asks" in told
    assert "the lease runs out though its holder lives" in told
