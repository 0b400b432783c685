"""The sort keys of jobs: what `schedy list -s` and conditions find them by."""

from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, insert

from schedy.wire.values import Values, sort_keys
from schedy_store.schema.engine import Waiting
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.tables import JobValue

Source = Literal["hyperparameter", "result"]

_INSERT = Prepared(insert(JobValue), [column.name for column in JobValue.__table__.columns])
_DELETE = Prepared(
    delete(JobValue).where(JobValue.job_pk == bindparam("job_is"), JobValue.source == bindparam("source_is"))
)


class SortKeys(Waiting):
    """Sort keys that wait to be written, see `Transaction.waiting`."""

    def __init__(self) -> None:
        self._stale: list[dict[str, Any]] = []
        self._rows: dict[tuple[int, Source], list[dict[str, Any]]] = {}

    def add(self, job_pk: int, experiment_pk: int, source: Source, values: Values) -> None:
        """Give a job that has none the keys of its hyperparameters or results."""
        self._rows[job_pk, source] = [
            {
                "job_pk": job_pk,
                "experiment_pk": experiment_pk,
                "source": source,
                "name": name,
                "number": number,
                "text": text,
            }
            for name, number, text in sort_keys(values)
        ]

    def replace(self, job_pk: int, experiment_pk: int, source: Source, values: Values) -> None:
        """Give a job other keys than it has."""
        self._stale.append({"job_is": job_pk, "source_is": source})
        self.add(job_pk, experiment_pk, source, values)

    def write(self, sql: Connection) -> None:
        if self._stale:
            _DELETE.write(sql, self._stale)
        rows = [row for some in self._rows.values() for row in some]
        if rows:
            _INSERT.write(sql, rows)
        self._stale.clear()
        self._rows.clear()
