"""Which algorithms have made the jobs of a search by `auto`."""

import pytest

import schedy
from schedy.errors import NotFoundError
from schedy.wire.requests import GetMadeBy
from schedy_store.reads import made_by

pytestmark = pytest.mark.usefixtures("service")


def test_the_jobs_of_each_algorithm_are_counted(db: schedy.SchedyDB, monkeypatch: pytest.MonkeyPatch) -> None:
    space = {"x": schedy.random.Uniform(-5, 10), "y": schedy.random.Uniform(0, 15)}
    search = schedy.AutoSearch("Auto", space, minimize="loss", max_jobs=20, seed=1)
    db.add_experiment(search)
    assert search.work(lambda job: {"loss": (job.hyperparameters["x"] - 2) ** 2}, timeout=60) == 20
    asked = GetMadeBy(experiment_uid=search.uid)

    def _by(asked: GetMadeBy) -> dict[str, int]:
        return {each.algorithm: each.jobs for each in db.session.read(asked).algorithms}

    assert _by(asked) == {"quasi-random": 8, "gaussian process": 9, "tpe": 3}
    monkeypatch.setattr(made_by, "_MOST_READ", 9)  # the service is in this process
    assert _by(asked) == {"quasi-random": 8, "tpe": 12}
    search.delete()
    with pytest.raises(NotFoundError):
        db.session.read(asked)
