"""The checker of chaos runs finds each kind of violation, and has nothing against a run that went as promised."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from chaos.checker import CHECKS, check
from chaos.evidence import Evidence, StoredEvent, StoredJob
from chaos.history import Record
from chaos.worker import nonce_quality
from schedy_broker_setup.dead_letters import DeadLetter

NAMELESS_DEATH = DeadLetter(
    number=1,
    reason="",
    routing_key="report.claim",
    exchange="schedy.inbox",
    kind="claim",
    message_id="",
    user="",
    at=None,
    body="",
    content=b"",
)

ONE, TWO = "a" * 32, "b" * 32


class Writer:
    """Writes a history, a second for each record unless told."""

    def __init__(self, now: float = 0.0) -> None:
        self.records: list[Record] = []
        self.now = now

    def write(self, what: str, state: str, **fields: Any) -> "Writer":
        self.now += 1
        self.records.append({"what": what, "state": state, "at": self.now, **fields})
        return self

    def begin(
        self, nonce: str, *, attempt: int = 1, worker: str = "host:1 w", found: dict[str, Any] | None = None
    ) -> "Writer":
        self.write("claim", "invoked", experiment="E")
        return self.write(
            "claim",
            "returned",
            experiment="E",
            job="job001",
            attempt=attempt,
            worker=worker,
            nonce=nonce,
            found=found or {},
        )

    def put(self, nonce: str, step: int, error: str | None = None) -> "Writer":
        self.write("put", "invoked", nonce=nonce, step=step)
        return self.write("put", "raised" if error else "returned", nonce=nonce, step=step, error=error)

    def finish(self, nonce: str, *, error: str | None = None, answered: bool = True, status: str = "DONE") -> "Writer":
        self.write("finish", "invoked", nonce=nonce, status=status)
        state = "raised" if error else "returned"
        return self.write("finish", state, nonce=nonce, error=error, answered=answered and not error)


def push(state: str = "returned", **more: Any) -> Record:
    return {"what": "push", "state": state, "at": 0.5, "experiment": "E", "keys": ["k1"], **more}


def stored(nonce: str = ONE, *, steps: int = 1, final: bool = True, **more: Any) -> StoredJob:
    results = {f"step{step}": nonce for step in range(1, steps + 1)} | ({"final": nonce} if final else {})
    fields: dict[str, Any] = {
        "experiment": "E",
        "job_id": "job001",
        "status": "DONE",
        "attempt": 1,
        "attempts_forgiven": 0,
        "max_attempts": 3,
        "worker": "host:1 w",
        "error": None,
        "quality": nonce_quality(nonce),
        "hyperparameters": {"key": "k1"},
        "results": results,
    }
    return StoredJob(**{**fields, **more})


def event(kind: str, at: float = 9.0, **more: Any) -> StoredEvent:
    fields: dict[str, Any] = {"worker": "host:1 w", "attempt": 1, "detail": ""}
    return StoredEvent(experiment="E", job_id="job001", at=at, kind=kind, **{**fields, **more})


def operation(what: str, at: float = 50.0) -> list[Record]:
    """An operation that was done."""
    fields = {"what": what, "experiment": "E", "job": "job001", "key": "k1"}
    return [{**fields, "state": "invoked", "at": at}, {**fields, "state": "returned", "at": at + 1, "changed": True}]


def clean() -> Evidence:
    """One job, pushed, run with one put, and DONE."""
    history = Writer().begin(ONE).put(ONE, 1).finish(ONE)
    return Evidence(
        jobs=[stored()],
        workers=[history.records],
        pushers=[[push("invoked"), push(jobs=["job001"])]],
    )


def lost_and_run_again() -> Evidence:
    """A first worker is suspended after a put, a second takes the job, the first is refused."""
    first = Writer().begin(ONE).put(ONE, 1)
    second = Writer(now=10).begin(TWO, attempt=2, worker="host:2 w").finish(TWO)
    first.now = 20
    first.put(ONE, 2, "UnsafeUpdateError")
    return dataclasses.replace(
        clean(),
        workers=[first.records, second.records],
        jobs=[stored(TWO, steps=0, attempt=2, worker="host:2 w")],
        events=[
            event("lost", 8.0),
            event("kept", 11.0, results={"step1": ONE}),
            event("refused", 21.0, detail="A progress report was refused: ..."),
        ],
    )


def killed_for_good() -> Evidence:
    """The only allowed worker is killed after a put."""
    return dataclasses.replace(
        clean(),
        workers=[Writer().begin(ONE).put(ONE, 1).records],
        jobs=[stored(final=False, status="CRASHED", error="worker lost once", max_attempts=1, quality=0.0)],
        events=[event("lost", 10.0)],
    )


def given_back() -> Evidence:
    """SIGTERM: the first worker leaves, the second is granted the job before the first has ended."""
    first = Writer().begin(ONE).write("leave", "raised", nonce=ONE, error="SystemExit")
    second = Writer(now=3).begin(TWO, worker="host:2 w").finish(TWO)
    return dataclasses.replace(
        clean(), workers=[first.records, second.records], jobs=[stored(TWO, steps=0, worker="host:2 w")]
    )


def unanswered_and_refused() -> Evidence:
    """The finish of a suspended worker returns while no service answers; it is refused later, and that is on record."""
    first = Writer().begin(ONE)
    second = Writer(now=10).begin(TWO, attempt=2, worker="host:2 w").finish(TWO)
    first.now = 20
    first.finish(ONE, answered=False)
    return dataclasses.replace(
        clean(),
        workers=[first.records, second.records],
        jobs=[stored(TWO, steps=0, attempt=2, worker="host:2 w")],
        events=[event("lost", 8.0), event("refused", 30.0, detail="A finish report was refused: ...")],
    )


def deleted() -> Evidence:
    """A running job is deleted; its worker is told."""
    history = Writer().begin(ONE).finish(ONE, error="UnsafeUpdateError")
    return dataclasses.replace(
        clean(),
        workers=[history.records],
        jobs=[],
        operations=operation("delete"),
    )


def removed() -> Evidence:
    """The experiment of a running job is removed; its worker is told, and another has ended its job before."""
    other = Writer().begin(TWO, worker="host:2 w").finish(TWO)
    operations = operation("remove")
    return dataclasses.replace(
        deleted(), workers=[*deleted().workers, other.records], pushers=[], operations=operations
    )


def open_ends() -> Evidence:
    """A push that may or may not have been accepted, a finish that its process did not survive."""
    history = Writer().begin(ONE).put(ONE, 1).write("finish", "invoked", nonce=ONE, status="DONE")
    unsure = push("raised", error="BrokerUnreachableError")
    return dataclasses.replace(
        clean(),
        workers=[history.records],
        pushers=[[push("invoked"), push(jobs=["job001"]), unsure | {"keys": ["k2"]}]],
    )


def cancelled_while_queued() -> Evidence:
    return dataclasses.replace(
        clean(),
        workers=[],
        jobs=[stored(steps=0, final=False, status="PRUNED", attempt=0, worker=None)],
        events=[event("cancelled"), event("ended")],
        operations=operation("cancel"),
    )


def cancelled_while_running() -> Evidence:
    """The next `put` tells the worker, and what it put is stored."""
    history = Writer().begin(ONE).put(ONE, 1, "JobCancelledError").finish(ONE, status="PRUNED")
    return dataclasses.replace(
        clean(),
        workers=[history.records],
        jobs=[stored(status="PRUNED")],
        events=[event("cancelled"), event("ended")],
        operations=operation("cancel"),
    )


def cancelled_too_late_to_notice() -> Evidence:
    """The worker said that the job was done; the user who cancelled it has the last word."""
    return dataclasses.replace(
        clean(),
        jobs=[stored(status="PRUNED")],
        events=[event("cancelled"), event("ended")],
        operations=operation("cancel"),
    )


def run_again() -> Evidence:
    """A retry: the results of the first end are kept."""
    first = Writer().begin(ONE).put(ONE, 1).finish(ONE)
    second = Writer(now=60).begin(TWO, attempt=2, worker="host:2 w").finish(TWO)
    return dataclasses.replace(
        clean(),
        workers=[first.records, second.records],
        jobs=[stored(TWO, steps=0, attempt=2, attempts_forgiven=1, max_attempts=1, worker="host:2 w")],
        events=[event("ended"), event("retried"), event("kept", results={"step1": ONE, "final": ONE}), event("ended")],
        operations=operation("retry"),
    )


def failed_on_purpose() -> Evidence:
    history = Writer().begin(ONE).finish(ONE, status="CRASHED")
    return dataclasses.replace(
        clean(), workers=[history.records], jobs=[stored(steps=0, status="CRASHED", error="WantedFailureError: x")]
    )


def made() -> Evidence:
    """A search with a budget of two, whose jobs nobody has pushed."""
    second = Writer(now=10)
    second.begin(TWO)
    second.records[-1]["job"] = "job002"
    second.finish(TWO)
    jobs = [
        stored(number=0, hyperparameters={"x": 0.5}),
        stored(TWO, steps=0, job_id="job002", number=1, hyperparameters={"x": 0.25}),
    ]
    return dataclasses.replace(
        clean(),
        jobs=jobs,
        suggestions=[{"x": 0.5}, {"x": 0.25}],
        workers=[*clean().workers, second.records],
        pushers=[],
    )


@pytest.mark.parametrize(
    "run",
    [
        clean,
        made,
        lost_and_run_again,
        killed_for_good,
        given_back,
        unanswered_and_refused,
        deleted,
        removed,
        cancelled_while_queued,
        cancelled_while_running,
        cancelled_too_late_to_notice,
        run_again,
        open_ends,
        failed_on_purpose,
    ],
)
def test_a_run_as_promised_has_no_violations(run: Callable[[], Evidence]) -> None:
    assert check(run()) == []


def changed(evidence: Evidence, **fields: Any) -> Evidence:
    """The evidence, with its only job, or other parts of it, changed."""
    parts = {field.name for field in dataclasses.fields(Evidence)}
    of_job = {name: value for name, value in fields.items() if name not in parts}
    jobs = [dataclasses.replace(job, **of_job) for job in evidence.jobs]
    return dataclasses.replace(evidence, **{"jobs": jobs, **{k: v for k, v in fields.items() if k in parts}})


def second_without_a_loss() -> Evidence:
    """Two workers run the job at the same time, and nothing says that a lease ran out."""
    first = Writer().begin(ONE)
    second = Writer(now=10).begin(TWO, worker="host:2 w").finish(TWO)
    return dataclasses.replace(
        clean(), workers=[first.records, second.records], jobs=[stored(TWO, steps=0, worker="host:2 w")]
    )


def loss_of_another() -> Evidence:
    """As above; the lease that ran out was of a worker that had the job much earlier."""
    return changed(second_without_a_loss(), events=[event("lost", 5.0, worker="host:9 w")])


def both_accepted() -> Evidence:
    run = lost_and_run_again()
    first = Writer().begin(ONE).finish(ONE)
    return changed(run, workers=[first.records, run.workers[1]])


def began_in_a_pause() -> Evidence:
    return changed(clean(), operations=[*operation("pause", -1.0), *operation("resume", 60.0)])


VIOLATIONS: list[tuple[str, Callable[[], Evidence]]] = [
    ("push lost", lambda: changed(clean(), jobs=[])),
    ("push lost", lambda: changed(clean(), job_id="job002")),
    ("push lost", lambda: changed(clean(), pushers=[[push("raised", error="NotStoredYetError", keys=["k1", "k2"])]])),
    ("job stored twice or unasked", lambda: changed(clean(), jobs=[stored(), stored(job_id="job002", results={})])),
    ("job stored twice or unasked", lambda: changed(clean(), pushers=[[]])),
    ("budget not kept", lambda: changed(made(), jobs=made().jobs[:1])),
    ("budget not kept", lambda: changed(made(), jobs=made().jobs[1:])),
    ("budget not kept", lambda: changed(made(), suggestions=made().suggestions[:1])),
    ("budget not kept", lambda: changed(made(), number=0)),
    ("budget not kept", lambda: changed(clean(), number=0)),
    ("suggestion not of the seed", lambda: changed(made(), suggestions=made().suggestions[::-1])),
    ("job not final", lambda: changed(clean(), status="QUEUED")),
    ("job not final", lambda: changed(clean(), status="RUNNING")),
    ("deleted job still there", lambda: changed(deleted(), jobs=[stored()])),
    ("removed experiment left something", lambda: changed(removed(), left_by_removed=["3 jobs"])),
    ("finish lost", lambda: changed(lost_and_run_again(), workers=clean().workers)),
    (
        "finish lost",
        lambda: changed(killed_for_good(), workers=[Writer().begin(ONE).finish(ONE, answered=False).records]),
    ),
    ("finish lost", lambda: changed(unanswered_and_refused(), events=[event("lost", 8.0)])),
    ("finish lost", lambda: changed(clean(), jobs=[])),
    ("finish lost", lambda: changed(run_again(), events=[event("retried")])),
    ("put lost", lambda: changed(killed_for_good(), results={})),
    ("put lost", lambda: changed(lost_and_run_again(), events=[event("lost", 8.0)])),
    ("put lost", lambda: changed(cancelled_while_running(), results={"final": ONE})),
    ("refused without cause", lambda: changed(lost_and_run_again(), events=[])),
    ("refused without cause", lambda: changed(deleted(), operations=[], jobs=[stored()])),
    ("two accepted finishes", both_accepted),
    ("two accepted finishes", lambda: changed(run_again(), events=run_again().events[2:])),
    ("two accepted finishes", lambda: changed(clean(), events=[event("ended"), event("ended")])),
    ("results mixed", lambda: changed(clean(), results={"step1": TWO, "final": ONE})),
    ("results mixed", lambda: changed(clean(), results={"final": "c" * 32})),
    ("results mixed", lambda: changed(clean(), quality=0.0)),
    ("results mixed", lambda: changed(clean(), events=[event("kept", results={"step1": ONE, "final": TWO})])),
    ("results mixed", lambda: changed(clean(), status="CRASHED")),
    ("results mixed", lambda: changed(clean(), worker="host:7 w")),
    ("ended by nobody", lambda: changed(clean(), results={})),
    ("ended by nobody", lambda: changed(killed_for_good(), max_attempts=3)),
    ("ended by nobody", lambda: changed(clean(), results={}, status="PRUNED")),
    ("ended by nobody", lambda: changed(cancelled_while_queued(), status="DONE")),
    ("too many attempts", lambda: changed(clean(), attempt=4)),
    ("too many attempts", lambda: changed(run_again(), attempts_forgiven=0)),
    ("operation lost or doubled", lambda: changed(clean(), operations=operation("cancel"))),
    ("operation lost or doubled", lambda: changed(clean(), events=[event("cancelled")])),
    ("operation lost or doubled", lambda: changed(run_again(), events=run_again().events[2:])),
    ("operation lost or doubled", lambda: changed(run_again(), operations=[])),
    ("stopped without cause", lambda: changed(cancelled_while_running(), events=[], operations=[])),
    (
        "attempt did not begin clean",
        lambda: changed(clean(), workers=[Writer().begin(ONE, found={"step1": TWO}).put(ONE, 1).finish(ONE).records]),
    ),
    ("two workers at once", second_without_a_loss),
    ("two workers at once", loss_of_another),
    ("ran while paused", began_in_a_pause),
    ("ran while paused", lambda: changed(clean(), operations=[*operation("close", -1.0), *operation("reopen", 60.0)])),
    ("left in a queue", lambda: changed(clean(), left_in_queues={"schedy.jobs.E": ["ticket"]})),
    (
        "dead letter",
        lambda: changed(
            clean(),
            dead=[NAMELESS_DEATH],
        ),
    ),
    ("process failed", lambda: changed(clean(), failures=["worker1 ended with 1"])),
]


@pytest.mark.parametrize(("kind", "run"), VIOLATIONS)
def test_a_violation_is_found(kind: str, run: Callable[[], Evidence]) -> None:
    assert kind in {violation.kind for violation in check(run())}


def test_every_check_can_fail() -> None:
    assert {kind for kind, _run in VIOLATIONS} == set(CHECKS)
