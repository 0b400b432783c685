"""Programs of different versions side by side: what each reads of the other's messages.

`tests/data/messages_VERSION.jsonl` has a message of each kind as that version writes it. `python -m
tests.unit.test_versions` writes the file of the current version: when it is released, and before that when it changes.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from schedy.amqp.channel import Channel, Incoming
from schedy.wire import codec
from schedy.wire.answers import (
    Ancestor,
    BestAnswer,
    ClaimAnswer,
    CurveAnswer,
    CurvesAnswer,
    DemandAnswer,
    ExperimentChangedAnswer,
    ExperimentsAnswer,
    FieldsAnswer,
    HeartbeatAnswer,
    HistoryAnswer,
    JobAmendedAnswer,
    JobDeletedAnswer,
    JobNotice,
    JobOrderAnswer,
    JobOutcome,
    JobsAnswer,
    JobsChangedAnswer,
    MadeBy,
    MadeByAnswer,
    OutputAnswer,
    OverviewAnswer,
    OverviewsAnswer,
    PointsAnswer,
    PushAnswer,
    Refusal,
    RemovedAnswer,
    RemovedExperiment,
    ReportAnswer,
    SampleAnswer,
    WhyAnswer,
    WorkersAnswer,
)
from schedy.wire.base import MESSAGES, Answer, Message
from schedy.wire.bundles import AnswerBundle
from schedy.wire.codec import decode, decode_answer, decode_ticket, encode
from schedy.wire.records import (
    ExperimentRecord,
    JobCurve,
    JobEvent,
    JobPoint,
    JobRecord,
    Limits,
    Point,
    RunningJob,
    Standing,
    WorkerRecord,
)
from schedy.wire.reports import Finish
from schedy.wire.service import Replay, Tick, Ticket
from schedy.wire.versions import SCHEMA_VERSION, RawMessage, UndecodableError, Versions
from schedy_store.service.decoding import decode_deliveries
from tests.unit.test_messages import HELD, NASTY, SENDABLE, A, B

DATA = Path(__file__).parents[1] / "data"
RECORDED = [SCHEMA_VERSION]
"""Versions of messages that are read: this one, and the one before."""
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FREE = {"hyperparameters", "results", "previous_results", "settings", "job_counts", "values"}
"""Fields whose names are the users' own."""
JOB = JobRecord(
    position=1, job_id="abcdef", status="DONE", quality=1.0, hyperparameters=NASTY, results=NASTY, created_at=NOW
)
EVENT = JobEvent(
    position=1, experiment="x", job_id="abcdef", at=NOW, kind="ended", worker="w", attempt=1, detail="DONE", results={}
)
EXPERIMENT = ExperimentRecord(
    position=1,
    uid=A,
    name="x",
    scheduler="manual",
    settings=NASTY,
    status="DONE",
    paused=True,
    limits=Limits(max_attempts=3, job_timeout=1.0),
    created_at=NOW,
    job_counts={"DONE": 1},
)
WORKER = WorkerRecord(
    position=1,
    host="h",
    pid=1,
    program="p",
    state="alive",
    detail="",
    silent=False,
    since=NOW,
    heard_at=NOW,
    heard_seconds_ago=1.0,
    jobs=["x/abcdef"],
    done=1,
    crashed=0,
    lost=0,
)
STANDING = Standing(
    experiment=EXPERIMENT, best=[JOB], open_jobs=3, mean_seconds=1.5, seconds_left=4.5, workers=2, busy=1
)
RUNNING = RunningJob(job_id="abcdef", worker="w", attempt=1, seconds=1.5, steps=[1], values=[0.5])
ANSWERS: list[Answer] = [
    Refusal(code="invalid", reason="because"),
    AnswerBundle(answers=[]),
    ClaimAnswer(granted=True, job=JOB, lease_seconds=30.0),
    ReportAnswer(accepted=True, revision=2, at=NOW, status="RUNNING", stop="it was cancelled.", prune=True),
    DemandAnswer(there=False, coming=True),
    HeartbeatAnswer(lost=[JobNotice(token=A, reason="r")], stopped=[JobNotice(token=B, reason="r")]),
    PushAnswer(experiment_uid=A, jobs=[JOB], lease_seconds=30.0),
    ExperimentChangedAnswer(experiment=EXPERIMENT),
    JobDeletedAnswer(),
    JobAmendedAnswer(revision=2),
    JobsChangedAnswer(outcomes=[JobOutcome(job_id="abcdef", changed=True, detail="d")]),
    ExperimentsAnswer(experiments=[EXPERIMENT], more=True),
    JobsAnswer(jobs=[JOB], events=[EVENT]),
    JobOrderAnswer(positions=[1]),
    FieldsAnswer(hyperparameters=["x"], results=["y"]),
    MadeByAnswer(algorithms=[MadeBy(algorithm="tpe", jobs=3)]),
    WhyAnswer(
        number=3, algorithm="tpe", ended=2, ancestors=[Ancestor(job_id="abcdef", generation=1, hyperparameters={})]
    ),
    RemovedAnswer(experiments=[RemovedExperiment(name="x", jobs=3)]),
    HistoryAnswer(events=[EVENT]),
    CurveAnswer(points=[Point(step=1, values={"loss": 1.0})]),
    CurvesAnswer(curves=[JobCurve(position=1, job_id="abcdef", points=[Point(step=1, values={"loss": 1.0})])]),
    SampleAnswer(ended=2, positions=[1], places=[2], running=[3]),
    PointsAnswer(points=[JobPoint(position=1, job_id="abcdef", attempt=1, step=1, name="loss", value=1.0)]),
    OutputAnswer(attempt=1, text="t", end=5, traceback="T", path="/f", worker="w", status="DONE", running=False),
    WorkersAnswer(workers=[WORKER]),
    BestAnswer(jobs=[JOB], more=True),
    OverviewAnswer(**dict(STANDING), running=[RUNNING], last_ended=JOB, last_crashed=None),
    OverviewsAnswer(overviews=[STANDING]),
]
TICKET = Ticket(experiment_uid=A, experiment="x", job_id="abcdef", hyperparameters=NASTY)
FINISH = Finish(**HELD, sequence=2, status="DONE", results={"loss": 1}, quality=0.5)


def with_more(value: Any) -> Any:
    """Return a message with a field more in each of its parts, as a later version may have."""
    if isinstance(value, list):
        return [with_more(item) for item in value]
    if isinstance(value, dict):
        parts = {name: item if name in FREE else with_more(item) for name, item in value.items()}
        return {**parts, "of_a_later_version": {"x": 1}}
    return value


def of_a_later_version(message: Message) -> bytes:
    raw = {**with_more(json.loads(encode(message))), "schema_version": SCHEMA_VERSION + 1}
    return json.dumps(raw).encode()


def test_every_kind_of_answer_is_tested() -> None:
    answers = {kind for kind, model in MESSAGES.items() if issubclass(model, Answer)}
    assert {answer.kind for answer in ANSWERS} == answers


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.kind)
def test_a_client_reads_the_answers_of_a_later_service(answer: Answer) -> None:
    read = decode_answer(of_a_later_version(answer))
    assert read.model_copy(update={"schema_version": SCHEMA_VERSION}) == answer


def test_a_worker_reads_the_tickets_of_a_later_service() -> None:
    read = decode_ticket(of_a_later_version(TICKET))
    assert read.model_copy(update={"schema_version": SCHEMA_VERSION}) == TICKET


def test_a_service_reads_the_ticks_of_a_later_one() -> None:
    read = decode(of_a_later_version(Tick(instance="host:1")))
    assert isinstance(read, Tick)


def test_a_message_of_a_later_client_waits_for_an_upgrade() -> None:
    with pytest.raises(UndecodableError, match=r"schema version 2, this program speaks 1; upgrade the results service"):
        decode(of_a_later_version(FINISH))


def finish_of_before() -> RawMessage:
    """Return `FINISH` as a made-up version 0 had it: with other names of two fields, and one that is no more."""
    raw = {**json.loads(encode(FINISH)), "schema_version": 0, "outcome": "DONE", "score": 0.5, "gpu": 1}
    del raw["status"], raw["quality"]
    return raw


def _upgraded(raw: RawMessage) -> RawMessage:
    renamed = {**raw, "status": raw["outcome"], "quality": raw["score"]}
    return {name: value for name, value in renamed.items() if name not in {"outcome", "score", "gpu"}}


@pytest.fixture
def after_version_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "VERSIONS", Versions(current=1, upgrades={0: {"finish": _upgraded}}))


@pytest.mark.usefixtures("after_version_0")
def test_the_service_reads_the_version_before() -> None:
    assert decode(json.dumps(finish_of_before()).encode()) == FINISH
    release = {**HELD, "schema_version": 0, "kind": "release", "sequence": 1}
    assert decode(json.dumps(release).encode()).schema_version == 1


@pytest.mark.usefixtures("after_version_0")
def test_a_dead_letter_of_the_version_before_is_replayed() -> None:
    body = base64.b64encode(json.dumps(finish_of_before()).encode()).decode()
    replay = Replay(routing_key="report.finish", body=body, user="schedy-worker")
    delivered = Incoming(
        channel=cast("Channel", None),
        tag=1,
        body=encode(replay),
        routing_key="service.replay",
        reply_to=None,
        correlation_id=None,
        user="schedy-service",
    )
    (read,) = decode_deliveries([delivered], bury=lambda _incoming, reason: pytest.fail(reason))
    assert read.message == FINISH


@pytest.mark.usefixtures("after_version_0")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema_version": -1}, "schema version -1, this program speaks 0 and 1"),
        ({"schema_version": 2}, "schema version 2, this program speaks 0 and 1; upgrade"),
        ({"schema_version": "1"}, "schema version '1', this program speaks"),
        ({"surprise": 1}, "finish.surprise: Extra inputs"),
        ({"outcome": "SLEEPING"}, "finish.status"),
    ],
)
def test_what_is_no_message_of_the_version_before(change: RawMessage, reason: str) -> None:
    with pytest.raises(UndecodableError, match=reason):
        decode(json.dumps({**finish_of_before(), **change}).encode())


@pytest.mark.usefixtures("after_version_0")
def test_a_field_that_the_version_before_had_and_the_message_has_not() -> None:
    raw = finish_of_before()
    del raw["outcome"]
    with pytest.raises(UndecodableError, match="not a message of schema version 0: KeyError"):
        decode(json.dumps(raw).encode())


def recorded_file(version: int) -> Path:
    return DATA / f"messages_{version}.jsonl"


@pytest.mark.parametrize("version", RECORDED)
def test_recorded_messages_are_read(version: int) -> None:
    for line in recorded_file(version).read_bytes().splitlines():
        model = MESSAGES[json.loads(line)["kind"]]
        read = decode_answer if issubclass(model, Answer) else decode_ticket if model is Ticket else decode
        assert isinstance(read(line), model), "see the docstring of this module"


def grown(before: Any, now: Any) -> bool:
    """Return whether a message has every field that it had, in each of its parts."""
    if isinstance(before, list):
        return all(any(grown(old, new) for new in now) for old in before)
    if isinstance(before, dict):
        return all(
            name in now and (name in FREE or now[name] is None or grown(item, now[name]))
            for name, item in before.items()
        )
    return True


@pytest.mark.parametrize("version", RECORDED)
def test_what_the_service_sends_has_only_grown(version: int) -> None:
    """Clients of that version need its fields; they take no notice of more."""
    now = {message.kind: json.loads(encode(message)) for message in (*ANSWERS, TICKET, Tick(instance="host:1"))}
    recorded = [json.loads(line) for line in recorded_file(version).read_bytes().splitlines()]
    sent = [message for message in recorded if message["kind"] in now]
    assert {message["kind"] for message in sent} == now.keys()
    assert [message["kind"] for message in sent if not grown(message, now[message["kind"]])] == []


@pytest.mark.parametrize(
    ("before", "now"), [({"a": 1}, {"b": 1}), ({"a": [{"b": 1}]}, {"a": [{"c": 1}]}), ({"a": 1}, {})]
)
def test_what_has_not_grown_alone(before: RawMessage, now: RawMessage) -> None:
    assert not grown(before, now)
    assert grown(before, {**now, **before})


if __name__ == "__main__":
    recorded_file(SCHEMA_VERSION).write_bytes(
        b"".join(encode(message) + b"\n" for message in [*SENDABLE, *ANSWERS, TICKET])
    )
