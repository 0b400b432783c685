"""Jobs held over a session that only notes what is reported. No broker is needed for that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import schedy
from schedy.settings import Settings, load_settings
from schedy.wire.records import ExperimentRecord, JobRecord
from schedy.worker.crash_loop import CrashLoop
from schedy.worker.holds import Hold

UID = "a" * 32


@dataclass
class NotingSession:
    """What `Job` needs of a session."""

    settings: Settings = field(default_factory=lambda: load_settings(override={"crash_limit": 2}, environment={}))
    is_ours: bool = True
    ended: list[tuple[str, Mapping[str, Any], float, str | None]] = field(default_factory=list)
    released: list[Hold] = field(default_factory=list)
    points: list[Any] = field(default_factory=list)
    warned_of_unobserved: set[str] = field(default_factory=set)
    crash_loop: CrashLoop = field(default_factory=lambda: CrashLoop(limit=2, within_seconds=60))

    @property
    def reports(self) -> "NotingSession":
        return self

    @property
    def leases(self) -> "NotingSession":
        return self

    @property
    def curves(self) -> Any:
        return SimpleNamespace(add=lambda _hold, point: self.points.append(point))

    @property
    def outputs(self) -> Any:
        return SimpleNamespace(flush=lambda _hold: None)

    def finish(
        self,
        hold: Hold,
        *,
        status: str,
        results: Mapping[str, Any],
        quality: float,
        error: str | None,
        traceback: str | None,
    ) -> None:
        assert (traceback is None) == (error is None)
        hold.finishing = True
        self.ended.append((status, results, quality, error))

    def answer(self, _sent: object) -> None:
        pass

    def release(self, hold: Hold) -> None:
        self.released.append(hold)

    def release_soon(self, hold: Hold) -> None:
        self.released.append(hold)

    def count_end(self, _hold: Hold, *, error: str | None) -> None:
        self.crash_loop.count_end(crashed=error is not None, after_seconds=0.0, error=error or "")


def experiment_record(**settings: Any) -> ExperimentRecord:
    return ExperimentRecord(
        position=1,
        uid=UID,
        name="K",
        scheduler="manual",
        settings=settings,
        status="RUNNING",
        paused=False,
        created_at=datetime.now(UTC),
        job_counts={},
    )


def held_job(session: NotingSession, **settings: Any) -> schedy.Job:
    """Return a job that `session` holds, of an experiment with these settings."""
    experiment = schedy.ManualSearch.from_record(None, experiment_record(**settings))  # type: ignore[arg-type]
    record = JobRecord(
        position=1,
        job_id="job001",
        status="RUNNING",
        quality=0.0,
        hyperparameters={"x": 1},
        results={},
        created_at=datetime.now(UTC),
    )
    hold = Hold(UID, "job001", "b" * 32, 30.0)
    return schedy.Job(experiment, record, session=session, hold=hold)  # type: ignore[arg-type]
