"""Jobs that are pushed to a search: it takes none that lacks hyperparameters, and may not learn from others."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from schedy.close_names import did_you_mean
from schedy.errors import InvalidValueError
from schedy.search.algorithms import ALGORITHMS
from schedy.search.definition import Definition, read_definition
from schedy.search.space import Fit
from schedy.wire.records import ExperimentRecord

_SHOWN = 120
"""Characters of a job's hyperparameters in an error."""


class PushedJobs:
    """Checks jobs against the hyperparameters of an experiment; where that has none, a job may have any."""

    def __init__(self, scheduler: str, definition: Definition) -> None:
        self._space = definition.space()
        self._assumed = definition.assumed
        self._may = "does not" if scheduler in ALGORITHMS else "may not"
        """An algorithm of a user's own sees every job."""

    @classmethod
    def of(cls, experiment: ExperimentRecord) -> "PushedJobs | None":
        """Return the check of an experiment; None where only the results service can check.

        That is so for the definition of a newer Schedy, and there is nothing to check without hyperparameters.
        """
        try:
            definition = read_definition(experiment.settings)
        except InvalidValueError:
            return None
        return cls(experiment.scheduler, definition) if definition.hyperparameters else None

    def fault(self, hyperparameters: Mapping[str, Any]) -> str | None:
        """Return why the search does not learn from a job, None if it may do so.

        Raises InvalidValueError if the job lacks hyperparameters of the search.
        """
        if not self._space.parameters:
            return None
        fit = self._space.fit({**self._assumed, **hyperparameters})
        if fit.missing:
            raise InvalidValueError(self._lack(hyperparameters, fit))
        for name in fit.outside:
            return f"{name!r} lies outside of its {self._space.parameters[name].kind}."
        for name in fit.strange:
            if name in self._space.parameters:
                return f"{name!r} does not exist with the other values."
            return f"{name!r} is unknown. {did_you_mean(name, self._space.parameters)}"
        return None

    def warning(self, fault: str, job_ids: list[str]) -> str:
        """Return a sentence about jobs with this fault."""
        jobs = f"job {job_ids[0]}" if len(job_ids) == 1 else f"{len(job_ids)} jobs, {job_ids[0]} and others"
        return f"The search {self._may} learn from {jobs}: {fault}"

    def _lack(self, hyperparameters: Mapping[str, Any], fit: Fit) -> str:
        missing = ", ".join(map(repr, fit.missing))
        if not hyperparameters:
            return f"The job has no hyperparameters. A job of this search needs {missing}."
        shown = json.dumps(hyperparameters)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} ..."
        unknown = (name for name in fit.strange if name not in self._space.parameters)
        hints = (f" {name!r} is unknown. {did_you_mean(name, self._space.parameters)}" for name in unknown)
        return f"A job with {shown} lacks {missing}, which every such job of this search has.{''.join(hints)}"


def check_before_sending(experiment: ExperimentRecord, jobs: Iterable[Mapping[str, Any]]) -> None:
    """Raise InvalidValueError if the results service would refuse a job with these hyperparameters."""
    pushed = PushedJobs.of(experiment)
    if pushed is not None:
        for hyperparameters in jobs:
            pushed.fault(hyperparameters)
