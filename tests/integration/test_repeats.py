"""Searches that try no point twice, whatever happens to their jobs and to the service."""

from pathlib import Path

import schedy
from schedy import Job
from schedy.random import Choice, Int
from schedy.wire.values import json_key
from tests.conftest import Node
from tests.integration.searching import CrashError, is_done, record_of, small_schedy, work
from tests.support import running_service, wait_until


def test_every_point_is_tried_once_also_after_a_restart(node: Node, tmp_path: Path) -> None:
    search = schedy.TPESearch(
        "E", {"kind": Choice([1, True, "1"]), "n": Int(1, 2)}, minimize="loss", max_jobs=40, exact=True
    )

    def _play(job: Job) -> None:
        job.results["loss"] = job.hyperparameters["n"]
        if job.hyperparameters["kind"] is True:
            raise CrashError

    def _removed(number: int) -> None:
        list(search.all_jobs())[number].delete()

    with small_schedy(node, tmp_path) as settings, schedy.SchedyDB(config_override=settings.model_dump()) as db:
        with running_service(settings):
            db.add_experiment(search)
            search.add_job({"kind": "1", "n": 2.0}, status=Job.DONE, results={"loss": 2.0})
            assert work(search, most=3, play=_play) == 3
            _removed(1)
        with running_service(settings):
            assert work(search, timeout=20, play=_play) == 3
            wait_until(lambda: is_done(search), what="the end of the search")
            assert record_of(search).search_end == "All 6 points have been tried."
            assert record_of(search).made == 6
            points = {json_key(dict(job.hyperparameters)) for job in search.all_jobs()}
            assert len(points) == len(list(search.all_jobs())) == 6
