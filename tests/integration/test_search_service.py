"""Experiments that make their own jobs: how many, in which order, until when, and what is refused."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import schedy
from schedy import Job
from schedy.errors import InvalidValueError
from schedy.random import Choice, Uniform
from schedy.settings import Settings
from tests.conftest import Node
from tests.integration.searching import (
    SPACE,
    CrashError,
    Workers,
    is_done,
    job_numbers,
    record_of,
    small_schedy,
    squares,
    suggestions,
    work,
)
from tests.support import running_service, wait_until


@pytest.fixture(scope="module")
def settings(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One small Schedy for all tests here, since a search process takes its time to start."""
    with small_schedy(node, tmp_path_factory.mktemp("searches")) as made:
        yield made


@pytest.fixture(scope="module")
def connection(settings: Settings) -> Iterator[schedy.SchedyDB]:
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as opened:
        yield opened


@pytest.fixture
def db(connection: schedy.SchedyDB) -> Iterator[schedy.SchedyDB]:
    """The connection, with no experiment."""
    yield connection
    for experiment in connection.get_experiments():
        experiment.delete()


def random_search(db: schedy.SchedyDB, name: str = "R", **settings: Any) -> schedy.RandomSearch:
    search = schedy.RandomSearch(name, SPACE, **{"max_jobs": 6, "seed": 1, **settings})
    db.add_experiment(search)
    return search


def statuses(experiment: schedy.Experiment) -> dict[str, int]:
    return record_of(experiment).job_counts


class TestBudget:
    @pytest.mark.parametrize(("workers", "ready"), [(1, None), (4, None), (4, 0), (4, 1)])
    def test_as_many_jobs_as_it_pays_and_no_more(
        self, db: schedy.SchedyDB, settings: Settings, workers: int, ready: int | None
    ) -> None:
        search = random_search(db, max_jobs=17, ready=ready)
        assert Workers(settings, "R", workers).join() == 17
        assert job_numbers(search) == list(range(17))
        with pytest.raises(schedy.NoJobError):
            search.next_job()
        wait_until(lambda: is_done(search), what="the end of the search")
        assert record_of(search).search_end == "All 17 jobs have been made."
        assert record_of(search).made == 17

    def test_threads_of_one_process_share_it(self, db: schedy.SchedyDB) -> None:
        import threading

        search = random_search(db, max_jobs=12, ready=0)
        counts: list[int] = []
        threads = [threading.Thread(target=lambda: counts.append(work(search))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sum(counts) == 12
        assert job_numbers(search) == list(range(12))

    def test_crashes_and_prunings_count(self, db: schedy.SchedyDB) -> None:
        def _play(job: Job) -> None:
            if job.hyperparameters["x"] < 0.4:
                raise CrashError
            if job.hyperparameters["x"] < 0.7:
                raise schedy.Pruned

        search = random_search(db, max_jobs=12)
        assert work(search, play=_play) == 12
        assert sum(statuses(search).values()) == 12
        assert set(statuses(search)) == {Job.DONE, Job.CRASHED, Job.PRUNED}

    def test_workers_that_wait_for_ever_are_let_go_at_the_end(self, db: schedy.SchedyDB, settings: Settings) -> None:
        search = random_search(db, max_jobs=5)
        assert Workers(settings, "R", 4, timeout=None).join() == 5
        assert is_done(search)

    def test_none_is_wanted_at_all(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=0)
        assert work(search) == 0
        wait_until(lambda: is_done(search), what="the end of the search")

    def test_raised_on_the_way(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=4)
        assert work(search, most=2) == 2
        search.max_jobs = 9
        search.push_updates()
        assert work(search) == 7
        assert job_numbers(search) == list(range(9))

    def test_lowered_on_the_way(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=20, ready=2)
        assert work(search, most=3) == 3
        search.max_jobs = 6
        search.push_updates()
        assert work(search) == 3
        assert job_numbers(search) == list(range(6))

    def test_lowered_below_what_is_made_already(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=20, ready=4)
        wait_until(lambda: len(job_numbers(search)) == 4, what="the first jobs")
        search.max_jobs = 1
        search.push_updates()
        assert work(search) == 4
        wait_until(lambda: is_done(search), what="the end of the search")
        assert record_of(search).made == 4

    def test_lowered_and_raised_again(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=30)
        for most in (2, 25, 3, 14):
            search.max_jobs = most
            search.push_updates()
        assert work(search) == 14
        assert job_numbers(search) == list(range(14))

    @pytest.mark.parametrize("reads_again", [False, True])
    def test_raised_after_the_end_it_goes_on(self, db: schedy.SchedyDB, reads_again: bool) -> None:
        search = random_search(db, max_jobs=3)
        assert work(search) == 3
        wait_until(lambda: is_done(search), what="the end of the search")
        found = db.get_experiment("R") if reads_again else search
        assert isinstance(found, schedy.RandomSearch)
        found.max_jobs = 5
        found.push_updates()
        assert record_of(search).status == "RUNNING"
        assert work(found) == 2
        assert job_numbers(search) == list(range(5))
        wait_until(lambda: is_done(search), what="the second end of the search")

    def test_one_that_its_user_has_ended_stays_ended(self, db: schedy.SchedyDB) -> None:
        search = random_search(db)
        search.status = "DONE"
        search.push_updates()
        search.max_jobs = 50
        search.push_updates()
        assert is_done(search)
        assert work(search) == 0

    def test_no_improvement_ends_it(self, db: schedy.SchedyDB) -> None:
        def _play(job: Job) -> None:
            job.results["loss"] = 1.0

        search = random_search(db, minimize="loss", max_jobs=None, stop_after_no_improvement=4, ready=1)
        assert work(search, play=_play) <= 4 + 1 + 2
        wait_until(lambda: is_done(search), what="the end of the search")
        assert "4 jobs have ended without a better one." in str(record_of(search).search_end)

    def test_a_grid_that_is_done_ends_it(self, db: schedy.SchedyDB, settings: Settings) -> None:
        search = schedy.GridSearch("G", {"a": Choice([1, 2, 3]), "b": Choice(["u", "v"])})
        db.add_experiment(search)
        assert Workers(settings, "G", 3, play=_nothing).join() == 6
        assert len({tuple(values.values()) for _number, values in suggestions(search)}) == 6
        wait_until(lambda: is_done(search), what="the end of the search")
        assert record_of(search).made == 6


def _nothing(_job: Job) -> None:
    """A job without results."""


class TestPushedJobs:
    def test_overtake_what_is_ready(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=4)
        wait_until(lambda: len(job_numbers(search)) == 4, what="ready jobs")
        search.add_job({"x": 7.0, "y": 1.0})
        search.add_jobs([{"hyperparameters": {"x": 8.0 + place, "y": 1.0}} for place in range(2)])
        ran: list[float] = []
        assert work(search, play=lambda job: ran.append(job.hyperparameters["x"])) == 7
        assert ran[:3] == [7.0, 8.0, 9.0]
        assert record_of(search).made == 4

    def test_reopen_a_completed_search(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=2)
        assert work(search) == 2
        wait_until(lambda: is_done(search), what="the end of the search")
        pushed = search.add_job({"x": 1.0, "y": 1.0})
        assert work(search) == 1
        assert search.get_job(pushed.job_id).status == Job.DONE
        wait_until(lambda: is_done(search), what="the second end of the search")

    @pytest.mark.parametrize("kind", [schedy.TPESearch, schedy.CMAESSearch])
    def test_outside_of_the_space_they_do_no_harm(
        self, db: schedy.SchedyDB, kind: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        search = kind("T", SPACE, minimize="loss", max_jobs=6, seed=2, startup_jobs=1)
        db.add_experiment(search)
        for values in ({"x": 100.0, "y": 0.0}, {"x": "text", "y": 0.0}, {"x": 0.1, "y": 0.1, "other": None}):
            caplog.clear()
            pushed = search.add_job(values)
            assert f"T: The search does not learn from job {pushed.job_id}: " in caplog.text
        with pytest.raises(schedy.errors.InvalidValueError, match="lacks 'x'"):
            search.add_jobs([{"hyperparameters": {"x": 0.1, "y": 0.1}}, {"hyperparameters": {"y": 0.1}}])
        assert work(search, play=lambda job: job.results.update(loss=len(job.hyperparameters))) == 9
        assert record_of(search).problem is None
        assert all(0 <= values["x"] <= 1 for number, values in suggestions(search) if number is not None)

    def test_count_as_observations(self, db: schedy.SchedyDB) -> None:
        first = []
        for name, pushed in (("empty", 0), ("taught", 30)):
            search = schedy.TPESearch(name, {"x": Uniform(0, 1)}, minimize="loss", max_jobs=1, seed=5, ready=0)
            db.add_experiment(search)
            search.add_jobs(
                {"hyperparameters": {"x": place / 30}, "status": "DONE", "results": {"loss": (place - 3) ** 2}}
                for place in range(pushed)
            )
            with search.next_job() as job:
                squares_of_x(job)
            first.append(job.hyperparameters["x"])
        assert abs(first[1] - 0.1) < 0.2
        assert first[0] != first[1]


def squares_of_x(job: Job) -> None:
    job.results["loss"] = job.hyperparameters["x"] ** 2


class TestLife:
    def test_a_retry_in_a_completed_search_runs_and_it_completes_again(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=3)
        assert work(search) == 3
        wait_until(lambda: is_done(search), what="the end of the search")
        job = next(iter(search.all_jobs()))
        job.retry()
        with search.next_job() as again:
            assert again.job_id == job.job_id
            assert again.attempt == 2
        wait_until(lambda: is_done(search), what="the second end of the search")
        assert job_numbers(search) == [0, 1, 2]

    def test_retries_do_not_count(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=5, ready=1)
        assert work(search, most=2) == 2
        for job in search.all_jobs():
            if job.status == Job.DONE:
                job.retry()
        assert work(search) == 5
        assert job_numbers(search) == list(range(5))

    def test_nothing_begins_while_it_is_paused(self, db: schedy.SchedyDB) -> None:
        search = random_search(db)
        assert work(search, most=1) == 1
        search.pause()
        assert work(search) == 0
        search.resume()
        assert work(search) == 5

    def test_a_deleted_job_is_not_made_again(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, max_jobs=4)
        wait_until(lambda: len(job_numbers(search)) == 4, what="ready jobs")
        next(iter(search.all_jobs())).delete()
        assert work(search) == 3
        wait_until(lambda: is_done(search), what="the end of the search")

    def test_a_lost_ticket_keeps_nobody_longer_than_its_patience(self, db: schedy.SchedyDB, settings: Settings) -> None:
        """Somebody purges the queue with the management UI; the service notices only after some leases."""
        import time

        import pika

        from schedy.wire import names

        search = random_search(db, max_jobs=1)
        wait_until(lambda: job_numbers(search) == [0], what="a ready job")
        connection = pika.BlockingConnection(pika.URLParameters(settings.broker_url))
        channel = connection.channel()
        wait_until(
            lambda: channel.queue_purge(names.jobs_queue("R")).method.message_count == 1, what="a ticket to be purged"
        )
        connection.close()
        impatient = settings.model_copy(update={"claim_patience_seconds": 2.0})
        with schedy.SchedyDB(config_override=impatient.model_dump()) as other:
            found = other.get_experiment("R")
            began = time.monotonic()
            with pytest.raises(schedy.NoJobError):
                found.next_job()
            assert 1.0 < time.monotonic() - began < 15.0


def played(search: schedy.Experiment) -> list[Any]:
    """Run all jobs of a search; return their hyperparameters in the order in which they ran."""
    ran: list[Any] = []

    def _play(job: Job) -> None:
        ran.append(job.hyperparameters)
        squares(job)

    work(search, play=_play)
    return ran


class TestReproducibility:
    def test_the_same_seed_gives_the_same_jobs_to_many_workers(self, db: schedy.SchedyDB, settings: Settings) -> None:
        found = []
        for name in ("first", "second"):
            search = random_search(db, name, max_jobs=15, ready=2)
            assert Workers(settings, name, 3).join() == 15
            found.append(suggestions(search))
        assert found[0] == found[1]
        other = random_search(db, "other", max_jobs=15, seed=2)
        assert work(other) == 15
        assert suggestions(other) != found[0]

    def test_one_worker_gets_the_same_sequence_from_tpe(self, db: schedy.SchedyDB) -> None:
        found = []
        for name in ("first", "second"):
            search = schedy.TPESearch(name, SPACE, minimize="loss", max_jobs=14, seed=3, startup_jobs=4)
            db.add_experiment(search)
            found.append(played(search))
        assert len(found[0]) == 14
        assert found[0] == found[1]

    def test_a_worker_that_waited_in_vain_elsewhere_gets_the_same_sequence(self, db: schedy.SchedyDB) -> None:
        elsewhere = random_search(db, "elsewhere", ready=0)
        elsewhere.pause()
        found = []
        for name in ("first", "second"):
            search = schedy.TPESearch(name, SPACE, minimize="loss", max_jobs=4, seed=3, startup_jobs=1)
            db.add_experiment(search)
            found.append(played(search))
            for _ in range(3):
                with pytest.raises(schedy.NoJobError):
                    elsewhere.next_job()
        assert len(found[0]) == 4
        assert found[0] == found[1]

    def test_what_one_learns_from_changes_what_it_suggests(self, db: schedy.SchedyDB) -> None:
        found = []
        for sign in (1, -1):
            search = schedy.TPESearch(f"T{sign}", SPACE, minimize="loss", max_jobs=14, seed=3, startup_jobs=4)
            db.add_experiment(search)
            work(search, play=lambda job, sign=sign: job.results.update(loss=sign * job.hyperparameters["x"]))  # type: ignore[misc]
            found.append([values for _number, values in suggestions(search)])
        assert found[0][:4] == found[1][:4]
        assert found[0] != found[1]


class TestPopulationBasedTraining:
    def test_successors_begin_with_the_results_of_their_parents(self, db: schedy.SchedyDB) -> None:
        search = schedy.PopulationBasedTraining(
            "P",
            schedy.pbt.MAXIMIZE,
            "score",
            explore={"x": schedy.pbt.Perturb(0.5, 1.5)},
            initial_distributions={"x": Uniform(0, 1)},
            population_size=3,
            max_generations=3,
        )
        db.add_experiment(search)

        def _play(job: Job) -> None:
            job.results["steps"] = job.results.get("steps", 0) + 1
            job.results["score"] = job.hyperparameters["x"] + job.results.get("score", 0)

        assert work(search, play=_play) == 9
        wait_until(lambda: is_done(search), what="the end of the search")
        jobs = {job.job_id: job for job in search.all_jobs()}
        assert sorted(job.generation or 0 for job in jobs.values()) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
        assert record_of(search).made == 9
        for job in jobs.values():
            if job.generation == 1:
                assert (job.parent, job.results["steps"]) == (None, 1)
            else:
                parent = jobs[str(job.parent)]
                assert job.results["steps"] == parent.results["steps"] + 1
                assert math.isclose(job.results["score"], parent.results["score"] + job.hyperparameters["x"])

    def test_the_members_may_be_pushed_by_hand_and_go_on_without_end(self, db: schedy.SchedyDB) -> None:
        """The two ways in which programs for the hosted Schedy did it."""
        explore = {"rate": schedy.pbt.Perturb(), "absent": schedy.pbt.Perturb()}
        pushed = schedy.PopulationBasedTraining("H", schedy.pbt.MAXIMIZE, "best", schedy.pbt.Truncate(), explore)
        drawn = schedy.PopulationBasedTraining(
            "D",
            schedy.pbt.MAXIMIZE,
            "best",
            exploit=schedy.pbt.Truncate(),
            explore={"rate": schedy.pbt.Perturb()},
            initial_distributions={"layers": schedy.random.Choice(range(1, 6)), "rate": Uniform(0, 1)},
            population_size=3,
        )

        def _play(job: Job) -> None:
            job.results.setdefault("all", []).append(job.hyperparameters["rate"])
            job.results["best"] = max(job.results["all"])

        for search in (pushed, drawn):
            db.add_experiment(search)
        with pytest.raises(schedy.NoJobError):
            pushed.next_job()
        for rate in (0.1, 0.2, 0.3):
            pushed.add_job(hyperparameters={"rate": rate, "layers": 2})
        for search in (pushed, drawn):
            assert work(search, most=12, timeout=20, play=_play) == 12
            assert max(len(job.results.get("all", [])) for job in search.all_jobs()) >= 4
            assert not is_done(search)

    def test_workers_that_find_none_yet_get_an_answer_and_the_rest_go_on(
        self, db: schedy.SchedyDB, settings: Settings
    ) -> None:
        search = schedy.PopulationBasedTraining(
            "P", schedy.pbt.MINIMIZE, "loss", initial_distributions=SPACE, population_size=2, max_generations=4
        )
        db.add_experiment(search)
        with search.next_job(), search.next_job():
            with pytest.raises(schedy.NoJobError):
                search.next_job()
        assert Workers(settings, "P", 4, timeout=None).join() == 6
        assert is_done(search)


class TestObjectives:
    @pytest.mark.parametrize(
        ("results", "words"),
        [({}, "'loss' is missing"), ({"loss": math.nan}, "'loss' is NaN"), ({"loss": "low"}, "'loss' is no number")],
    )
    def test_one_that_is_not_reported_is_shown_and_the_search_goes_on(
        self, db: schedy.SchedyDB, results: dict[str, Any], words: str
    ) -> None:
        search = schedy.TPESearch("T", SPACE, minimize="loss", max_jobs=4, seed=1, startup_jobs=1)
        db.add_experiment(search)
        with search.next_job() as job:
            job.results.update(results)
        assert search.get_job(job.job_id).status == Job.DONE
        assert words in str(record_of(search).problem)
        assert job.job_id in str(record_of(search).problem)
        assert work(search) == 3
        assert statuses(search) == {Job.DONE: 4}

    def test_the_objective_is_the_quality(self, db: schedy.SchedyDB) -> None:
        search = random_search(db, minimize="loss")
        with search.next_job() as job:
            job.results["loss"] = 0.125
        assert search.get_job(job.job_id).quality == 0.125

    def test_constraints_are_respected(self, db: schedy.SchedyDB) -> None:
        search = schedy.TPESearch(
            "T",
            {"x": Uniform(0, 1)},
            maximize="gain",
            constraints=[{"result": "cost", "at_most": 0.3}],
            max_jobs=40,
            seed=4,
            startup_jobs=10,
        )
        db.add_experiment(search)

        def _play(job: Job) -> None:
            job.results["gain"] = job.results["cost"] = job.hyperparameters["x"]

        assert work(search, play=_play) == 40
        late = [values["x"] for _number, values in suggestions(search)[20:]]
        assert sum(x <= 0.3 for x in late) > len(late) / 2


class TestWarmStart:
    def test_jobs_of_another_experiment_are_observations(self, db: schedy.SchedyDB) -> None:
        source = schedy.ManualSearch("source", minimize="loss")
        db.add_experiment(source)
        source.add_jobs(
            {"hyperparameters": {"x": place / 30}, "status": "DONE", "results": {"loss": (place - 21) ** 2}}
            for place in range(31)
        )
        first = {}
        for name, sources in (("cold", []), ("warm", ["source"])):
            search = schedy.TPESearch(
                name, {"x": Uniform(0, 1)}, minimize="loss", max_jobs=3, seed=5, from_experiment=sources
            )
            db.add_experiment(search)
            with search.next_job() as job:
                squares_of_x(job)
            first[name] = job.hyperparameters["x"]
        assert abs(first["warm"] - 0.7) < 0.2
        assert first["cold"] != first["warm"]

    def test_it_counts_what_had_ended_when_the_search_was_added(self, db: schedy.SchedyDB) -> None:
        random_search(db, "source", minimize="loss")
        work(db.get_experiment("source"), most=2)
        search = schedy.TPESearch("T", SPACE, minimize="loss", max_jobs=1, from_experiment="source")
        db.add_experiment(search)
        assert [start["ended"] for start in record_of(search).settings["warm_start"]] == [2]


class TestRefusals:
    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: schedy.Search("E", "randon", SPACE), "There is no algorithm 'randon'. Did you mean 'random'?"),
            (lambda: schedy.TPESearch("E", SPACE), "tpe needs an objective"),
            (lambda: schedy.RandomSearch("E", {}), "random needs at least one hyperparameter"),
            (
                lambda: schedy.TPESearch("E", SPACE, minimize="r", from_experiment="nothing"),
                "There is no experiment 'nothing' to start from.",
            ),
            (lambda: schedy.RandomSearch("E", SPACE, pruner="median"), "A pruner needs one objective"),
        ],
    )
    def test_what_cannot_work_is_refused(
        self, db: schedy.SchedyDB, make: Callable[[], schedy.Experiment], words: str
    ) -> None:
        with pytest.raises(InvalidValueError) as refused:
            db.add_experiment(make())
        assert words in str(refused.value)
        with pytest.raises(schedy.errors.NotFoundError):
            db.get_experiment("E")

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"seed": 2}, "seed cannot be changed"),
            ({"objectives": [{"result": "r", "direction": "minimize"}]}, "objectives cannot be changed"),
        ],
    )
    def test_what_is_fixed_cannot_be_changed(self, db: schedy.SchedyDB, changes: dict[str, Any], words: str) -> None:
        search = random_search(db)
        before = record_of(search).settings
        search.redefine(**changes)
        with pytest.raises(InvalidValueError, match=words):
            search.push_updates()
        assert record_of(search).settings == before
        assert work(db.get_experiment("R")) == 6
