"""An experiment as a study of Optuna, for its plots, its importances, and its dashboard."""

import math
import warnings
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from schedy.errors import InvalidValueError, ResourceExistsError, SchedyError
from schedy.results.best import NAME_A_RESULT
from schedy.results.lines import JobLine, PointLine
from schedy.results.optuna_space import Parameter, parameters_of
from schedy.results.packages import needed
from schedy.search.definition import Definition, as_observation, observed
from schedy.wire.base import DONE, PRUNED, QUEUED, RUNNING

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

_CONSTRAINTS = "constraints"
"""The system attribute that plots and dashboard look at: a job is feasible where none is above 0."""
_INSERT_POINT = (
    "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)"
    " VALUES (?, ?, ?, ?)"
)
_ATTRIBUTES = ("id", "status", "worker", "attempt", "error", "quality")


def make_study(
    name: str,
    definition: Definition,
    jobs: Iterable[JobLine],
    points: Iterable[PointLine],
    *,
    storage: Any = None,
    advance: Callable[[int], object] = int,
) -> "Study":
    """Return a new study of that name with a trial for each job, in a storage of Optuna or its URL; None: in memory.

    Raises InvalidValueError if the experiment has no objective, ResourceExistsError if the storage has a study of that
    name, and SchedyError if it cannot be used. A study that could not be completed is deleted. `advance` is called for
    each trial.
    """
    optuna = needed("optuna", what="A study of Optuna", extra="optuna")
    if not definition.objectives:
        raise InvalidValueError(f"{name} has no objective, and a study of Optuna needs one. {NAME_A_RESULT}")
    lines = list(jobs)
    curves = _curves(definition.objectives[0].result, lines, points)
    parameters = parameters_of(definition.space().parameters, [job.hyperparameters for job in lines])
    opened = _opened(optuna, storage)
    study = _new_study(optuna, name, definition, opened)
    try:
        at_once = isinstance(opened, optuna.storages.RDBStorage) and opened.engine.dialect.name == "sqlite"
        for job in lines:
            trial = _trial(optuna, definition, parameters, job, curves.get(job.job_id, {}))
            if at_once:
                trial.intermediate_values = {}
            study.add_trial(trial)
            advance(1)
        if at_once:
            _insert_curves(opened, study, [curves.get(job.job_id, {}) for job in lines])
    except BaseException as error:
        optuna.delete_study(study_name=name, storage=opened)
        if isinstance(error, optuna.exceptions.StorageInternalError):
            raise SchedyError(f"Optuna cannot write the study: {_reason(error.__cause__ or error)}") from None
        raise
    return study  # type: ignore[no-any-return]  # Optuna may not be installed


def _opened(optuna: Any, storage: Any) -> Any:
    if storage is None:
        return optuna.storages.InMemoryStorage()
    try:
        if isinstance(storage, str) and storage.startswith("sqlite:"):
            return _quick_sqlite(optuna, storage)
        return optuna.storages.get_storage(storage)
    except Exception as error:  # of whatever library is behind the URL
        raise SchedyError(
            f"Optuna cannot use the storage: {_reason(error)} A URL is such as sqlite:///FILE.db."
        ) from None


def _quick_sqlite(optuna: Any, url: str) -> Any:
    """Return a storage that does not wait for the disk at each trial: what fails is deleted and made again."""
    opened = optuna.storages.RDBStorage(url)
    with opened.engine.connect() as sql:  # there is one connection, which the storage goes on using
        sql.exec_driver_sql("PRAGMA synchronous = OFF")
    return opened


def _insert_curves(storage: Any, study: "Study", curves: Sequence[Mapping[int, float]]) -> None:
    """Write the curves of all trials: Optuna itself needs a millisecond for each point."""
    rows = [
        (trial._trial_id, step, *_stored(value))
        for trial, curve in zip(study.get_trials(deepcopy=False), curves, strict=True)
        for step, value in curve.items()
    ]
    if rows:
        with storage.engine.begin() as sql:
            sql.exec_driver_sql(_INSERT_POINT, rows)


def _stored(value: float) -> tuple[float | None, str]:
    """Return a value and its kind as Optuna stores them."""
    if math.isfinite(value):
        return value, "FINITE"
    return None, "NAN" if math.isnan(value) else "INF_POS" if value > 0 else "INF_NEG"


def _reason(error: BaseException) -> str:
    """Return the first line of an error's message as a sentence."""
    lines = str(error).strip().splitlines()
    return f"{(lines[0] if lines else type(error).__name__).rstrip('.')}."


def _new_study(optuna: Any, name: str, definition: Definition, storage: Any) -> Any:
    directions = [objective.direction for objective in definition.objectives]
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # what is done is said elsewhere
    try:
        study = optuna.create_study(study_name=name, directions=directions, storage=storage)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([objective.result for objective in definition.objectives])
        return study
    except optuna.exceptions.DuplicatedStudyError:
        raise ResourceExistsError(
            f"The storage has a study {name!r} already. Choose another storage, or delete the study:"
            " optuna delete-study."
        ) from None
    finally:
        optuna.logging.set_verbosity(verbosity)


def _curves(objective: str, jobs: Sequence[JobLine], points: Iterable[PointLine]) -> dict[str, dict[int, float]]:
    """Return the values of the objective in the latest attempts, by job and step."""
    attempts = {job.job_id: job.attempt for job in jobs}
    curves: dict[str, dict[int, float]] = {}
    for point in points:
        if point.name == objective and point.attempt == attempts.get(point.job_id):
            curves.setdefault(point.job_id, {})[point.step] = point.value
    return curves


def _trial(
    optuna: Any, definition: Definition, parameters: Mapping[str, Parameter], job: JobLine, curve: dict[int, float]
) -> "FrozenTrial":
    state, values = _outcome(optuna, definition, job, curve)
    started = None if job.status == QUEUED else job.started_at or job.finished_at or job.created_at
    names = [name for name in job.hyperparameters if name in parameters]
    trial: FrozenTrial = optuna.trial.FrozenTrial(
        number=-1,  # the study gives one
        trial_id=-1,
        state=state,
        value=None,
        values=values,
        datetime_start=_local(started),
        datetime_complete=_local(job.finished_at),
        params={name: parameters[name].shown(job.hyperparameters[name]) for name in names},
        distributions={name: parameters[name].distribution for name in names},
        user_attrs=_attributes(definition, parameters, job),
        system_attrs=_violations(definition, job),
        intermediate_values=curve,
    )
    return trial


def _outcome(
    optuna: Any, definition: Definition, job: JobLine, curve: Mapping[int, float]
) -> tuple[Any, Sequence[float] | None]:
    """Return state and values. A DONE job without a number for each objective has failed, as Optuna sees it."""
    states = optuna.trial.TrialState
    values = observed(definition, job.results)
    if job.status == DONE:
        return (states.FAIL, None) if values is None else (states.COMPLETE, values)
    if job.status == PRUNED:
        last = curve[max(curve)] if curve else math.nan
        is_known = len(definition.objectives) == 1 and not math.isnan(last)
        return states.PRUNED, (last,) if is_known else None
    return {QUEUED: states.WAITING, RUNNING: states.RUNNING}.get(job.status, states.FAIL), None


def _attributes(definition: Definition, parameters: Container[str], job: JobLine) -> dict[str, Any]:
    """Return the fields of the job, its other results, and hyperparameters that are no parameters of the study.

    Where they share a name, it has its source before it: ``result.id``.
    """
    attributes = {name: getattr(job, "job_id" if name == "id" else name) for name in _ATTRIBUTES}
    objectives = [objective.result for objective in definition.objectives]
    for source, values, left_out in (
        ("result", job.results, objectives),
        ("hyperparameter", job.hyperparameters, parameters),
    ):
        for name, value in values.items():
            if name not in left_out:
                attributes[f"{source}.{name}" if name in attributes else name] = value
    return {name: value for name, value in attributes.items() if value is not None}


def _violations(definition: Definition, job: JobLine) -> dict[str, Any]:
    """Return by how much each constraint is broken, nothing while a result of one is missing."""
    found = [(each, as_observation(job.results.get(each.result))) for each in definition.constraints]
    violations = [constraint.violation(value) for constraint, value in found if value is not None]
    return {_CONSTRAINTS: violations} if found and len(violations) == len(found) else {}


def _local(moment: datetime | None) -> datetime | None:
    """Return a time as Optuna writes it: that of this machine, without a zone."""
    return None if moment is None else moment.astimezone().replace(tzinfo=None)
