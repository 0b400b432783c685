"""The public API of the library, through a real broker and a real store."""

import gc
import socket
import threading
import time

import pika
import pytest

import schedy
from schedy import BrokerError, Job, NoJobError, NotFoundError, ResourceExistsError, UnsafeUpdateError
from schedy.errors import InvalidValueError
from schedy.settings import Settings
from schedy.wire import names
from tests.support import wait_until

pytestmark = pytest.mark.usefixtures("service")


def test_a_job_goes_from_push_to_done(db: schedy.SchedyDB) -> None:
    db.add_experiment(schedy.ManualSearch("MinimizeManual"))
    experiment = db.get_experiment("MinimizeManual")
    pushed = experiment.add_job(hyperparameters={"x": 1, "y": 2})
    with experiment.next_job() as job:
        assert job.job_id == pushed.job_id
        assert job.status == Job.RUNNING
        assert job.attempt == 1
        job.results["result"] = job.hyperparameters["x"] ** 2 + job.hyperparameters["y"] ** 2
    stored = experiment.get_job(pushed.job_id)
    assert (stored.status, stored.results, stored.quality) == (Job.DONE, {"result": 5}, 0.0)
    assert stored.worker == str(db.session.worker)
    assert stored.created_at <= stored.started_at <= stored.finished_at  # type: ignore[operator]


def test_the_best_job_is_read_with_the_time_that_it_took(db: schedy.SchedyDB) -> None:
    experiment = schedy.ManualSearch("M", maximize="acc")
    db.add_experiment(experiment)
    with pytest.raises(NotFoundError, match="M has no best job yet: it has no jobs"):
        experiment.best_job()
    experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(3))
    for _ in range(3):
        with experiment.next_job() as job:
            assert job.seconds is None
            job.results["acc"] = job.hyperparameters["x"]
    best = experiment.best_job()
    assert (best.hyperparameters, best.experiment) == ({"x": 2}, experiment)
    assert best.seconds is not None
    assert 0 <= best.seconds < 10
    assert [found.results["acc"] for found in experiment.best_jobs(2)] == [2, 1]
    with pytest.raises(InvalidValueError, match="from 1 to 1000 jobs, not 0"):
        experiment.best_jobs(0)


def test_no_job_is_said_within_half_a_second(experiment: schedy.ManualSearch) -> None:
    started = time.monotonic()
    with pytest.raises(NoJobError) as raised:
        experiment.next_job()
    assert time.monotonic() - started < 0.5
    assert str(raised.value) == "No job left for experiment MinimizeManual."


def test_every_job_is_pulled_once_and_in_order(experiment: schedy.ManualSearch) -> None:
    pushed = [job.job_id for job in experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(300))]
    pulled: list[tuple[str, int]] = []
    for _ in pushed:
        with experiment.next_job() as job:
            pulled.append((job.job_id, job.hyperparameters["x"]))
    assert pulled == list(zip(pushed, range(300), strict=True))
    with pytest.raises(NoJobError):
        experiment.next_job()
    assert {job.status for job in experiment.all_jobs()} == {Job.DONE}
    assert [job.job_id for job in experiment.all_jobs()] == pushed


def test_several_threads_each_hold_a_job(experiment: schedy.ManualSearch) -> None:
    experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(8))
    together = threading.Barrier(4, timeout=20)
    pulled: list[str] = []

    def _work() -> None:
        for _ in range(2):
            with experiment.next_job(timeout=10) as job:
                together.wait()
                pulled.append(job.job_id)

    threads = [threading.Thread(target=_work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(pulled)) == 8


def test_a_waiting_worker_is_woken_by_a_push(experiment: schedy.ManualSearch) -> None:
    got: list[float] = []

    def _work() -> None:
        with experiment.next_job(timeout=None):
            got.append(time.monotonic())

    thread = threading.Thread(target=_work)
    thread.start()
    with pytest.raises(NoJobError):
        experiment.next_job(timeout=0.3)
    pushed_at = time.monotonic()
    experiment.add_job({"x": 1})
    thread.join(20)
    assert got[0] - pushed_at < 1.0


def test_a_worker_that_does_not_ask_holds_no_ticket(experiment: schedy.ManualSearch, settings: Settings) -> None:
    """A worker that has waited in vain and sleeps now must not be given the next job."""
    with pytest.raises(NoJobError):
        experiment.next_job(timeout=0.2)
    experiment.add_job({"x": 1})
    with schedy.SchedyDB(config_override=settings.model_dump()) as other:
        with other.get_experiment("MinimizeManual").next_job(timeout=0) as job:
            assert job.hyperparameters == {"x": 1}


def test_after_a_job_its_worker_holds_no_other(experiment: schedy.ManualSearch, settings: Settings) -> None:
    """The consumer that brought a job must not bring a second one that nobody asks for."""
    experiment.add_jobs([{"hyperparameters": {"x": 1}}, {"hyperparameters": {"x": 2}}])
    with experiment.next_job(timeout=5):
        pass
    with schedy.SchedyDB(config_override=settings.model_dump()) as other:
        with other.get_experiment("MinimizeManual").next_job(timeout=0) as job:
            assert job.hyperparameters == {"x": 2}


def test_an_exception_makes_the_job_crashed_and_propagates(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with pytest.raises(ZeroDivisionError), experiment.next_job() as job:
        job.results["partial"] = 1
        1 / 0  # noqa: B018
    stored = experiment.get_job(job.job_id)
    assert stored.status == Job.CRASHED
    assert stored.error == "ZeroDivisionError: division by zero"
    assert stored.results == {"partial": 1}


@pytest.mark.parametrize("leaving", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_gives_the_job_back(experiment: schedy.ManualSearch, leaving: type[BaseException]) -> None:
    experiment.add_job({"x": 1})
    with pytest.raises(leaving), experiment.next_job() as job:
        job.results["partial"] = 1
        job.put()
        raise leaving
    again = experiment.next_job(timeout=5)
    assert again.job_id == job.job_id
    assert again.attempt == 1
    assert again.results == {}


def test_put_stores_what_is_known_now(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with experiment.next_job() as job:
        job.results["epoch"] = 1
        job.quality = 0.5
        job.put()
        stored = experiment.get_job(job.job_id)
        assert (stored.status, stored.results, stored.quality) == (Job.RUNNING, {"epoch": 1}, 0.5)
        job.results["epoch"] = 2
    assert experiment.get_job(job.job_id).results == {"epoch": 2}


def test_put_on_a_final_job_amends_it_unless_it_has_changed(experiment: schedy.ManualSearch) -> None:
    job_id = experiment.add_job({"x": 1}, status=Job.DONE, results={"r": 1}).job_id
    mine, other = experiment.get_job(job_id), experiment.get_job(job_id)
    other.results["r"] = 2
    other.put()
    mine.results["r"] = 3
    with pytest.raises(UnsafeUpdateError, match="changed since"):
        mine.put()
    mine.put(safe=False)
    assert experiment.get_job(job_id).results == {"r": 3}


def test_a_job_can_be_amended_after_its_own_block(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with experiment.next_job() as job:
        job.results["r"] = 1
    assert job.finished_at is not None
    job.results["r"] = 2
    job.put()
    assert experiment.get_job(job.job_id).results == {"r": 2}


def test_put_on_a_job_that_is_not_held_is_refused(experiment: schedy.ManualSearch) -> None:
    job = experiment.get_job(experiment.add_job({"x": 1}).job_id)
    with pytest.raises(UnsafeUpdateError, match="not held"):
        job.put()


def test_a_job_can_be_run_by_its_id(experiment: schedy.ManualSearch, settings: Settings) -> None:
    first, second = experiment.add_jobs([{"hyperparameters": {"x": 1}}, {"hyperparameters": {"x": 2}}])
    with experiment.get_job(second.job_id) as job:
        assert job.status == Job.RUNNING
        with pytest.raises(UnsafeUpdateError, match="another worker is running it"):
            experiment.get_job(second.job_id).try_run()
    with experiment.next_job() as rest:
        assert rest.job_id == first.job_id
    with pytest.raises(UnsafeUpdateError, match="it is DONE"):
        experiment.get_job(second.job_id).try_run()
    with pytest.raises(NoJobError):
        experiment.next_job()


def test_a_job_added_as_running_is_held_by_its_maker(experiment: schedy.ManualSearch) -> None:
    job = experiment.add_job({"x": 1}, status=Job.RUNNING)
    with pytest.raises(NoJobError):
        experiment.next_job()
    with job:
        job.results["r"] = 1
    assert experiment.get_job(job.job_id).status == Job.DONE


def test_a_dropped_job_is_given_back(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    job = experiment.next_job()
    job_id = job.job_id
    del job
    assert experiment.next_job(timeout=5).job_id == job_id


def test_closing_gives_back_what_is_held(experiment: schedy.ManualSearch, settings: Settings) -> None:
    experiment.add_job({"x": 1})
    with schedy.SchedyDB(config_override=settings.model_dump()) as other:
        held = other.get_experiment("MinimizeManual").next_job()
    assert experiment.next_job(timeout=5).job_id == held.job_id


def test_values_come_back_as_json_gives_them(experiment: schedy.ManualSearch) -> None:
    np = pytest.importorskip("numpy")
    values = {
        "nan": float("nan"),
        "inf": float("inf"),
        "nul": "\x00",
        "surrogate": "\ud800",
        "nested": {"b": [1, (2, 3)], "a": None},
        "array": np.arange(3),
        "scalar": np.float32(0.5),
        "large": 10**30,
    }
    job = experiment.get_job(experiment.add_job(values).job_id)
    found = job.hyperparameters
    assert repr(found.pop("nan")) == "nan"
    assert found == {
        "inf": float("inf"),
        "nul": "\x00",
        "surrogate": "\ud800",
        "nested": {"b": [1, [2, 3]], "a": None},
        "array": [0, 1, 2],
        "scalar": 0.5,
        "large": 10**30,
    }
    assert list(job.hyperparameters) == ["inf", "nul", "surrogate", "nested", "array", "scalar", "large"]


def test_results_that_are_not_json_crash_the_job_and_keep_the_rest(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with pytest.raises(InvalidValueError, match="'bad'"), experiment.next_job() as job:
        job.results["bad"] = object()
        job.results["good"] = 1
    stored = experiment.get_job(job.job_id)
    assert stored.status == Job.CRASHED
    assert stored.results == {"good": 1}
    assert stored.error is not None
    assert "'bad'" in stored.error


def test_a_value_that_fails_to_convert_crashes_the_job(experiment: schedy.ManualSearch) -> None:
    class Tensor:
        def tolist(self) -> object:
            raise RuntimeError("the device is lost")

    experiment.add_job({"x": 1})
    with pytest.raises(InvalidValueError, match="the device is lost"), experiment.next_job() as job:
        job.results["tensor"] = Tensor()
    assert experiment.get_job(job.job_id).status == Job.CRASHED


def test_closing_wakes_who_waits(experiment: schedy.ManualSearch, settings: Settings) -> None:
    other = schedy.SchedyDB(config_override=settings.model_dump())
    mine = other.get_experiment("MinimizeManual")
    ended = threading.Event()

    def _wait() -> None:
        with pytest.raises(BrokerError, match="was closed"):
            mine.next_job(timeout=None)
        ended.set()

    thread = threading.Thread(target=_wait)
    thread.start()
    with pytest.raises(NoJobError):
        mine.next_job(timeout=0.3)
    other.close()
    assert ended.wait(10)
    thread.join()


def test_a_job_in_a_reference_cycle_is_given_back(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    job = experiment.next_job()
    job_id = job.job_id
    job.results["self"] = job
    del job
    gc.collect()
    assert experiment.next_job(timeout=5).job_id == job_id


def test_running_a_job_by_its_id_makes_no_tickets_for_others(
    experiment: schedy.ManualSearch, settings: Settings
) -> None:
    """A claim by id says nothing about the tickets before it."""
    experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(5))
    started = time.monotonic()
    while time.monotonic() < started + 4 * settings.lease_seconds:
        with experiment.add_job({"last": True}):
            threading.Event().wait(0.5)
    pulled = 0
    with pytest.raises(NoJobError):
        while True:
            with experiment.next_job():
                pulled += 1
    assert pulled == 5
    connection = pika.BlockingConnection(pika.URLParameters(settings.broker_url))
    ready = connection.channel().queue_declare(names.jobs_queue("MinimizeManual"), passive=True).method.message_count
    connection.close()
    assert ready == 0


def test_results_that_are_too_large_crash_the_job_and_keep_the_rest(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with pytest.raises(InvalidValueError, match="limit"), experiment.next_job() as job:
        job.results["huge"] = "a" * 2_000_000
        job.results["good"] = 1
    stored = experiment.get_job(job.job_id)
    assert (stored.status, stored.results) == (Job.CRASHED, {"good": 1})


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"x": "a" * 1_100_000}, "limit"),
        ({"x": {1: 2}}, "not text"),
        ({1: 2}, "not text"),
        ({"x": object()}, "not JSON"),
    ],
)
def test_bad_hyperparameters_are_refused_before_anything_is_sent(
    experiment: schedy.ManualSearch, hyperparameters: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        experiment.add_jobs([{"hyperparameters": {"fine": 1}}, {"hyperparameters": hyperparameters}])
    assert list(experiment.all_jobs()) == []


def test_experiments_are_found_by_name(db: schedy.SchedyDB, experiment: schedy.ManualSearch) -> None:
    with pytest.raises(ResourceExistsError, match="MinimizeManual"):
        db.add_experiment(schedy.ManualSearch("MinimizeManual"))
    with pytest.raises(NotFoundError, match="Did you mean 'MinimizeManual'"):
        db.get_experiment("MinimiseManual")
    db.add_experiment(schedy.ManualSearch("MNIST with PBT", status="DONE"))
    assert [(found.name, found.status) for found in db.get_experiments()] == [
        ("MinimizeManual", "RUNNING"),
        ("MNIST with PBT", "DONE"),
    ]


@pytest.mark.parametrize("name", ["", "-x", "a\nb", "é" * 101, "\x7f"])
def test_unusable_experiment_names(name: str) -> None:
    with pytest.raises(InvalidValueError):
        schedy.ManualSearch(name)


def test_an_experiment_that_is_done_sends_waiting_workers_home(
    db: schedy.SchedyDB, experiment: schedy.ManualSearch
) -> None:
    ended = threading.Event()

    def _wait() -> None:
        with pytest.raises(NoJobError):
            experiment.next_job(timeout=None)
        ended.set()

    thread = threading.Thread(target=_wait)
    thread.start()
    mine = db.get_experiment("MinimizeManual")
    mine.add_job({"x": 1}, status=Job.DONE)
    mine.status = schedy.Experiment.DONE
    mine.push_updates()
    assert ended.wait(20)
    thread.join()
    queued = mine.add_job({"x": 2})
    with pytest.raises(NoJobError):
        mine.next_job()
    mine.status = schedy.Experiment.RUNNING
    mine.push_updates()
    assert mine.next_job(timeout=5).job_id == queued.job_id


def test_deleting(db: schedy.SchedyDB, experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    other = experiment.add_job({"x": 2})
    other.delete()
    with pytest.raises(NotFoundError):
        other.delete()
    other.delete(ensure=False)
    with pytest.raises(UnsafeUpdateError, match="deleted"), experiment.next_job() as job:
        experiment.get_job(job.job_id).delete()
        with pytest.raises(UnsafeUpdateError, match="deleted"):
            job.put()
    experiment.delete()
    with pytest.raises(NotFoundError):
        experiment.delete()
    experiment.delete(ensure=False)
    with pytest.raises(NoJobError):
        experiment.next_job()
    db.add_experiment(schedy.ManualSearch("MinimizeManual"))
    assert list(db.get_experiment("MinimizeManual").all_jobs()) == []


def test_a_silent_worker_loses_its_job_and_its_late_report_is_refused(
    experiment: schedy.ManualSearch, settings: Settings
) -> None:
    experiment.add_job({"x": 1})
    late = experiment.next_job()
    late._session.leases.forget(late._hold)  # type: ignore[arg-type]  # from here on no heartbeat
    with schedy.SchedyDB(config_override=settings.model_dump()) as other:
        second = other.get_experiment("MinimizeManual").next_job(timeout=15)
        assert (second.job_id, second.attempt) == (late.job_id, 2)
        late.results["r"] = "late"
        with pytest.raises(UnsafeUpdateError, match="another worker has taken it"):
            late.put()
        with second:
            second.results["r"] = "second"
    with pytest.raises(UnsafeUpdateError), late:
        pass
    assert experiment.get_job(late.job_id).results == {"r": "second"}


def test_a_worker_that_expects_a_longer_lease_goes_by_the_services(
    experiment: schedy.ManualSearch, settings: Settings
) -> None:
    """It has asked before, and beats slowly while it has no job."""
    own = {**settings.model_dump(), "lease_seconds": 600.0}
    with schedy.SchedyDB(config_override=own) as worker:
        mine = worker.get_experiment("MinimizeManual")
        with pytest.raises(NoJobError):
            mine.next_job()
        experiment.add_job({"x": 1})
        with mine.next_job(timeout=10) as job:
            end = time.monotonic() + 2 * settings.lease_seconds
            while time.monotonic() < end:
                assert experiment.get_job(job.job_id).status == Job.RUNNING


def test_a_job_that_loses_every_worker_is_crashed(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    for attempt in (1, 2, 3):
        job = experiment.next_job(timeout=15)
        assert job.attempt == attempt
        job._session.leases.forget(job._hold)  # type: ignore[arg-type]  # from here on no heartbeat
    wait_until(lambda: experiment.get_job(job.job_id).status == Job.CRASHED, what="the job to crash")
    stored = experiment.get_job(job.job_id)
    host = socket.gethostname()
    assert stored.error == f"worker lost 3 times (on {host}, {host}, {host})"


def test_heartbeats_keep_a_job_for_several_leases(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"x": 1})
    with experiment.next_job() as job, pytest.raises(NoJobError):
        experiment.next_job(timeout=7)
    assert (experiment.get_job(job.job_id).status, experiment.get_job(job.job_id).attempt) == (Job.DONE, 1)
