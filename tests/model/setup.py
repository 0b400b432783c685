"""A scenario with the judge that its search asks, and what a step of it is."""

from types import ModuleType
from typing import NamedTuple

from schedy_store.lifecycle import transitions
from tests.model.judge import Judge
from tests.model.scenario import Break, Scenario
from tests.model.world import CURRENT, Draft, Instance, Onlooker, Worker, World


class Move(NamedTuple):
    """A step and the state after it. `relied_on`: it happens sooner or later, being neither fault nor wish."""

    what: str
    draft: Draft
    relied_on: bool = True


class Setup:
    """A scenario under the real rules, or under mutated ones."""

    def __init__(self, scenario: Scenario, rules: ModuleType = transitions) -> None:
        self.scenario = scenario
        self.judge = Judge(
            rules,
            max_attempts=scenario.max_attempts,
            retry_timeouts=scenario.retry_timeouts,
            max_releases=scenario.max_releases,
        )
        self.has_safety_net = bool({"lost ticket", "take-over"} & scenario.kinds)

    def draft(self, state: World) -> Draft:
        return Draft(state, self.judge)

    def breaks(self, rule: Break) -> bool:
        return self.scenario.broken is rule

    def first(self) -> World:
        """A job just pushed, workers and service at rest."""
        scenario = self.scenario
        active = Instance(epoch=CURRENT, behind=False)
        return World(
            job=self.judge.first,
            open=True,
            tickets=0,
            reports=(),
            stray=None,
            instances=(active,) + (Instance(),) * (scenario.instances - 1),
            workers=(Worker(),) * scenario.workers,
            onlooker=Onlooker(),
            faults=scenario.faults,
            wishes=scenario.wishes,
        )
