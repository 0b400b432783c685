"""What `schedy watch` looks at: one experiment, or all that are RUNNING."""

from datetime import UTC, datetime
from typing import Protocol

from rich.text import Text

from schedy.wire.answers import OverviewAnswer, OverviewsAnswer
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import GetOverview, GetOverviews
from schedy_cli.reading import Reader
from schedy_cli.watching.all_screen import overviews_lines
from schedy_cli.watching.screens import experiment_lines

_MOST_LINES = 200


class View(Protocol):
    """Something to look at."""

    def look(self, reader: Reader, patience_seconds: float | None = None) -> None:
        """Read how it is now, with one request. Raises SchedyError."""

    @property
    def is_over(self) -> bool:
        """Return True if nothing more will happen."""

    def lines(self, width: int, height: int) -> list[Text]:
        """Return the screen, by the last look."""


class ExperimentView:
    """One experiment."""

    def __init__(self, experiment: ExperimentRecord) -> None:
        self._request = GetOverview(experiment_uid=experiment.uid)
        self._found: OverviewAnswer | None = None

    def look(self, reader: Reader, patience_seconds: float | None = None) -> None:
        self._found = reader.ask(self._request, patience_seconds=patience_seconds)

    @property
    def is_over(self) -> bool:
        if self._found is None or self._found.experiment.status != "DONE":
            return False
        return not self._found.experiment.job_counts.get("RUNNING", 0)

    def lines(self, width: int, height: int) -> list[Text]:
        if self._found is None:
            return []
        return experiment_lines(self._found, width=width, height=height, now=datetime.now(UTC))


class RunningExperimentsView:
    """All experiments that are RUNNING."""

    def __init__(self) -> None:
        self._found: OverviewsAnswer | None = None

    def look(self, reader: Reader, patience_seconds: float | None = None) -> None:
        self._found = reader.ask(GetOverviews(running=True, limit=_MOST_LINES), patience_seconds=patience_seconds)

    @property
    def is_over(self) -> bool:
        return self._found is not None and not self._found.overviews

    def lines(self, width: int, height: int) -> list[Text]:
        if self._found is None or not self._found.overviews:
            return [Text("No experiment is RUNNING.")]
        return overviews_lines(self._found, width=width, height=height)
