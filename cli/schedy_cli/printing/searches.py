"""Searches: the lines of an experiment about the search that makes its jobs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from schedy.errors import InvalidValueError
from schedy.escaping import printable
from schedy.random import Distribution
from schedy.random.short_form import Words, write_call
from schedy.search.algorithms import MANUAL
from schedy.search.definition import DEFAULT_CRASHES, DEFAULT_NO_RESULT, Definition, read_definition
from schedy.values_text import format_name, format_value
from schedy.wire.answers import MadeBy
from schedy.wire.records import ExperimentRecord

_BUDGET = ("max_jobs", "max_done", "max_time", "stop_after_no_improvement", "ready")


def search_lines(experiment: ExperimentRecord, made_by: Sequence[MadeBy]) -> Iterator[str]:
    """Return the lines about an experiment's search: none for a setting that is not set."""
    if experiment.made or experiment.scheduler != MANUAL:
        by = ", ".join(f"{each.jobs} {printable(each.algorithm)}" for each in made_by)
        yield f"Made: {experiment.made}{_of_budget(experiment)}{by and f' ({by})'}"
    if experiment.search_end:
        yield f"Ended: {printable(experiment.search_end)}"
    if experiment.problem:
        yield f"Problem: {printable(experiment.problem)}"
    try:
        definition = read_definition(experiment.settings)
    except InvalidValueError:  # stored by a newer Schedy: better raw than not at all
        yield f"Settings: {json.dumps(experiment.settings)}"
        return
    yield from _definition_lines(definition)


def _definition_lines(definition: Definition) -> Iterator[str]:
    yield from _listed("Hyperparameters", _distributions(definition.hyperparameters))
    yield from _listed("Where", map(printable, definition.where))
    yield from _listed("Assumed", (f"{format_name(name)}: {format_value(x)}" for name, x in definition.assumed.items()))
    yield from _objectives(definition)
    yield from _listed("Constraints", (printable(str(each)) for each in definition.constraints))
    yield from _listed("Budget", _budget(definition))
    for name, parameters in (definition.pruner or {}).items():
        yield f"Pruner: {printable(write_call(name, Words([], parameters), ()) if parameters else name)}"
    yield from _listed("From experiments", (printable(start.experiment) for start in definition.warm_start))
    yield from _listed("Options", (f"{format_name(name)}: {format_value(x)}" for name, x in definition.options.items()))
    if definition.repeats > 1:
        yield f"Repeats: {definition.repeats}"
    if definition.exact:
        yield "Exact: true"
    if definition.no_repeats is not None:
        yield f"No repeats: {json.dumps(definition.no_repeats)}"
    if definition.seed is not None:
        yield f"Seed: {definition.seed}"


def _of_budget(experiment: ExperimentRecord) -> str:
    most = experiment.settings.get("max_jobs")
    return f" of {most}" if isinstance(most, int) else ""


def _listed(heading: str, items: Iterable[str]) -> Iterator[str]:
    lines = [f" - {item}" for item in items]
    if lines:
        yield f"{heading}:"
        yield from lines


def _distributions(hyperparameters: Mapping[str, Distribution]) -> Iterator[str]:
    for name, each in hyperparameters.items():
        yield f"{format_name(name)}: {each}"


def _objectives(definition: Definition) -> Iterator[str]:
    objectives = [f"{each.direction} {printable(each.result)}" for each in definition.objectives]
    if len(objectives) == 1:
        yield f"Objective: {objectives[0]}"
    else:
        yield from _listed("Objectives", objectives)


def _budget(definition: Definition) -> Iterator[str]:
    for name in _BUDGET:
        value = getattr(definition, name)
        if value is not None:
            yield f"{name}: {value:g}" if isinstance(value, float) else f"{name}: {value}"
    for bound in definition.stop_at:
        yield f"stop_at: {printable(str(bound))}"
    if definition.stop_after_crashes != DEFAULT_CRASHES:
        yield f"stop_after_crashes: {definition.stop_after_crashes or 'none'}"
    if definition.stop_after_no_result != DEFAULT_NO_RESULT:
        yield f"stop_after_no_result: {definition.stop_after_no_result or 'none'}"
