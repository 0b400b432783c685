"""One run: everything is started, broken for a while, mended, brought to rest, and looked at."""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import schedy
from chaos import made
from chaos.brokers import BrokerUnderTest, make_broker
from chaos.checker import Violation, check
from chaos.crew import Crew, Member
from chaos.evidence import (
    Evidence,
    is_done,
    jobs_by_status,
    queues_that_exist,
    read_dead,
    read_queues,
    read_store,
    rows_of_removed,
    unfinished,
    waiting_messages,
)
from chaos.faults import Scene
from chaos.history import History, read_histories, read_history
from chaos.nemesis import FaultLog, Nemesis
from chaos.operations import BRIEF, Operations
from chaos.stores import StoreUnderTest, make_store
from schedy.errors import StoreError
from schedy.settings import load_settings
from schedy.wire import names
from schedy_store.schema.engine import Store
from tests.forwarder import Forwarder

EXPERIMENTS = {"chaos-one": 50, "chaos-two": 50, "chaos-three": 50, "chaos-few": 1}
"""Experiments, and how many workers may be lost on a job of each."""
_LEASE_SECONDS = 3.0
_SERVICES = 2
_PUSHERS = 2
_NETWORKS = 3
_LOOK_SECONDS = 0.3
_PUSH_SHARE = 0.9
"""The part of the run in which jobs are pushed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run.

    `settle_seconds`: how long the broker is left in peace after its queues were declared; `new_queues`: whether queues
    are deleted and declared later, too.
    """

    seed: int
    seconds: float
    broker: str
    store: str
    workers: int
    jobs: int
    settle_seconds: float
    new_queues: bool

    @property
    def rest_seconds(self) -> float:
        """How long the mended parts have to bring everything to rest."""
        return 120.0 + self.jobs / 5


@dataclass(slots=True)
class Result:
    """How it went."""

    violations: list[Violation]
    faults: Counter[str]
    statuses: Counter[str]
    attempts: int
    losses: int
    version: str
    took_seconds: dict[str, float] = field(default_factory=dict)


class ChaosRun:
    """Starts and ends all that a run needs; everything is in `folder`."""

    def __init__(self, plan: Plan, folder: Path, *, show: bool = True) -> None:
        self._plan = plan
        self._folder = folder
        self._stop_file = folder / "stop"
        self._random = random.Random(plan.seed)  # noqa: S311 - nothing secret
        self.log = FaultLog(folder / "faults.log", show=show)
        self._crew = Crew()
        self._forwarders: list[Forwarder] = []
        self._broker: BrokerUnderTest = make_broker(plan.broker, folder)
        self._store: StoreUnderTest = make_store(plan.store, folder)
        self._failures: list[str] = []
        self._budget = made.FIRST_BUDGET

    def run(self) -> Result:
        """Do it all. Raises what makes a run impossible; what is found in a run is in the result."""
        times = [time.monotonic()]
        try:
            self._broker.start()
            self._open_networks()
            self._start_services()
            with self._connect() as db:
                experiments = self._add_experiments(db)
                times.append(time.monotonic())
                scene = self._scene(db, experiments, self._add_search(db))
                self._start_clients()
                self._break_things(scene)
                times.append(time.monotonic())
                self._mend(scene)
                self._come_to_rest(scene)
            result = self._look()
            times.append(time.monotonic())
        finally:
            self._end()
        phases = zip(("start", "faults", "rest"), times, times[1:], strict=False)
        result.took_seconds = {phase: end - begin for phase, begin, end in phases}
        return result

    def _open_networks(self) -> None:
        for number in range(_NETWORKS):
            node = self._broker.nodes[number % len(self._broker.nodes)]
            self._forwarders.append(Forwarder(node.settings.amqp_port))

    def _environment(self, broker_url: str, **more: str) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDY_")}
        return {
            **kept,
            "SCHEDY_BROKER_URL": broker_url,
            "SCHEDY_STORE_URL": self._store.url,
            "SCHEDY_DATA_DIR": str(self._folder / "data"),
            "SCHEDY_LEASE_SECONDS": str(_LEASE_SECONDS),
            "SCHEDY_CRASH_LIMIT": "0",  # half of the made jobs are meant to crash, five in a row by chance
            "SCHEDY_AMQP_HEARTBEAT_SECONDS": "4",
            "SCHEDY_RECONNECT_MAX_SECONDS": "1",
            "SCHEDY_CLAIM_RETRY_SECONDS": "1",
            "SCHEDY_TICKET_HOLD_SECONDS": "2",
            "PYTHONUNBUFFERED": "1",
            **more,
        }

    def _url(self, number: int, *, network: bool) -> str:
        """Where a process finds the broker: its nodes, or the networks in front of them that are broken."""
        nodes = len(self._broker.nodes)
        ways = [self._broker.url(way, port=forwarder.port) for way, forwarder in enumerate(self._forwarders)]
        urls = ways if network else [self._broker.url(node) for node in range(nodes)]
        first = number % len(urls)
        return ",".join([*urls[first:], *urls[:first]][:nodes])

    def _start_services(self) -> None:
        for number in range(_SERVICES):
            environment = self._environment(self._url(number, network=number == 0))
            self._add(f"service{number}", environment, lambda _start: ["-m", "schedy_cli.main", "serve"])

    def _start_clients(self) -> None:
        for number in range(self._plan.workers):
            environment = self._environment(self._url(number, network=number % 2 == 0))
            self._add(f"worker{number}", environment, partial(self._worker, number))
        for number in range(_PUSHERS):
            url = self._url(number, network=number == 0)
            # Impatient, so that they see every kind of answer.
            environment = self._environment(url, SCHEDY_SERVICE_WAIT_SECONDS="8", SCHEDY_STORE_WAIT_SECONDS="3")
            self._add(f"pusher{number}", environment, lambda _start, number=number: self._pusher(number), stays=False)  # type: ignore[misc]

    def _add(
        self, name: str, environment: Mapping[str, str], arguments: Callable[[int], list[str]], *, stays: bool = True
    ) -> None:
        def _command(start: int) -> list[str]:
            return [sys.executable, *arguments(start)]

        self._crew.add(Member(name, _command, environment, self._folder, stays))

    def _worker(self, number: int, start: int) -> list[str]:
        history = self._folder / f"worker{number}-{start}.jsonl"
        seed = f"{self._plan.seed} worker {number} {start}"
        return ["-m", "chaos.worker", str(history), str(self._stop_file), seed, *EXPERIMENTS, made.NAME]

    def _pusher(self, number: int) -> list[str]:
        history = self._folder / f"pusher{number}.jsonl"
        jobs = self._plan.jobs // _PUSHERS
        seconds = self._plan.seconds * _PUSH_SHARE
        seed = f"{self._plan.seed} pusher {number}"
        return ["-m", "chaos.pusher", str(history), str(number), str(jobs), str(seconds), seed, *EXPERIMENTS]

    def _connect(self) -> schedy.SchedyDB:
        """The connection of operations: straight to a node, and impatient."""
        environment = self._environment(self._url(0, network=False), SCHEDY_SERVICE_WAIT_SECONDS="10")
        settings = load_settings(environment=dict(environment))
        return schedy.SchedyDB(config_override=settings.model_dump())

    def _add_experiments(self, db: schedy.SchedyDB) -> list[schedy.Experiment]:
        added: list[schedy.Experiment] = []
        for name, most in EXPERIMENTS.items():
            experiment = schedy.ManualSearch(name, max_attempts=most)
            self._until(partial(_done, partial(db.add_experiment, experiment)), 60)
            added.append(experiment)
        return added

    def _add_search(self, db: schedy.SchedyDB) -> schedy.Search:
        search = made.make_experiment(self._plan.seed)
        self._until(partial(_done, partial(db.add_experiment, search)), 60)
        return search

    def _scene(self, db: schedy.SchedyDB, experiments: list[schedy.Experiment], search: schedy.Search) -> Scene:
        store = Store.open(self._store.url, read_only=True)
        return Scene(
            crew=self._crew,
            broker=self._broker,
            store=self._store,
            forwarders=self._forwarders,
            operations=Operations(db, experiments, search, store, History(self._folder / "operations.jsonl")),
            lease_seconds=_LEASE_SECONDS,
            settle_seconds=self._plan.settle_seconds,
            new_queues=self._plan.new_queues,
        )

    def _break_things(self, scene: Scene) -> None:
        nemesis = Nemesis(scene, self.log, seed=self._plan.seed)
        nemesis.start()
        time.sleep(self._plan.seconds)
        nemesis.stop()

    def _mend(self, scene: Scene) -> None:
        """The faults have mended what they broke; an experiment may still be paused."""
        self.log.say("mended; waiting for everything to come to rest")
        self._crew.wake_all()
        for experiment in [*scene.operations.experiments, scene.operations.search]:
            if not self._until(partial(scene.operations.resume, experiment), 30):
                self._failures.append(f"{experiment.name} could not be resumed")
        if not self._until(partial(scene.operations.raise_budget, 1), 30):  # what came before comes no more
            self._failures.append(f"the budget of {made.NAME} could not be raised")
        self._budget = scene.operations.search.max_jobs or 0
        self._reopen_all(scene)
        if not self._until(scene.operations.remove_brief, 30):
            self._failures.append(f"{BRIEF} could not be removed")

    def _reopen_all(self, scene: Scene) -> None:
        for experiment in scene.operations.experiments:
            if not self._until(partial(scene.operations.reopen, experiment), 30):
                self._failures.append(f"{experiment.name} could not be reopened")

    def _come_to_rest(self, scene: Scene) -> None:
        deadline = time.monotonic() + self._plan.rest_seconds
        self._failures += self._crew.let_end("pusher", deadline - time.monotonic())
        store = Store.open(self._store.url, read_only=True)
        self._until(lambda: not unfinished(store), deadline - time.monotonic())
        if not self._until(lambda: is_done(store, made.NAME), 20):
            self._failures.append(f"{made.NAME} is not DONE")
        self._until(lambda: not waiting_messages(self._broker.url(0), EXPERIMENTS), 20)
        self._until(lambda: not rows_of_removed(store), 20)
        store.close()
        self.log.say("at rest; ending the processes")
        self._stop_file.touch()
        self._failures += self._crew.let_end("worker", 20)
        self._reopen_all(scene)  # what the workers said last comes before these changes, so it is handled by now
        self._failures += self._crew.terminate("service", 20)

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if condition():
                    return True
            except StoreError:
                pass
            time.sleep(_LOOK_SECONDS)
        return False

    def _look(self) -> Result:
        store = Store.open(self._store.url, read_only=True)
        jobs, events = read_store(store)
        left_by_removed = rows_of_removed(store)
        store.close()
        url = self._broker.url(0)
        evidence = Evidence(
            jobs=jobs,
            suggestions=made.suggestions(self._plan.seed, self._budget),
            events=events,
            workers=read_histories(self._folder, "worker*.jsonl"),
            pushers=read_histories(self._folder, "pusher*.jsonl"),
            operations=read_history(self._folder / "operations.jsonl"),
            left_in_queues=read_queues(
                url, [names.REPORTS_QUEUE, names.REQUESTS_QUEUE, *map(names.jobs_queue, EXPERIMENTS)]
            ),
            left_by_removed=left_by_removed + queues_that_exist(url, [names.jobs_queue(BRIEF)]),
            dead=read_dead(url),
            failures=self._failures + self._crew.end(),
        )
        return Result(
            violations=check(evidence),
            faults=self.log.counts,
            statuses=jobs_by_status(jobs),
            attempts=sum(job.attempt for job in jobs),
            version=self._broker.management().version(),
            losses=sum(event.kind == "lost" for event in events),
        )

    def _end(self) -> None:
        self._crew.end()
        for forwarder in self._forwarders:
            forwarder.__exit__()
        self._broker.stop()
        self._store.remove()


def _done(do: Callable[[], object]) -> bool:
    try:
        do()
    except schedy.ResourceExistsError:
        return True
    except schedy.SchedyError:
        return False
    return True
