"""How far an experiment is, how long it will take, and the words for it."""

from schedy.escaping import printable
from schedy.results.rounding import about, short_value
from schedy.search.algorithms import MANUAL
from schedy.search.definition import Definition, definition_or_empty
from schedy.wire.base import FINAL_STATUSES
from schedy.wire.records import ExperimentRecord, JobRecord, Standing


def ended_jobs(experiment: ExperimentRecord) -> int:
    """Return the number of jobs that have ended."""
    return sum(experiment.job_counts.get(status, 0) for status in FINAL_STATUSES)


def open_jobs(experiment: ExperimentRecord, definition: Definition) -> int | None:
    """Return the number of jobs that are still to end, those not made yet included; None if nothing limits them."""
    running = experiment.job_counts.get("RUNNING", 0)
    if experiment.status == "DONE":
        return running
    waiting = experiment.job_counts.get("QUEUED", 0)
    if experiment.scheduler == MANUAL or experiment.search_end is not None:
        return running + waiting
    open_now = running + waiting
    still = []
    if definition.max_jobs is not None:
        still.append(max(0, definition.max_jobs - experiment.made))
    if definition.max_done is not None:
        ended = sum(experiment.job_counts.get(status, 0) for status in ("DONE", "PRUNED"))
        still.append(max(0, definition.max_done - ended - open_now))
    return open_now + min(still) if still else None


def seconds_left(
    *, open_jobs: int | None, mean_seconds: float | None, at_once: int, seconds_to_limit: float | None
) -> float | None:
    """Return the seconds until all open jobs are done, with so many of them `at_once`; None if none is open, or nothing
    tells.

    `seconds_to_limit`: until the search makes no more jobs, because its time is over; the last ones run on then.
    """
    if mean_seconds is None or at_once == 0 or open_jobs == 0:
        return None
    by_jobs = None if open_jobs is None else open_jobs * mean_seconds / at_once
    by_time = None if seconds_to_limit is None else max(0.0, seconds_to_limit) + mean_seconds
    known = [seconds for seconds in (by_jobs, by_time) if seconds is not None]
    return min(known) if known else None


def run_seconds(job: JobRecord) -> float | None:
    """Return for how long the latest attempt of a job that has ended ran; None if it has not, or never ran."""
    if job.started_at is None or job.finished_at is None:
        return None
    return (job.finished_at - job.started_at).total_seconds()


def progress_text(standing: Standing) -> str:
    """Return how many jobs have ended, of how many if that is known: ``27/40``."""
    ended = ended_jobs(standing.experiment)
    return f"{ended}" if standing.open_jobs is None else f"{ended}/{ended + standing.open_jobs}"


def state_text(standing: Standing) -> str:
    """Return how long it will take, ``about 3 min left``, or why it does not go on."""
    experiment = standing.experiment
    if experiment.status == "DONE":
        return f"DONE: {printable(experiment.search_end)}" if experiment.search_end else "DONE"
    if experiment.paused:
        return "paused"
    return "" if standing.seconds_left is None else f"{about(standing.seconds_left)} left"


def best_text(standing: Standing) -> str:
    """Return the best value of each objective; an empty text if there is none."""
    objectives = definition_or_empty(standing.experiment.settings).objectives
    values = zip(objectives, standing.best, strict=False)
    return "  ".join(short_value(job.results[objective.result]) for objective, job in values)
