"""What jobs report step by step: what is stored, and what a pruner makes of it."""

import math
from typing import Any

import pytest

import schedy
from schedy import Job
from schedy.errors import UnsafeUpdateError
from schedy.settings import Settings
from schedy.wire.answers import CurveAnswer
from schedy.wire.requests import GetCurve
from tests.integration.searching import SPACE, record_of
from tests.support import running_service, wait_until


def curve_of(job: Job, **more: Any) -> list[tuple[int, dict[str, float]]]:
    request = GetCurve(experiment_uid=job.experiment.uid, job_id=job.job_id, **more)
    answer = job.experiment._session.read(request)
    assert isinstance(answer, CurveAnswer)
    return [(point.step, dict(point.values)) for point in answer.points]


def search_of(db: schedy.SchedyDB, **settings: Any) -> schedy.RandomSearch:
    search = schedy.RandomSearch("R", SPACE, minimize="loss", max_jobs=3, **settings)
    db.add_experiment(search)
    return search


def test_a_hopeless_job_is_told_and_ends_as_pruned(db: schedy.SchedyDB) -> None:
    search = search_of(db, pruner={"threshold": {"upper": 10.0}})
    with search.next_job() as job:
        job.report(1, loss=9.0)
        assert not job.should_prune()
        job.report(2, loss=11.0)
        wait_until(job.should_prune, what="the pruner's word")
        raise schedy.Pruned
    stored = search.get_job(job.job_id)
    assert (stored.status, stored.error) == (Job.PRUNED, None)
    assert curve_of(stored) == [(1, {"loss": 9.0}), (2, {"loss": 11.0})]


def test_after_a_put_the_pruner_has_judged_all_that_was_reported(db: schedy.SchedyDB) -> None:
    search = search_of(db, pruner={"threshold": {"upper": 10.0}})
    with search.next_job() as job:
        for step in range(1, 30):
            job.report(step, loss=9.0)
            job.put()
            assert not job.should_prune()
        for step in range(30, 40):
            job.report(step, loss=11.0 if step == 39 else 9.0)
        job.put()
        assert job.should_prune()
        raise schedy.Pruned


def test_a_job_within_the_bounds_is_left_alone(db: schedy.SchedyDB) -> None:
    search = search_of(db, pruner={"threshold": {"upper": 10.0}})
    with search.next_job() as job:
        for step in range(20):
            job.report(step, loss=float(step % 10))
            job.put()
        assert not job.should_prune()
        job.results["loss"] = 1.0
    assert search.get_job(job.job_id).status == Job.DONE
    assert len(curve_of(job)) == 20
    assert record_of(search).problem is None


def test_a_pruner_works_for_pushed_jobs_too(db: schedy.SchedyDB) -> None:
    manual = schedy.ManualSearch("M", maximize="score", pruner={"threshold": {"lower": 0.5}})
    db.add_experiment(manual)
    manual.add_job({"x": 1})
    with manual.next_job() as job:
        job.report(1, score=0.1)
        wait_until(job.should_prune, what="the pruner's word")
        raise schedy.Pruned
    assert manual.get_job(job.job_id).status == Job.PRUNED


def test_points_of_two_attempts_do_not_mix(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with pytest.raises(ZeroDivisionError):
        with experiment.next_job() as job:
            for step in range(4):
                job.report(step, loss=100.0)
            raise ZeroDivisionError
    assert len(curve_of(job)) == 4
    experiment.get_job(job.job_id).retry()
    with experiment.next_job() as again:
        again.report(1, loss=1.0)
    assert curve_of(again) == [(1, {"loss": 1.0})]


def test_a_point_reported_just_before_the_end_is_stored(experiment: schedy.ManualSearch) -> None:
    experiment.add_jobs([{"hyperparameters": {"x": x}} for x in range(10)])
    for last in range(10):
        with experiment.next_job() as job:
            for step in range(last + 1):
                job.report(step, loss=float(step))
        assert [step for step, _values in curve_of(job)] == list(range(last + 1))


def test_reports_and_puts_keep_their_order(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with experiment.next_job() as job:
        for step in range(60):
            job.report(step, loss=float(step), rate=step / 2)
            if step % 7 == 0:
                job.results["at"] = step
                job.put()
                assert [known for known, _values in curve_of(job)] == list(range(step + 1))
                assert experiment.get_job(job.job_id).results == {"at": step}
        job.report(59, loss=-1.0)
    curve = curve_of(job)
    assert curve[:59] == [(step, {"loss": float(step), "rate": step / 2}) for step in range(59)]
    assert curve[59] == (59, {"loss": -1.0})


def test_values_that_are_no_ordinary_numbers(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with experiment.next_job() as job:
        job.report(1, loss=math.inf)
        job.report(2, loss=math.nan)
    (_one, first), (_two, second) = curve_of(job)
    assert first["loss"] == math.inf
    assert math.isnan(second["loss"])


def test_a_long_curve_is_read_thinned_out_with_its_ends(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with experiment.next_job() as job:
        for step in range(3000):
            job.report(step, loss=float(step))
    thin = [step for step, _values in curve_of(job, limit=100)]
    assert (thin[0], thin[-1]) == (0, 2999)
    assert 90 <= len(thin) <= 101
    assert experiment.get_job(job.job_id).curve == {"loss": [(step, float(step)) for step in range(3000)]}


def test_what_is_reported_while_the_service_is_away_is_there_when_it_is_back(settings: Settings) -> None:
    with schedy.SchedyDB(config_override=settings.model_dump()) as db:
        with running_service(settings):
            search = search_of(db)
            job, other = search.next_job(), search.next_job()
        for step in range(500):
            job.report(step, loss=float(step))
        with job:
            job.results["loss"] = 1.0
        other.report(1, loss=2.0)
        with running_service(settings):
            wait_until(lambda: search.get_job(job.job_id).status == Job.DONE, what="the end of the job")
            assert [step for step, _values in curve_of(job)] == list(range(500))
            with other:
                other.report(2, loss=3.0)
            assert curve_of(other) == [(1, {"loss": 2.0}), (2, {"loss": 3.0})]


def test_who_does_not_hold_a_job_cannot_report(db: schedy.SchedyDB, experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with experiment.next_job() as job:
        with pytest.raises(UnsafeUpdateError):
            experiment.get_job(job.job_id).report(1, loss=1.0)
    with pytest.raises(UnsafeUpdateError):
        job.report(1, loss=1.0)
