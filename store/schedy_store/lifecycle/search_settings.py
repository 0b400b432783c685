"""Checks of search definitions, and the defaults that only the store knows."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, select

from schedy.errors import InvalidValueError
from schedy.search.algorithms import MANUAL, unknown_algorithm
from schedy.search.checks import check_definition, check_space_change
from schedy.search.definition import CHANGEABLE, Definition, WarmStart, read_definition
from schedy.search.errors import message_of, neutrally
from schedy.wire.changes import AddExperiment
from schedy.wire.values import dump_values, json_key, load_values
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import findable
from schedy_store.schema.rows import ExperimentRow
from schedy_store.schema.tables import Experiment, Job
from schedy_store.search.catalogue import known_schedulers, missing_requirement

_SEED_BITS = 32


def definition_columns(definition: Definition) -> dict[str, Any]:
    """Return the columns of an experiment that hold its definition."""
    return {
        "settings": dump_values(definition.as_json()),
        "objectives": json.dumps([objective.result for objective in definition.objectives]),
        "prunes": definition.pruner is not None,
    }


@contextmanager
def _errors_for_every_client() -> Iterator[None]:
    """Word errors of a definition for clients in Python and on the command line alike: they leave as text."""
    try:
        yield
    except InvalidValueError as error:
        raise InvalidValueError(message_of(error, neutrally)) from None


class Definitions:
    """Checks definitions within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @_errors_for_every_client()
    def of_new(self, change: AddExperiment) -> Definition:
        """Return the definition of a new experiment, complete. Raises InvalidValueError."""
        schedulers = {MANUAL, *known_schedulers()}
        if change.scheduler not in schedulers:
            raise unknown_algorithm(change.scheduler, schedulers)
        definition = read_definition(change.settings)
        check_definition(change.scheduler, definition)
        missing = missing_requirement(change.scheduler, definition)
        if missing is not None:
            raise InvalidValueError(missing)
        if change.scheduler == MANUAL:
            return definition
        seed = secrets.randbits(_SEED_BITS) if definition.seed is None else definition.seed
        sources = [self._looked_up(source) for source in definition.warm_start]
        return definition.model_copy(update={"seed": seed, "warm_start": sources})

    @_errors_for_every_client()
    def of_changed(self, before: ExperimentRow, settings: Mapping[str, Any]) -> Definition:
        """Return the new definition of an experiment that is changed. Raises InvalidValueError."""
        old = read_definition(load_values(before.settings))
        new = read_definition(settings)
        before_json, after_json = old.as_json(), new.as_json()
        for name in Definition.model_fields:
            if name not in CHANGEABLE and json_key(after_json.get(name)) != json_key(before_json.get(name)):
                raise InvalidValueError(
                    f"{name} cannot be changed once an experiment exists; {', '.join(CHANGEABLE)} can."
                    " Add another experiment."
                )
        check_definition(before.scheduler, new)
        check_space_change(before.scheduler, old, new)
        missing = missing_requirement(before.scheduler, new)
        if missing is not None:
            raise InvalidValueError(missing)
        return new

    def _looked_up(self, source: WarmStart) -> WarmStart:
        """Return a warm start with the uid of its experiment, and how many of its jobs count."""
        found = select(Experiment.pk, Experiment.uid).where(Experiment.name == findable(source.experiment))
        row = self._transaction.sql.execute(found).one_or_none()
        if row is None:
            raise InvalidValueError(f"There is no experiment {source.experiment!r} to start from.")
        ended = self._transaction.sql.scalar(select(func.max(Job.ended)).where(Job.experiment_pk == row.pk)) or 0
        return WarmStart(experiment=source.experiment, uid=row.uid, ended=ended)
