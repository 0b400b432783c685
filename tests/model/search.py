"""Breadth-first search through all states of a scenario, and back from those in which all is settled."""

import gc
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise
from types import ModuleType

from schedy_store.lifecycle import transitions
from tests.model import outside, properties, service, worker
from tests.model.judge import Row
from tests.model.properties import BrokenError
from tests.model.scenario import Scenario
from tests.model.setup import Move, Setup
from tests.model.world import Instance, Worker, World


@dataclass(frozen=True)
class Violation:
    """A property that does not hold, and a shortest way there."""

    broken: str
    what: str
    trace: list[str]

    def __str__(self) -> str:
        return "\n".join([self.what, *self.trace])


@dataclass(frozen=True)
class Result:
    """The findings of a search."""

    scenario: str
    states: int
    transitions: int
    depth: int
    seconds: float
    violation: Violation | None = None


@dataclass
class _Graph:
    """The states found so far. `relied_on`: pairs of numbers, from and to."""

    states: list[World] = field(default_factory=list)
    numbers: dict[World, int] = field(default_factory=dict)
    parents: "array[int]" = field(default_factory=lambda: array("l"))
    depths: "array[int]" = field(default_factory=lambda: array("l"))
    sources: "array[int]" = field(default_factory=lambda: array("l"))
    targets: "array[int]" = field(default_factory=lambda: array("l"))
    settled: list[int] = field(default_factory=list)
    transitions: int = 0

    def add(self, state: World, parent: int) -> int:
        number = self.numbers.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
            self.parents.append(parent)
            self.depths.append(self.depths[parent] + 1 if parent >= 0 else 0)
        return number


def search(scenario: Scenario, rules: ModuleType = transitions) -> Result:
    """Go through all states; ends at the first violation."""
    begun = time.monotonic()
    setup, graph = Setup(scenario, rules), _Graph()
    gc.disable()  # nothing is thrown away before the end, and millions of tuples would be looked at
    try:
        violation = _explore(setup, graph) or _dead_end(setup, graph)
    finally:
        gc.enable()
    return Result(
        scenario.name,
        len(graph.states),
        graph.transitions,
        max(graph.depths),
        time.monotonic() - begun,
        violation,
    )


def _moves(setup: Setup, state: World) -> Iterator[Move]:
    return chain(service.moves(setup, state), worker.moves(setup, state), outside.moves(setup, state))


def _explore(setup: Setup, graph: _Graph) -> Violation | None:
    graph.add(setup.first(), -1)
    number = 0
    while number < len(graph.states):
        try:
            properties.check_size(len(graph.states))
            properties.check_state(graph.states[number], setup.judge)
            _follow(setup, graph, number)
        except BrokenError as error:
            return Violation(error.broken, str(error), _trace(setup, graph, number))
        number += 1
    return None


def _follow(setup: Setup, graph: _Graph, number: int) -> None:
    state = graph.states[number]
    if properties.is_settled(state, setup.judge):
        graph.settled.append(number)
    for _what, draft, relied_on in _moves(setup, state):
        after = graph.add(draft.world(), number)
        graph.transitions += 1
        if relied_on:
            graph.sources.append(number)
            graph.targets.append(after)


def _dead_end(setup: Setup, graph: _Graph) -> Violation | None:
    """The first state from which no settled one can be reached."""
    reaches = bytearray(len(graph.states))
    first, sources = _leading_to(graph)
    waiting = list(graph.settled)
    for number in waiting:
        reaches[number] = 1
    while waiting:
        number = waiting.pop()
        for source in sources[first[number] : first[number + 1]]:
            if not reaches[source]:
                reaches[source] = 1
                waiting.append(source)
    stuck = reaches.find(0)
    if stuck < 0:
        return None
    what = f"{properties.ALWAYS_ENDS}: {reaches.count(0)} states cannot"
    return Violation(properties.ALWAYS_ENDS, what, _trace(setup, graph, stuck))


def _leading_to(graph: _Graph) -> tuple["array[int]", "array[int]"]:
    """The sources of all steps, sorted by target; and where those of each target begin."""
    first = array("l", bytes(array("l").itemsize * (len(graph.states) + 2)))
    for target in graph.targets:
        first[target + 2] += 1
    for number in range(2, len(first)):
        first[number] += first[number - 1]
    sources = array("l", bytes(array("l").itemsize * len(graph.sources)))
    for source, target in zip(graph.sources, graph.targets, strict=True):
        sources[first[target + 1]] = source
        first[target + 1] += 1
    return first, sources


def _trace(setup: Setup, graph: _Graph, number: int) -> list[str]:
    """The steps that lead to a state, each with what it made."""
    way = [number]
    while graph.parents[way[-1]] >= 0:
        way.append(graph.parents[way[-1]])
    way.reverse()
    lines = [_shown(setup, graph.states[way[0]])]
    for before, after in pairwise(way):
        lines.append(
            f"{_step(setup, graph.states[before], graph.states[after])}\n    {_shown(setup, graph.states[after])}"
        )
    return lines


def _step(setup: Setup, before: World, after: World) -> str:
    return next(what for what, draft, _relied_on in _moves(setup, before) if draft.world() == after)


def _shown(setup: Setup, state: World) -> str:
    """A state in one line; what is as it was at first is left out."""
    first = setup.first()
    parts = [_differing(setup.judge.rows[state.job], setup.judge.rows[first.job])]
    parts += [_differing(worker, first.workers[0]) for worker in state.workers]
    parts += [_differing(instance, first.instances[0]) for instance in state.instances]
    queue = " ".join(f"{message.kind}:{message.token}:{message.sequence}" for message in state.reports)
    parts.append(f"tickets={state.tickets} reports=[{queue}] open={state.open} faults={state.faults}")
    return " | ".join(parts)


def _differing(shown: Row | Worker | Instance, usual: Row | Worker | Instance) -> str:
    values, others = shown._asdict(), usual._asdict()
    told = ", ".join(f"{name}={value}" for name, value in values.items() if value != others[name])
    return f"{type(shown).__name__.lower()}({told})"
