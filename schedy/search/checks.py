"""Checks of a search's definition before it is sent and when it arrives, and changes of it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from schedy.close_names import did_you_mean
from schedy.errors import InvalidValueError
from schedy.search.algorithms import ALGORITHMS, MANUAL, Algorithm
from schedy.search.definition import SPACE, Definition, read_definition
from schedy.search.errors import DefinitionError, Setting
from schedy.search.options import options_of
from schedy.search.pruners import read_pruner
from schedy.search.room import check_room
from schedy.search.space import Space
from schedy.wire.base import check_experiment_name
from schedy.wire.values import LONGEST_NAME, dump_values, json_key, plain_values

_OBJECTIVE = (Setting("minimize", ("loss",)), " or ", Setting("maximize", ("accuracy",)))
_OBJECTIVES = (Setting("minimize", ("loss",)), " and ", Setting("maximize", ("accuracy",)))
_EXAMPLE = Setting("", ({"x": {"uniform": {"low": 0, "high": 1}}},))
_PARAMETERS = {"warm_start": "from_experiment"}
"""Settings of a definition that have another name in Python."""


def changed_definition(scheduler: str, definition: Definition, changes: Mapping[str, Any]) -> Definition:
    """Return the definition with some settings changed; None removes a setting. Raises InvalidValueError."""
    settings = {**definition.as_json(), **plain_values(changes)}
    empty = [name for name, value in settings.items() if value is None and _is_empty_by_default(name)]
    changed = read_definition({name: value for name, value in settings.items() if name not in empty})
    check_search(scheduler, changed)
    if check_space_change(scheduler, definition, changed):
        check_room(changed)
    return changed


def _is_empty_by_default(name: str) -> bool:
    return name in Definition.model_fields and Definition.model_fields[name].default in ([], {})


def check_space_change(scheduler: str, before: Definition, after: Definition) -> bool:
    """Return whether a search that has begun is sent elsewhere. Raises InvalidValueError if that cannot be."""
    old, new = before.as_json(), after.as_json()
    changed = [name for name in SPACE if json_key(old.get(name)) != json_key(new.get(name))]
    algorithm = ALGORITHMS.get(scheduler)
    if changed and algorithm is not None and not algorithm.changes_space:
        able = _able(lambda other: other.changes_space)
        raise DefinitionError(
            f"{scheduler} cannot change ",
            Setting(changed[0]),
            f" once it has begun; {able} can. Add another experiment.",
        )
    return bool(changed)


def pruner_form(pruner: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a pruner in the form of a definition, given that form or its bare name."""
    return {pruner: {}} if isinstance(pruner, str) else pruner


def warm_start_form(experiments: Iterable[str]) -> list[dict[str, str]]:
    """Return experiments to start from in the form of a definition. Raises InvalidValueError for an unusable name."""
    return [{"experiment": check_experiment_name(name)} for name in experiments]


def check_search(scheduler: str, definition: Definition) -> None:
    """Raise InvalidValueError if no experiment can have this scheduler with this definition.

    The results service checks that there is a scheduler of that name: it may know a user's own.
    """
    if not scheduler.isprintable() or not 1 <= len(scheduler) <= LONGEST_NAME:
        raise InvalidValueError(
            f"An algorithm has a name of 1 to {LONGEST_NAME} printable characters, not {scheduler!r}."
        )
    dump_values(dict.fromkeys(definition.space().parameters))  # for the names
    check_definition(scheduler, definition)


def check_definition(scheduler: str, definition: Definition) -> None:
    """Raise InvalidValueError if the scheduler cannot work by this definition.

    For an algorithm that is not Schedy's own, only the settings that all algorithms have are checked.
    """
    space = definition.space()
    _check_objectives(definition)
    _check_conditions(definition, space)
    _check_assumed(definition)
    if scheduler == MANUAL:
        return _check_manual(definition)
    algorithm = ALGORITHMS.get(scheduler)
    if not space.parameters and (algorithm is None or algorithm.needs_space):
        raise DefinitionError(f"{scheduler} needs at least one hyperparameter, as ", _EXAMPLE, ".")
    if algorithm is not None:
        options = options_of(scheduler).read(definition.options, algorithm=scheduler)
        options.check(space.parameters)
        _check_algorithm(scheduler, algorithm, definition)
    return None


def _check_objectives(definition: Definition) -> None:
    if definition.pruner is not None:
        read_pruner(definition.pruner)
        if definition.objective is None:
            raise DefinitionError("A pruner needs one objective: ", *_OBJECTIVE, ".")
    results = [objective.result for objective in definition.objectives]
    if len(set(results)) != len(results):
        raise DefinitionError("Two objectives have the same result.")
    if definition.stop_after_no_improvement is not None and definition.objective is None:
        raise DefinitionError(Setting("stop_after_no_improvement"), " needs one objective: ", *_OBJECTIVE, ".")


def _check_conditions(definition: Definition, space: Space) -> None:
    for condition in definition.conditions:
        for name in sorted(condition.names - space.parameters.keys()):
            if space.parameters:
                hint = did_you_mean(name, space.parameters)
                raise DefinitionError(
                    Setting("where"), f": {condition.text}: there is no hyperparameter {name!r}. {hint}"
                )


def _check_assumed(definition: Definition) -> None:
    for name, value in definition.assumed.items():
        distribution = definition.hyperparameters.get(name)
        if distribution is None and definition.hyperparameters:
            hint = did_you_mean(name, definition.hyperparameters)
            raise DefinitionError(Setting("assumed"), f": no job has a hyperparameter {name!r} in any case. {hint}")
        if distribution is not None and distribution.rank(value) is None:
            raise DefinitionError(Setting("assumed"), f": {name} = {value!r} is no value of {distribution}.")


def _check_manual(definition: Definition) -> None:
    strange = sorted(definition.as_json().keys() - {"objectives", "pruner"})
    if strange:
        names = [Setting(_PARAMETERS.get(name, name)) for name in strange]
        listed = [part for name in names for part in (" or ", name)][1:]
        raise DefinitionError("A manual experiment makes no jobs, so it has no ", *listed, ".")


def _check_algorithm(scheduler: str, algorithm: Algorithm, definition: Definition) -> None:
    least, most = algorithm.objectives
    count = len(definition.objectives)
    if count < least:
        wanted, example = ("an objective", _OBJECTIVE) if least == 1 else (f"at least {least} objectives", _OBJECTIVES)
        raise DefinitionError(f"{scheduler} needs {wanted}: ", *example, ".")
    if count > most:
        several = _able(lambda other: other.objectives[1] > most)
        raise DefinitionError(f"{scheduler} takes {most} objective, not {count}; {several} take several.")
    if definition.constraints and not algorithm.constraints:
        able = _able(lambda other: other.constraints)
        raise DefinitionError(f"{scheduler} cannot respect constraints; {able} can.")
    if algorithm.continues_jobs:
        given = definition.as_json()
        for name in ("exact", "no_repeats", "where", "repeats"):
            if given.get(name):
                continues = f"{scheduler} continues jobs, at the same point or another, so it has no "
                raise DefinitionError(continues, Setting(name), ".")
    if definition.warm_start and not algorithm.starts_from_others:
        able = _able(lambda other: other.starts_from_others)
        raise DefinitionError(f"{scheduler} cannot start from another experiment; {able} can.")


def _able(is_able: Callable[[Algorithm], bool]) -> str:
    return ", ".join(name for name, algorithm in ALGORITHMS.items() if is_able(algorithm))
