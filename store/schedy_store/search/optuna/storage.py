"""The history of an experiment as the storage of one Optuna study.

Nothing is copied to a storage of Optuna: trials are converted once and shown. The trial that a sampler or a pruner
works at takes what they write; `kept` is the part of it that has to be stored with the job.

CMA-ES keeps a pickle in a job's state and Optuna unpickles it. The state is written by the service only; it must never
be taken from a message.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NoReturn

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from schedy.search.definition import Definition
from schedy_store.search.optuna.space import Axes
from schedy_store.search.protocol import History, Trial

optuna.logging.set_verbosity(optuna.logging.ERROR)

_STUDY_ID = 0
_CONSTRAINTS = "constraints"
Select = Callable[[list[FrozenTrial]], list[FrozenTrial]]


def everything(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Return all trials: the selection that leaves nothing out."""
    return trials


def directions(definition: Definition) -> list[StudyDirection]:
    """Return the directions of the objectives as Optuna's."""
    return [StudyDirection[objective.direction.upper()] for objective in definition.objectives]


class View(BaseStorage):
    """Shows one moment at a time: call `show` before anything else."""

    def __init__(
        self, definition: Definition, axes: Axes | None, *, state: str, foreign: Mapping[str, Any] | None = None
    ) -> None:
        """`state` is the entry of a job's state that has system attributes; those of another space are not seen.

        With `axes` a job outside of the space is not shown; without, jobs have no parameters. `foreign` are the
        system attributes of a job that was not suggested here, or in another space.
        """
        self.name = f"schedy-{definition.seed}"
        self._directions = directions(definition)
        self._axes = axes
        self._state, self._study = state, "study"
        if axes is not None:
            self._state, self._study = (f"{entry} {axes.fingerprint}" for entry in (state, "study"))
        self._foreign = dict(foreign or {})
        self._converted: dict[int, tuple[Trial, FrozenTrial | None]] = {}
        self._ended: list[Trial] = []
        """The ended trials of the last moment: mostly the first ones of the next."""
        self._observed: list[FrozenTrial] = []
        """Those of them that are observations."""
        self._shown: list[FrozenTrial] = []
        self._asked = _running(-1, {}, {}, {}, {})
        self._study_attributes: dict[str, Any] = {}
        self._new_study_attributes: dict[str, Any] = {}

    def show(self, history: History, asked: FrozenTrial, select: Select = everything) -> None:
        """Show this moment; of the ended jobs only those that `select` picks."""
        ended = self._convert_ended(history.ended)
        pending = self._convert(trial for trial in history.pending if trial.key != asked.number)
        self._shown = sorted([*select(ended), *pending], key=attrgetter("_number"))
        self._asked = asked
        self._new_study_attributes = {}
        self._study_attributes = {}
        for trials in (history.ended, history.pending):
            for trial in trials:
                if trial.state and trial.number is not None and self._study in trial.state:
                    self._study_attributes.update(trial.state[self._study])

    def kept(self) -> dict[str, Any]:
        """Return the attributes written since `show`, as the state of the requested job."""
        kept = {self._state: dict(self._asked.system_attrs), self._study: self._new_study_attributes}
        return {entry: attributes for entry, attributes in kept.items() if attributes}

    def asked(self, number: int) -> FrozenTrial:
        """Return a new trial, for `show`."""
        return _running(number, {}, {}, {}, {})

    def frozen(self, trial: Trial) -> FrozenTrial | None:
        """Return a job as Optuna has it, None if it is no observation."""
        parameters = {} if self._axes is None else self._axes.inward(trial.hyperparameters)
        return None if parameters is None else self.frozen_with(trial, parameters)

    def frozen_with(self, trial: Trial, parameters: dict[str, Any]) -> FrozenTrial:
        """Return a job as Optuna has it, with these parameters."""
        distributions = {} if self._axes is None else self._axes.distributions
        frozen = _running(
            trial.key,
            parameters,
            {name: distributions[name] for name in parameters},
            self._attributes(trial),
            dict(trial.curve),
        )
        frozen.state, frozen.values = self._outcome(trial)
        return frozen

    def _convert_ended(self, ended: Sequence[Trial]) -> list[FrozenTrial]:
        """Return the ended trials that are observations; only those are looked at that were not there before."""
        before = len(self._ended)
        if before > len(ended) or (before and ended[before - 1] is not self._ended[-1]):
            self._ended, self._observed, before = [], [], 0
        self._observed += self._convert(ended[before:])
        self._ended += ended[before:]
        return self._observed

    def _convert(self, trials: Iterable[Trial]) -> list[FrozenTrial]:
        """Return the trials that are observations, converting those that are new or have changed."""
        converted = self._converted
        found: list[FrozenTrial] = []
        for trial in trials:
            known = converted.get(trial.key)
            if known is None or known[0] is not trial:
                known = converted[trial.key] = (trial, self.frozen(trial))
            if known[1] is not None:
                found.append(known[1])
        return found

    def _attributes(self, trial: Trial) -> dict[str, Any]:
        attributes = trial.state.get(self._state, self._foreign)
        if trial.violations:
            return {**attributes, _CONSTRAINTS: list(trial.violations)}
        return dict(attributes)

    def _outcome(self, trial: Trial) -> tuple[TrialState, Sequence[float] | None]:
        """Return the state and the values: with several objectives Optuna has no pruned trials."""
        if trial.status in {"QUEUED", "RUNNING"}:
            return TrialState.RUNNING, None
        if trial.status == "DONE" and trial.values is not None:
            return TrialState.COMPLETE, trial.values
        if trial.status == "PRUNED" and trial.curve and len(self._directions) == 1:
            return TrialState.PRUNED, (trial.curve[max(trial.curve)],)
        return TrialState.FAIL, None

    # Read by samplers and pruners.

    def get_study_id_from_name(self, study_name: str) -> int:
        return _STUDY_ID

    def get_study_name_from_id(self, study_id: int) -> str:
        return self.name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._study_attributes

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if trial_id == self._asked._trial_id:
            return self._asked
        frozen = self._converted[trial_id][1]
        if frozen is None:
            raise KeyError(trial_id)
        return frozen

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        if states is None:
            return list(self._shown)
        return [trial for trial in self._shown if trial.state in states]

    # Written by samplers and pruners, at the requested trial.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        return self._asked._trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        self._asked._params[param_name] = distribution.to_external_repr(param_value_internal)
        self._asked._distributions[param_name] = distribution

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._asked._system_attrs[key] = value

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._study_attributes[key] = value
        self._new_study_attributes[key] = value

    # Never called.

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> NoReturn:
        raise _read_only()

    def delete_study(self, study_id: int) -> NoReturn:
        raise _read_only()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> NoReturn:
        raise _read_only()

    def get_all_studies(self) -> NoReturn:
        raise _read_only()

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> NoReturn:
        raise _read_only()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> NoReturn:
        raise _read_only()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> NoReturn:
        raise _read_only()


def _read_only() -> RuntimeError:
    return RuntimeError("The view of a history cannot be changed.")


def _running(
    number: int,
    parameters: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    attributes: dict[str, Any],
    curve: dict[int, float],
) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=None,
        datetime_complete=None,
        params=parameters,
        distributions=distributions,
        user_attrs={},
        system_attrs=attributes,
        intermediate_values=curve,
    )
