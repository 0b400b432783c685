"""Pruning by Optuna's pruners."""

from collections.abc import Mapping
from typing import Any

from optuna import pruners
from optuna.samplers import RandomSampler
from optuna.study import Study

from schedy.errors import InvalidValueError
from schedy.search.definition import Definition
from schedy.search.pruners import (
    AshaPruner,
    HyperbandPruner,
    MedianPruner,
    PercentilePruner,
    PrunerParameters,
    ThresholdPruner,
    read_pruner,
)
from schedy_store.search.optuna.sampling import quiet
from schedy_store.search.optuna.storage import View
from schedy_store.search.protocol import PRUNER_STATE, History, Trial

_HOPELESS = "schedy:hopeless"


class OptunaPruner:
    """The pruner of a definition. A job outside of the space counts like any other.

    A verdict stays, with the state of the attempt: ASHA and Hyperband judge a rung once, and the answer that brings
    the verdict to the worker may be lost.

    Optuna's Hyperband picks the bracket of a job by the name of the study and the job's number: both stay.
    """

    def __init__(self, definition: Definition) -> None:
        if definition.pruner is None:
            raise InvalidValueError("The experiment has no pruner.")
        with quiet():
            self._pruner = _optunas(read_pruner(definition.pruner))
        self._view = View(definition, None, state=PRUNER_STATE)

    def prune(self, trial: Trial, history: History) -> tuple[bool, Mapping[str, Any]]:
        kept = trial.state.get(PRUNER_STATE, {})
        if kept.get(_HOPELESS):
            return True, trial.state
        frozen = self._view.frozen_with(trial, {})
        self._view.show(history, frozen)
        with quiet():
            study = Study(self._view.name, self._view, sampler=RandomSampler(), pruner=self._pruner)
            is_hopeless = bool(self._pruner.prune(study, frozen))  # some return NumPy's
        state = {**trial.state, **self._view.kept()}
        if is_hopeless:
            state[PRUNER_STATE] = {**state.get(PRUNER_STATE, {}), _HOPELESS: True}
        return is_hopeless, state


def _optunas(parameters: PrunerParameters) -> pruners.BasePruner:
    """Return Optuna's pruner with the parameters of ours."""
    match parameters:
        case PercentilePruner():
            return pruners.PercentilePruner(
                parameters.percentile,
                n_startup_trials=parameters.startup_jobs,
                n_warmup_steps=parameters.warmup_steps,
                interval_steps=parameters.interval_steps,
            )
        case MedianPruner():
            return pruners.MedianPruner(
                n_startup_trials=parameters.startup_jobs,
                n_warmup_steps=parameters.warmup_steps,
                interval_steps=parameters.interval_steps,
            )
        case AshaPruner():
            return pruners.SuccessiveHalvingPruner(**parameters.model_dump())
        case HyperbandPruner():
            return pruners.HyperbandPruner(**parameters.model_dump())
        case ThresholdPruner():
            return pruners.ThresholdPruner(
                lower=parameters.lower,
                upper=parameters.upper,
                n_warmup_steps=parameters.warmup_steps,
                interval_steps=parameters.interval_steps,
            )
