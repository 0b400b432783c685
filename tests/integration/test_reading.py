"""The best jobs and the overview of an experiment, from the store."""

import itertools
import random
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest
from sqlalchemy import update

from schedy.results.fields import parse_condition, parse_field
from schedy.wire.answers import ExperimentChangedAnswer, Refusal
from schedy.wire.base import Answer
from schedy.wire.changes import AddExperiment, CancelJobs, DeleteJob, NewJob, RetryJobs, UpdateExperiment
from schedy.wire.records import ExperimentRecord, Point
from schedy.wire.reports import Curve, Finish
from schedy.wire.requests import (
    GetBest,
    GetCurve,
    GetCurves,
    GetExperiments,
    GetFields,
    GetJobOrder,
    GetJobs,
    GetOverview,
    GetOverviews,
    GetSample,
    Request,
    SortField,
)
from schedy_cli.main import run
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Service
from tests.integration.test_store import LEASE_SECONDS, WORKER, Desk, fresh

A = TypeVar("A", bound=Answer)
LOSS = {"result": "loss", "direction": "minimize"}
ACCURACY = {"result": "acc", "direction": "maximize"}


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    store = Store.open(store_url)
    with store.transaction() as transaction:
        transaction.sql.execute(update(Service).values(lease_seconds=LEASE_SECONDS))
    yield Desk(store)
    store.close()


def read(desk: Desk, request: Request[A]) -> A:
    answer = desk.read(request)
    assert isinstance(answer, request.answer_type), answer
    return answer  # type: ignore[return-value]


def search(desk: Desk, name: str = "S", **settings: Any) -> ExperimentRecord:
    """Add an experiment that may have constraints and a budget."""
    settings = {"hyperparameters": {"x": {"uniform": {"low": 0, "high": 1}}}, **settings}
    scheduler = "nsga2" if len(settings["objectives"]) > 1 else "tpe"
    change = AddExperiment(request_id=fresh(), name=name, scheduler=scheduler, settings=settings)
    answer = desk.change(change).answer
    assert isinstance(answer, ExperimentChangedAnswer), answer
    return answer.experiment


def ended(results: dict[str, Any], status: str = "DONE") -> NewJob:
    return NewJob.model_validate({"hyperparameters": {"x": 1}, "results": results, "status": status})


def ids(desk: Desk, experiment: ExperimentRecord, limit: int) -> list[str]:
    return [job.job_id for job in read(desk, GetBest(experiment_uid=experiment.uid, limit=limit)).jobs]


def test_the_best_are_done_have_a_number_and_keep_the_constraints(desk: Desk) -> None:
    constraints = [{"result": "ms", "at_most": 10.0}, {"result": "acc", "at_least": 0.5}]
    experiment = search(desk, objectives=[LOSS], constraints=constraints)
    assert ids(desk, experiment, 3) == []
    fine = {"ms": 10, "acc": 0.5}
    first, _slow, _poor, _without, _nan, _text, _pruned, _crashed, second, best, same = desk.push(
        experiment,
        ended({"loss": 3, **fine}),
        ended({"loss": 0, "ms": 10.5, "acc": 1}),
        ended({"loss": 0, "ms": 1, "acc": 0.4}),
        ended({"loss": 0, "ms": 1}),
        ended({"loss": float("nan"), **fine}),
        ended({"loss": "small", **fine}),
        ended({"loss": 0, **fine}, "PRUNED"),
        ended({"loss": 0, **fine}, "CRASHED"),
        ended({"loss": 2, **fine}),
        ended({"loss": float("-inf"), **fine}),
        ended({"loss": 2, **fine}),
    )
    assert ids(desk, experiment, 10) == [best, second, same, first], "of equal ones the oldest comes first"
    assert ids(desk, experiment, 2) == [best, second]
    desk.change(RetryJobs(request_id=fresh(), experiment_uid=experiment.uid, job_ids=[best]))
    assert ids(desk, experiment, 2) == [second, same], "a job that runs again has no result yet"
    maximizes = desk.add("M", settings={"objectives": [ACCURACY]})
    low, high = desk.push(maximizes, ended({"acc": 1}), ended({"acc": 2.5}))
    assert ids(desk, maximizes, 2) == [high, low]
    no_objective = desk.add("N")
    desk.push(no_objective, ended({"acc": 1}))
    assert ids(desk, no_objective, 5) == []


@pytest.mark.parametrize("objectives", [[LOSS, ACCURACY], [LOSS, ACCURACY, {"result": "ms", "direction": "minimize"}]])
def test_the_front_is_what_no_other_job_beats(desk: Desk, objectives: list[dict[str, str]]) -> None:
    chance = random.Random(len(objectives))  # noqa: S311
    names = [objective["result"] for objective in objectives]
    experiment = search(desk, objectives=objectives, constraints=[{"result": "loss", "at_least": 3.0}])
    results = [{name: chance.randrange(20) for name in names} for _ in range(150)]
    for found in results:
        found["acc"] += found["loss"]
    pushed = desk.push(experiment, *map(ended, results), ended({"loss": 3}), ended({"loss": 3, "acc": 99}, "PRUNED"))
    costs = {
        job_id: tuple(-found[name] if name == "acc" else found[name] for name in names)
        for job_id, found in zip(pushed, results, strict=False)
        if found["loss"] >= 3
    }
    front: dict[tuple[int, ...], str] = {}
    for job_id, cost in costs.items():
        beaten = any(
            other != cost and all(one <= two for one, two in zip(other, cost, strict=True)) for other in costs.values()
        )
        if not beaten:
            front.setdefault(cost, job_id)
    expected = [job_id for _cost, job_id in sorted(front.items())]
    assert len(expected) > 2
    assert ids(desk, experiment, 100) == expected
    answer = read(desk, GetBest(experiment_uid=experiment.uid, limit=2))
    assert ([job.job_id for job in answer.jobs], answer.more) == (expected[:2], True)
    desk.push(experiment, ended({"loss": 100, "acc": 100}))
    bests = read(desk, GetOverview(experiment_uid=experiment.uid)).best
    worst_first = sorted(results, key=lambda found: found["acc"] if found["loss"] >= 3 else -1)
    if len(names) == 3:
        assert bests[0].results["loss"] == 3
        assert bests[1].results["acc"] == worst_first[-1]["acc"], "a job without the third objective is none"
    assert len(bests) == len(names)


def test_a_sample_has_the_best_and_all_that_were_the_best(desk: Desk) -> None:
    chance = random.Random(5)  # noqa: S311
    experiment = search(desk, objectives=[ACCURACY], constraints=[{"result": "acc", "at_most": 1600}])
    results = [{"acc": chance.randrange(200 + place)} for place in range(1500)]
    desk.push(experiment, *map(ended, results[:1000]))
    desk.push(experiment, *map(ended, results[1000:]))
    desk.push(experiment, NewJob(hyperparameters={"x": 0.5}))
    running = desk.push(experiment, NewJob(hyperparameters={"x": 0.5}))
    desk.claim(experiment, running[0], "a" * 32)

    every = read(desk, GetSample(experiment_uid=experiment.uid, limit=2000))
    assert (every.ended, every.places) == (1500, list(range(1, 1501)))
    assert [desk.job(experiment, running[0]).position] == every.running

    some = read(desk, GetSample(experiment_uid=experiment.uid, limit=10))
    assert (some.ended, some.places[0], some.places[-1]) == (1500, 1, 1500)
    kept = [(found["acc"], place) for place, found in enumerate(results, 1) if found["acc"] <= 1600]
    best = {place for _value, place in sorted(kept, key=lambda pair: (-pair[0], pair[1]))[:200]}
    improving = {place for value, place in kept if all(other < value for other, at in kept if at < place)}
    spread = {1 + round(each * 1499 / 9) for each in range(10)}
    assert improving - best, "the first ones are no longer among the best"
    assert set(some.places) == best | improving | spread
    assert [every.places[every.positions.index(position)] for position in some.positions] == some.places


def test_the_curves_of_many_jobs_come_in_pages_and_thinned_out(desk: Desk) -> None:
    experiment = desk.add()
    jobs = desk.push(experiment, *[NewJob(hyperparameters={"x": x}) for x in range(3)])
    for job_id, token in zip(jobs[1:], ("1" * 32, "2" * 32), strict=True):
        desk.claim(experiment, job_id, token)
        held = {"experiment_uid": experiment.uid, "job_id": job_id, "token": token}
        points = [Point(step=step, values={"loss": float(step), "nan": float("nan")}) for step in range(7)]
        desk.report(Curve(**held, sequence=1, points=points))
    first = read(desk, GetCurves(experiment_uid=experiment.uid, limit=2))
    assert [(curve.job_id, len(curve.points)) for curve in first.curves] == [(jobs[0], 0), (jobs[1], 7)]
    assert first.more
    rest = read(desk, GetCurves(experiment_uid=experiment.uid, after=first.curves[-1].position))
    assert [curve.job_id for curve in rest.curves] == [jobs[2]]
    assert not rest.more
    asked = [rest.curves[0].position, first.curves[0].position]
    few = read(desk, GetCurves(experiment_uid=experiment.uid, positions=asked, steps=3))
    assert [curve.job_id for curve in few.curves] == [jobs[2], jobs[0]]
    assert [(point.step, point.values["loss"]) for point in few.curves[0].points] == [(0, 0), (3, 3), (6, 6)]


def test_of_a_long_curve_no_more_is_read_than_is_shown(desk: Desk) -> None:
    experiment = desk.add()
    [job_id] = desk.push(experiment, NewJob(hyperparameters={}))
    desk.claim(experiment, job_id, "1" * 32)
    held = {"experiment_uid": experiment.uid, "job_id": job_id, "token": "1" * 32}
    steps = [*range(100), 1000, 1001]
    points = [Point(step=step, values={"loss": float(step), "acc": 0.5}) for step in steps]
    desk.report(Curve(**held, sequence=1, points=points))
    for limit, expected in ((2, [0, 51, 1001]), (4, [0, 26, 52, 78, 1001]), (6, [*steps[::17], 1001]), (1000, steps)):
        found = read(desk, GetCurve(experiment_uid=experiment.uid, job_id=job_id, limit=limit)).points
        assert [(point.step, point.values) for point in found] == [
            (step, {"loss": float(step), "acc": 0.5}) for step in expected
        ], limit
        [curve] = read(desk, GetCurves(experiment_uid=experiment.uid, steps=limit)).curves
        assert curve.points == found


def test_an_overview_has_all_that_a_screen_shows(desk: Desk) -> None:
    experiment = desk.add(settings={"objectives": [LOSS]})
    empty = read(desk, GetOverview(experiment_uid=experiment.uid))
    assert (empty.best, empty.open_jobs, empty.mean_seconds, empty.seconds_left) == ([], 0, None, None)
    assert empty.last_ended_at is None
    assert (empty.workers, empty.busy, empty.running, empty.last_ended, empty.last_crashed) == (0, 0, [], None, None)

    waiting = desk.push(experiment, *[NewJob(hyperparameters={"x": x}) for x in range(6)])
    tokens = [number * 32 for number in "1234"]
    for job_id, token, loss in zip(waiting, tokens[:2], (2.0, None), strict=False):
        desk.claim(experiment, job_id, token)
        desk.pass_seconds(10)
        status = "CRASHED" if loss is None else "DONE"
        results = {} if loss is None else {"loss": loss}
        desk.report(
            Finish(
                experiment_uid=experiment.uid,
                job_id=job_id,
                token=token,
                sequence=1,
                status=status,
                results=results,
                quality=0.0,
                error="no memory" if loss is None else None,
            )
        )
    for job_id, token in zip(waiting[2:4], tokens[2:], strict=True):
        desk.claim(experiment, job_id, token)
    points = [Point(step=step, values={"loss": float(step), "other": 0.0}) for step in range(40)]
    held = {"experiment_uid": experiment.uid, "job_id": waiting[2], "token": tokens[2]}
    desk.report(Curve(**held, sequence=1, points=points))
    desk.change(CancelJobs(request_id=fresh(), experiment_uid=experiment.uid, job_ids=[waiting[3]]))

    found = read(desk, GetOverview(experiment_uid=experiment.uid))
    assert found.experiment.job_counts == {"QUEUED": 2, "RUNNING": 2, "DONE": 1, "CRASHED": 1}
    assert [job.job_id for job in found.best] == [waiting[0]]
    assert found.last_ended is not None
    assert found.last_crashed is not None
    assert (found.last_ended.job_id, found.last_crashed.error) == (waiting[1], "no memory")
    assert found.open_jobs == 4
    assert found.mean_seconds == pytest.approx(10, abs=2)
    assert found.last_ended_at == found.last_ended.finished_at
    assert found.seconds_left == pytest.approx(20, abs=4)
    assert (found.workers, found.busy) == (1, 1), "one worker holds both"
    one, other = found.running
    assert (one.job_id, one.attempt, one.worker, one.stop) == (waiting[2], 1, str(WORKER), None)
    assert (one.steps, one.values) == (list(range(10, 40)), [float(step) for step in range(10, 40)])
    assert (other.job_id, other.steps, other.stop) == (waiting[3], [], "cancelled")

    paused = UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, paused=True)
    desk.change(paused)
    assert read(desk, GetOverview(experiment_uid=experiment.uid)).seconds_left is None


def test_overviews_come_in_pages_and_know_the_budget(desk: Desk) -> None:
    search(desk, "budget", objectives=[LOSS], max_jobs=7)
    desk.add("done", status="DONE")
    desk.add("last", settings={"objectives": [LOSS]})
    first = read(desk, GetOverviews(running=True, limit=1))
    assert [(found.experiment.name, found.open_jobs) for found in first.overviews] == [("budget", 7)]
    assert first.more
    rest = read(desk, GetOverviews(running=True, after=first.overviews[0].experiment.position))
    assert [found.experiment.name for found in rest.overviews] == ["last"]
    everything = read(desk, GetOverviews())
    assert [found.experiment.name for found in everything.overviews] == ["budget", "done", "last"]
    newest = read(desk, GetOverviews(newest=True, limit=2))
    assert ([found.experiment.name for found in newest.overviews], newest.more) == (["last", "done"], True)
    older = read(desk, GetOverviews(newest=True, after=newest.overviews[-1].experiment.position))
    assert [found.experiment.name for found in older.overviews] == ["budget"]
    for text, names in (("D", ["budget", "done"]), ("%", []), ("AST", ["last"]), ("\0", [])):
        assert [each.experiment.name for each in read(desk, GetOverviews(name=text)).overviews] == names


def test_jobs_stay_counted_when_they_are_deleted(desk: Desk) -> None:
    experiment = desk.add()
    one, *_rest = desk.push(experiment, *[ended({})] * 2, NewJob(hyperparameters={}))
    desk.change(DeleteJob(request_id=fresh(), experiment_uid=experiment.uid, job_id=one))
    found = read(desk, GetExperiments(uid=experiment.uid))
    assert found.experiments[0].job_counts == {"DONE": 1, "QUEUED": 1}


def test_the_command_shows_the_best_or_why_there_is_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCHEDY_STORE_URL", desk.store.url)

    def told(*words: str) -> tuple[int, str, str]:
        code = run(["best", *words])
        return code, *capsys.readouterr()

    no_objective = desk.add("N")
    desk.push(no_objective, ended({"loss": 1}))
    assert told("N")[0] == 1
    assert "N has no objective: none of its jobs is better" in told("N")[2]

    experiment = desk.add(settings={"objectives": [LOSS]})
    assert told("E") == (1, "", "Error: E has no best job yet: it has no jobs.\n")
    (job_id,) = desk.push(experiment, NewJob(hyperparameters={"lr": 0.0116234567890123, "batch_size": 128}))
    held = {"experiment_uid": experiment.uid, "job_id": job_id, "token": "1" * 32}
    desk.claim(experiment, job_id, held["token"])
    desk.report(Finish(**held, sequence=1, status="CRASHED", results={}, quality=0.0, error="KeyError: 'lr'"))
    why = "0 of 1 jobs are DONE; 1 CRASHED, the last with KeyError: 'lr'."
    assert told("E") == (1, "", f"Error: E has no best job yet: {why}\n")
    desk.change(RetryJobs(request_id=fresh(), experiment_uid=experiment.uid, job_ids=[job_id]))
    held["token"] = "2" * 32
    desk.claim(experiment, job_id, held["token"])
    desk.report(Finish(**held, sequence=1, status="DONE", results={"loss": 1 / 3, "ms": 7}, quality=0.0))

    code, output, _error = told("E")
    assert code == 0
    lines = output.splitlines()
    assert lines[:7] == [
        "loss: 0.3333",
        f"Id: {job_id}",
        "Hyperparameters:",
        " - lr: 0.01162",
        " - batch_size: 128",
        "Other results:",
        " - ms: 7",
    ]
    assert lines[-3:] == [
        f"Worker: {WORKER}",
        "As options: --lr 0.0116234567890123 --batch-size 128",
        "Run it again: schedy push E -p lr 0.0116234567890123 batch_size 128",
    ]
    assert told("E", "--args") == (0, "--lr 0.0116234567890123 --batch-size 128\n", "")
    assert told("E", "-n", "2")[1].splitlines()[0].split("\t") == [
        "id",
        "loss",
        "lr",
        "batch_size",
        "seconds",
        "worker",
    ]
    desk.push(experiment, ended({"loss": 0}))
    assert told("E", "--args") == (0, "--x 1\n", "")
    desk.push(experiment, NewJob(hyperparameters={"opt": "a b"}, results={"loss": -1}, status="DONE"))
    assert told("E", "--args")[::2] == (
        1,
        "Error: A shell would split or change 'a b' in $(...). Use --json instead.\n",
    )
    search(desk, "P", objectives=[LOSS, ACCURACY])
    desk.push(experiment.model_copy(update={"name": "P"}), *(ended({"loss": x, "acc": x}) for x in range(22)))
    code, output, error = told("P")
    assert (code, len(output.splitlines())) == (0, 21)
    assert error == "These are 20 of the front; -n 1000 prints more.\n"
    assert told("P", "--args")[0] == 1


@pytest.mark.parametrize("jobs", [30, 0])
def test_a_page_begins_behind_a_job_in_any_order(desk: Desk, jobs: int) -> None:
    """With many DONE jobs along an index, else all sorted."""
    experiment = desk.add()
    values: list[Any] = [0.5, 0.5, 1, "a", "a", "b", None, True, -1e300]
    mixed = [NewJob(hyperparameters={"x": each}, results={"loss": each}, status="DONE") for each in values]
    same = [NewJob(hyperparameters={"x": 0.5}, status="DONE") for _ in range(jobs)]
    desk.push(experiment, *mixed, NewJob(hyperparameters={}, status="CRASHED"), *same, NewJob(hyperparameters={}))
    known = read(desk, GetFields(experiment_uid=experiment.uid))
    sorts: list[list[SortField]] = [[], *([parse_field(text, known)] for text in ("x", "loss", "id", "status"))]
    sorts += [[parse_field("finished_at", known)], [parse_field("loss", known), parse_field("quality", known)]]
    for sort, decreasing, statuses, where in itertools.product(
        sorts, (False, True), ([], ["DONE"]), ([], [parse_condition("x there", known)])
    ):
        order = GetJobOrder(
            experiment_uid=experiment.uid, sort=sort, decreasing=decreasing, statuses=statuses, where=where, limit=3
        )
        expected = read(desk, order.model_copy(update={"limit": None})).positions
        found, page = [], read(desk, order).positions
        while page:
            found += page
            page = read(desk, order.model_copy(update={"after": page[-1]})).positions
        assert found == expected, order
    crashed = GetJobOrder(experiment_uid=experiment.uid, sort=[], statuses=["CRASHED"], after=expected[0])
    refusal = desk.read(crashed)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "not among these jobs" in refusal.reason) == ("not_found", True)


def test_conditions_choose_jobs_by_any_field(desk: Desk) -> None:
    experiment = desk.add()
    desk.push(
        experiment,
        NewJob(hyperparameters={"lr": 0.1, "opt": "adam", "deep": True}, results={"loss": 0.5}, status="DONE"),
        NewJob(hyperparameters={"lr": 0.01, "opt": "sgd %_"}, results={"loss": 0.25}, status="DONE"),
        NewJob(hyperparameters={"lr": "auto", "opt": "1"}, status="CRASHED"),
        NewJob(hyperparameters={"opt": "r\u00e9n\u00e9"}),
    )
    known = read(desk, GetFields(experiment_uid=experiment.uid))
    all_jobs = read(desk, GetJobs(experiment_uid=experiment.uid)).jobs
    places = {job.position: place for place, job in enumerate(all_jobs)}
    for text, expected in (
        ("lr < 0.05", [1]),
        ("lr >= 0.01", [0, 1]),
        ("lr = auto", [2]),
        ("lr != 0.1", [1]),
        ("lr missing", [3]),
        ("lr there", [0, 1, 2]),
        ("opt ~ %_", [1]),
        ("opt = 'r\u00e9n\u00e9'", [3]),
        ("opt = '1'", [2]),
        ("opt = 1", []),
        ("deep = true", [0]),
        ("result.loss <= 0.25", [1]),
        ("status = crashed", [2]),
        ("status != DONE", [2, 3]),
        ("quality > -1", [0, 1, 2, 3]),
        (f"id = {all_jobs[2].job_id}", [2]),
        ("finished_at missing", [3]),
        ("created_at > 2020-01-01", [0, 1, 2, 3]),
        ("worker ~ nowhere", []),
    ):
        condition = parse_condition(text, known)
        for sort in ([], [SortField(source="hyperparameter", name="lr")]):
            order = GetJobOrder(experiment_uid=experiment.uid, sort=sort, where=[condition], limit=10)
            assert sorted(places[each] for each in read(desk, order).positions) == expected, (text, sort)
    both = [parse_condition(text, known) for text in ("lr > 0", "opt = adam")]
    assert len(read(desk, GetJobOrder(experiment_uid=experiment.uid, sort=[], where=both)).positions) == 1
    for text, fault in (("quality < x", "a number"), ("created_at > soon", "a time")):
        order = GetJobOrder(experiment_uid=experiment.uid, sort=[], where=[parse_condition(text, known)])
        assert fault in desk.read(order).reason  # type: ignore[attr-defined]
