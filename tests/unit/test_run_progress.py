"""The lines that `schedy run` prints as trials end."""

import pytest

from schedy.search.definition import Definition, Objective
from schedy.wire.answers import OverviewAnswer
from schedy_cli.running.progress import Progress
from schedy_cli.running.trials import TrialEnd
from tests.unit.job_support import experiment_record


def test_the_best_is_never_worse_than_a_trial_that_was_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The store may be a moment behind."""
    look = OverviewAnswer(
        experiment=experiment_record(),
        best=[],
        open_jobs=3,
        mean_seconds=1.0,
        seconds_left=3.0,
        workers=1,
        busy=1,
        running=[],
        last_ended=None,
        last_crashed=None,
    )
    definition = Definition(objectives=[Objective(result="loss", direction="minimize")])
    progress = Progress("K", definition, lambda: look, lambda: 0)
    for job_id, loss in (("job001", 2.0), ("job002", 1.0), ("job003", 3.0), ("job004", float("nan"))):
        progress.trial(TrialEnd(job_id, "DONE", {"loss": loss}, 0.5))
    assert [line.partition("best ")[2].partition("  ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "2 (job001)",
        "1 (job002)",
        "1 (job002)",
        "1 (job002)",
    ]
