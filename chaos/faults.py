"""What can go wrong, one function for each kind of fault. Each returns when it is over, or mended as far as need be."""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.brokers import BrokerUnderTest
from chaos.crew import Crew, Member
from chaos.operations import Operations
from chaos.stores import StoreUnderTest
from schedy_broker_setup.node.node import PrivateNode
from tests.forwarder import Forwarder
from tests.processes import search_processes_of

Fault = Callable[["Scene", random.Random], str | None]
"""Does one fault; returns what was done to whom, None if there was nobody to do it to."""


@dataclass(slots=True)
class Scene:
    """Everything that can be broken."""

    crew: Crew
    broker: BrokerUnderTest
    store: StoreUnderTest
    forwarders: list[Forwarder]
    operations: Operations
    lease_seconds: float
    settle_seconds: float
    """How long the broker is left in peace after the queues were declared."""
    new_queues: bool
    """Whether queues may be declared later."""
    declared_at: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event)

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the run lasts."""
        self.over.wait(seconds)


def _some(crew: Crew, kind: str, choice: random.Random) -> Member:
    return choice.choice(crew.of_kind(kind))


def _kill(kind: str) -> Fault:
    def _fault(scene: Scene, choice: random.Random) -> str | None:
        member = _some(scene.crew, kind, choice)
        return member.name if scene.crew.signal(member, signal.SIGKILL) else None

    return _fault


def _terminate(kind: str) -> Fault:
    def _fault(scene: Scene, choice: random.Random) -> str | None:
        member = _some(scene.crew, kind, choice)
        return member.name if scene.crew.signal(member, signal.SIGTERM) else None

    return _fault


def _kill_search(scene: Scene, _choice: random.Random) -> str | None:
    """Kill the process that makes suggestions; only the active instance of the service has one."""
    for member in scene.crew.of_kind("service"):
        process = member.process
        for child in search_processes_of(process.pid) if process is not None else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                return f"that of {member.name}"
    return None


def _suspend(kind: str, shortest: float, longest: float) -> Fault:
    """Stop a process for a time, in leases."""

    def _fault(scene: Scene, choice: random.Random) -> str | None:
        member = _some(scene.crew, kind, choice)
        seconds = choice.uniform(shortest, longest) * scene.lease_seconds
        if not scene.crew.signal(member, signal.SIGSTOP):
            return None
        scene.pause(seconds)
        scene.crew.signal(member, signal.SIGCONT)
        return f"{member.name} for {seconds:.1f} s"

    return _fault


def _broker(end: Callable[[PrivateNode], None]) -> Fault:
    def _fault(scene: Scene, choice: random.Random) -> str | None:
        node = choice.choice(scene.broker.nodes)
        seconds = choice.uniform(0.0, 2 * scene.lease_seconds)
        scene.pause(scene.declared_at + scene.settle_seconds - time.monotonic())
        end(node)
        scene.pause(seconds)
        scene.broker.bring_up(node)
        return f"{node.settings.name}, away for {seconds:.1f} s and the start"

    return _fault


def _database(mode: str) -> Fault:
    def _fault(scene: Scene, choice: random.Random) -> str | None:
        seconds = choice.uniform(0.0, 2 * scene.lease_seconds)
        scene.store.stop(mode)
        scene.pause(seconds)
        scene.store.start()
        return f"for {seconds:.1f} s"

    return _fault


def _cut(*, reset: bool) -> Fault:
    def _fault(scene: Scene, choice: random.Random) -> str | None:
        number = choice.randrange(len(scene.forwarders))
        seconds = choice.choice([0.0, 0.5, 1.5]) * scene.lease_seconds
        forwarder = scene.forwarders[number]
        forwarder.cut(reset=reset, refuse=seconds > 0)
        scene.pause(seconds)
        forwarder.resume()
        return f"network {number}, refused for {seconds:.1f} s"

    return _fault


def _hang(scene: Scene, choice: random.Random) -> str | None:
    number = choice.randrange(len(scene.forwarders))
    seconds = choice.uniform(0.2, 3.0) * scene.lease_seconds
    scene.forwarders[number].hang()
    scene.pause(seconds)
    scene.forwarders[number].resume()
    return f"network {number} for {seconds:.1f} s"


def _pause_experiment(scene: Scene, choice: random.Random) -> str | None:
    experiment = choice.choice([*scene.operations.experiments, scene.operations.search])
    seconds = choice.uniform(0.2, 1.5) * scene.lease_seconds
    scene.operations.pause(experiment)
    scene.pause(seconds)
    scene.operations.resume(experiment)
    return f"{experiment.name} for {seconds:.1f} s"


def _close_experiment(scene: Scene, choice: random.Random) -> str | None:
    experiment = choice.choice(scene.operations.experiments)
    seconds = choice.uniform(0.1, 1.0) * scene.lease_seconds
    scene.operations.close(experiment)
    scene.pause(seconds)
    scene.operations.reopen(experiment)
    return f"{experiment.name} for {seconds:.1f} s"


def _remove_experiment(scene: Scene, choice: random.Random) -> str | None:
    """Add an experiment, and remove it while workers are at its jobs."""
    seconds = choice.uniform(0.0, 1.5) * scene.lease_seconds
    added = scene.operations.add_brief(choice)
    scene.pause(seconds)
    removed = scene.operations.remove_brief()
    return f"after {seconds:.1f} s{'' if added and removed else ', not answered'}"


def _raise_budget(scene: Scene, choice: random.Random) -> str | None:
    by = choice.randint(1, 6)
    done = scene.operations.raise_budget(by)
    return f"{scene.operations.search.name} by {by}{'' if done else ', not answered'}"


def _delete_job(scene: Scene, choice: random.Random) -> str | None:
    return scene.operations.delete_some_job(choice)


def _cancel_job(scene: Scene, choice: random.Random) -> str | None:
    return scene.operations.cancel_some_job(choice)


def _retry_job(scene: Scene, choice: random.Random) -> str | None:
    return scene.operations.retry_some_job(choice)


BROKER_FAULTS: dict[str, Fault] = {
    "broker killed": _broker(PrivateNode.kill),
    "broker restarted": _broker(PrivateNode.stop),
}
SERVICE_FAULTS: dict[str, Fault] = {
    "service killed": _kill("service"),
    "search process killed": _kill_search,
    "service suspended, short": _suspend("service", 0.1, 0.8),
    "service suspended, long": _suspend("service", 1.2, 4.0),
}
DATABASE_FAULTS: dict[str, Fault] = {
    "database stopped": _database("fast"),
    "database killed": _database("immediate"),
}
WORKER_FAULTS: dict[str, Fault] = {
    "worker killed": _kill("worker"),
    "worker terminated": _terminate("worker"),
    "worker suspended, short": _suspend("worker", 0.1, 0.8),
    "worker suspended, long": _suspend("worker", 1.2, 3.0),
}
NETWORK_FAULTS: dict[str, Fault] = {
    "connections cut": _cut(reset=False),
    "connections reset": _cut(reset=True),
    "connections hung": _hang,
}
OPERATIONS: dict[str, Fault] = {
    "experiment paused": _pause_experiment,
    "job deleted": _delete_job,
    "job cancelled": _cancel_job,
    "job retried": _retry_job,
    "budget raised": _raise_budget,
}
"""What users do meanwhile. A new operation needs an entry here, a method in `operations`, and the checker's opinion."""
QUEUE_OPERATIONS: dict[str, Fault] = {
    "experiment closed": _close_experiment,
    "experiment removed": _remove_experiment,
}
"""Those that delete queues and make new ones."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Faults that come one after the other; those of different lanes come at the same time."""

    pause_seconds: float
    """The mean time between two of them."""
    faults: dict[str, Fault]


def lanes(*, database: bool, new_queues: bool) -> list[Lane]:
    """Return the lanes; `new_queues`: queues may be declared at any time, so also just before a broker is killed."""
    return [
        Lane(8.0, BROKER_FAULTS),
        Lane(2.0, {**SERVICE_FAULTS, **(DATABASE_FAULTS if database else {})}),
        Lane(0.7, WORKER_FAULTS),
        Lane(1.0, {**OPERATIONS, **(QUEUE_OPERATIONS if new_queues else {})}),
        Lane(2.5, NETWORK_FAULTS),
    ]
