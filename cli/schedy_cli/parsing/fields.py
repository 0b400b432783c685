"""The fields that `schedy list` sorts by and prints: columns of a job, hyperparameters and results."""

from collections.abc import Sequence

from schedy.errors import InvalidValueError
from schedy.search.definition import Objective, read_definition
from schedy.wire.answers import FieldsAnswer
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import SortField


def objectives_of(experiment: ExperimentRecord) -> list[Objective]:
    """Return the objectives of an experiment, none if a later version of Schedy has stored its definition."""
    try:
        return read_definition(experiment.settings).objectives
    except InvalidValueError:
        return []


def all_fields(known: FieldsAnswer) -> list[SortField]:
    """Return the fields of a table without -f; the attempt is among them where a job had more than one."""
    columns = ("id", "status", "quality", *(["attempt"] if known.most_attempts > 1 else []))
    return [
        *(SortField(source="column", name=name) for name in columns),
        *(SortField(source="hyperparameter", name=name) for name in known.hyperparameters),
        *(SortField(source="result", name=name) for name in known.results),
    ]


def fields_to_read(known: FieldsAnswer, objectives: Sequence[str]) -> list[SortField]:
    """Return the fields of `all_fields` as people read them: objectives second, and no quality that repeats one."""
    wanted = [SortField(source="result", name=name) for name in objectives if name in known.results]
    first, *others = (field for field in all_fields(known) if field not in wanted)
    repeated = SortField(source="column", name="quality")
    return [first, *wanted, *(field for field in others if not (len(wanted) == 1 and field == repeated))]
