"""Messages: what is encoded is decoded the same; what is no message is refused with the reason."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from schedy.errors import InvalidValueError, NotFoundError, ResourceExistsError, UnsafeUpdateError, VersionMismatchError
from schedy.wire.answers import ClaimAnswer, FieldsAnswer, Refusal, expected
from schedy.wire.base import (
    MESSAGES,
    Answer,
    Message,
    Question,
    Sendable,
    Worker,
    check_experiment_name,
)
from schedy.wire.bundles import Bundle, BundledReport
from schedy.wire.changes import (
    AddExperiment,
    AmendJob,
    CancelJobs,
    Change,
    DeleteExperiment,
    DeleteJob,
    NewJob,
    Push,
    RetryJobs,
    UpdateExperiment,
)
from schedy.wire.codec import decode, decode_answer, decode_ticket, encode, routing_key
from schedy.wire.records import JobRecord, Point
from schedy.wire.reports import Claim, Curve, Demand, Finish, Heartbeat, HeldJob, Output, Progress, Release, Report
from schedy.wire.requests import (
    GetBest,
    GetCurve,
    GetCurves,
    GetExperiments,
    GetFields,
    GetHistory,
    GetJobOrder,
    GetJobs,
    GetMadeBy,
    GetOutput,
    GetOverview,
    GetOverviews,
    GetPoints,
    GetRemoved,
    GetSample,
    GetWhy,
    GetWorkers,
    Request,
    SortField,
)
from schedy.wire.service import Replay, Tick, Ticket
from schedy.wire.values import checked_size
from schedy.wire.versions import SCHEMA_VERSION, UndecodableError

A, B = "a" * 32, "b" * 32
WORKER = Worker(host="node-1", pid=7, program="train.py", uid="7" * 32)
NASTY = {"up": math.inf, "nul\x00": "\x00", "half": "\ud800", "\udcff": [{"big": 10**300}], "none": None}
HELD: dict[str, Any] = {"experiment_uid": A, "job_id": "_bcdef", "token": B}

SENDABLE: list[Sendable] = [
    Claim(**HELD, worker=WORKER),
    Progress(**HELD, sequence=1, results=NASTY, quality=-math.inf),
    Finish(
        **HELD, sequence=2, status="CRASHED", results=NASTY, quality=0.5, error="line 1\nline 2\t\x1b", traceback="T"
    ),
    Curve(**HELD, sequence=3, points=[Point(step=-1, values={"loss": math.inf})]),
    Output(**HELD, sequence=4, text="\x1b[1mé\r\n", end=2**40, path="/runs/é"),
    Release(**HELD, sequence=3),
    Demand(experiment_uid=A, worker=WORKER, wait_id=B),
    Heartbeat(worker=WORKER, held=[HeldJob(**HELD)]),
    Push(
        request_id=A,
        experiment_name="é" * 100,
        jobs=[NewJob(hyperparameters=NASTY, results=NASTY, status="RUNNING", token=B)],
        worker=WORKER,
    ),
    AddExperiment(request_id=A, name="n" * 200, scheduler="manual", settings=NASTY, status="DONE"),
    UpdateExperiment(request_id=A, experiment_uid=B, paused=True),
    DeleteExperiment(request_id=A, experiment_uid=B),
    Bundle(reports=[BundledReport(id=A, report={"kind": "claim"}), BundledReport(id=None, report={})]),
    DeleteJob(request_id=A, experiment_uid=B, job_id="abcde-"),
    AmendJob(request_id=A, experiment_uid=B, job_id="abcdef", results=NASTY, quality=1.0, revision=None),
    CancelJobs(request_id=A, experiment_uid=B, job_ids=["abcdef"]),
    RetryJobs(request_id=A, experiment_uid=B, job_ids=["abcdef"]),
    Tick(instance="host:1"),
    Replay(routing_key="report.finish", body="AAAA", user="schedy-worker"),
    GetExperiments(name="x"),
    GetJobs(experiment_uid=A, statuses=["QUEUED"], positions=[3, 1]),
    GetJobOrder(experiment_uid=A, sort=[SortField(source="result", name="loss")], decreasing=True),
    GetFields(experiment_uid=A),
    GetMadeBy(experiment_uid=A),
    GetWhy(experiment_uid=A, job_id="abcdef"),
    GetRemoved(),
    GetHistory(experiment_uid=A, job_id="abcdef", newest=True),
    GetCurve(experiment_uid=A, job_id="abcdef"),
    GetCurves(experiment_uid=A, positions=[3, 1], steps=60),
    GetSample(experiment_uid=A),
    GetPoints(experiment_uid=A, statuses=["DONE"]),
    GetOutput(experiment_uid=A, job_id="abcdef", attempt=2, after=7),
    GetBest(experiment_uid=A, limit=5),
    GetOverview(experiment_uid=A),
    GetOverviews(running=True),
    GetWorkers(gone=True),
]
OF_CLIENTS = [message for message in SENDABLE if not message.by_service]


def test_every_kind_of_message_is_tested() -> None:
    assert {message.kind for message in SENDABLE} == {
        kind for kind, model in MESSAGES.items() if issubclass(model, Sendable)
    }


def test_every_question_names_its_answer() -> None:
    questions = [model for model in MESSAGES.values() if issubclass(model, Question)]
    assert {question.answer_type.__name__ for question in questions} | {"Refusal", "AnswerBundle"} == {
        model.__name__ for model in MESSAGES.values() if issubclass(model, Answer)
    }


def test_an_answer_of_another_kind_is_refused_in_one_sentence() -> None:
    right = FieldsAnswer(hyperparameters=[], results=[])
    assert expected(GetFields(experiment_uid=A), right) is right
    with pytest.raises(
        VersionMismatchError, match="answered 'get_workers' with 'fields_answer': it is of another version"
    ):
        expected(GetWorkers(), right)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("not_found", NotFoundError),
        ("exists", ResourceExistsError),
        ("unsafe", UnsafeUpdateError),
        ("invalid", InvalidValueError),
    ],
)
def test_a_refusal_is_raised_as_its_error(code: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="because"):
        expected(GetWorkers(), Refusal(code=code, reason="because"))


@pytest.mark.parametrize("message", SENDABLE, ids=lambda message: message.kind)
def test_a_message_comes_back_as_it_was(message: Sendable) -> None:
    body = encode(message)
    assert decode(body) == message
    assert body.isascii()
    assert encode(decode(body)) == body


def test_nan_comes_back() -> None:
    sent = Progress(**HELD, sequence=1, results={"loss": math.nan}, quality=math.nan)
    back = decode(encode(sent))
    assert isinstance(back, Progress)
    assert math.isnan(back.quality)
    assert math.isnan(back.results["loss"])


def test_answers_and_tickets_come_back_with_their_times() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    record = JobRecord(
        position=1, job_id="abcdef", status="DONE", quality=1.0, hyperparameters=NASTY, results={}, created_at=now
    )
    answer = ClaimAnswer(granted=True, job=record, lease_seconds=30.0)
    assert decode_answer(encode(answer)) == answer
    ticket = Ticket(experiment_uid=A, experiment="x", job_id="abcdef", hyperparameters=NASTY)
    assert decode_ticket(encode(ticket)) == ticket


@pytest.mark.parametrize("message", OF_CLIENTS, ids=lambda message: message.kind)
def test_a_field_that_nobody_knows_is_refused(message: Message) -> None:
    raw = {**json.loads(encode(message)), "surprise": 1}
    with pytest.raises(UndecodableError, match="surprise"):
        decode(json.dumps(raw).encode())


@pytest.mark.parametrize("message", OF_CLIENTS, ids=lambda message: message.kind)
def test_a_message_of_another_schema_version_is_refused(message: Message) -> None:
    raw = {**json.loads(encode(message)), "schema_version": 2}
    with pytest.raises(UndecodableError, match="schema version 2, this program speaks 1"):
        decode(json.dumps(raw).encode())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 5000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "schema version None"),
        (b'{"schema_version": 1}', "not a known message"),
        (b'{"schema_version": 1, "kind": "dance"}', "dance"),
        (b'{"schema_version": 1, "kind": ["claim"]}', "not a known message"),
        (b'{"schema_version": 1, "kind": "release", "experiment_uid": "a"}', "experiment_uid"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_message_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UndecodableError, match=reason):
        decode(body)


@pytest.mark.parametrize(
    "change",
    [
        {"token": "A" * 32},
        {"token": B + "\n"},
        {"job_id": "-bcdef"},
        {"job_id": "abcdef\n"},
        {"job_id": "abcde"},
        {"sequence": 0},
        {"status": "RUNNING"},
        {"quality": None},
        {"quality": 10**400},
        {"error": "a\x00b"},
        {"error": "x" * 65_537},
        {"results": [1]},
    ],
    ids=lambda change: ascii(change)[:30],
)
def test_a_report_with_an_impossible_field_is_refused(change: dict[str, Any]) -> None:
    raw = {**json.loads(encode(SENDABLE[2])), **change}
    with pytest.raises(UndecodableError, match=next(iter(change))):
        decode(json.dumps(raw).encode())


@pytest.mark.parametrize("program", ["a\x1b[31m", "a\x00", "a\x7f", "a\x9b31m", "a\nb", "x" * 301])
def test_who_works_is_one_printable_line(program: str) -> None:
    with pytest.raises(ValidationError, match="program"):
        Worker(host="h", pid=1, program=program, uid="1" * 32)


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SENDABLE[0].kind = A  # type: ignore[misc]


def test_routing_keys_tell_workers_from_pushers_and_readers() -> None:
    prefixes = (
        (Report, "report"),
        (Bundle, "report"),
        (Change, "change"),
        (Request, "request"),
        (Tick, "service"),
        (Replay, "service"),
    )
    for message in SENDABLE:
        prefix = next(prefix for kind, prefix in prefixes if isinstance(message, kind))
        assert routing_key(message) == f"{prefix}.{message.kind}"


@pytest.mark.parametrize("name", ["a", "x" * 200, "é" * 100, "😀" * 50, "a b/c.d#*", " ", "+1"])
def test_usable_experiment_names(name: str) -> None:
    assert check_experiment_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "1 to 200 bytes in UTF-8, this one has 0"),
        ("x" * 201, "this one has 201"),
        ("é" * 101, "this one has 202"),
        ("a\nb", "control character"),
        ("\x9b", "control character"),
        ("\udcff", "control character"),
        ("\u2028", "control character"),
        ("-l", "begins with '-'"),
    ],
)
def test_unusable_experiment_names(name: str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        check_experiment_name(name)
    with pytest.raises(ValidationError):
        AddExperiment(request_id=A, name=name, scheduler="manual")


def test_values_over_the_limit_are_refused_with_the_sizes() -> None:
    assert checked_size({"x": "a" * 90}, limit_bytes=99, what="results") == 99
    with pytest.raises(InvalidValueError, match=r"The results have 100 bytes as JSON, the limit is 99\."):
        checked_size({"x": "a" * 91}, limit_bytes=99, what="results")


def test_the_schema_version_is_in_every_body() -> None:
    for message in SENDABLE:
        assert json.loads(encode(message))["schema_version"] == SCHEMA_VERSION
