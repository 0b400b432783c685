"""``python -m benchmarks.bare_export URL NAME FILE``: the file of `schedy export`, by a loop over SQLAlchemy Core.

FILE ends with .csv or .parquet. The jobs are those that the benchmarks have put into the store.
"""

import csv
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from schedy_store.schema.engine import Store
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job

_NAMES = (
    *("id", "status", "result.result", "x", "y", "quality", "created_at", "started_at", "finished_at", "seconds"),
    *("worker", "attempt", "error"),
)
_ROWS_AT_ONCE = 50_000


def rows(url: str, name: str) -> Iterator[list[Any]]:
    """Yield the cells of each job."""
    job = Job.__table__.c
    columns = (job.job_id, job.status, job.hyperparameters, job.results, job.quality, job.created_at)
    more = (job.started_at, job.finished_at, job.worker, job.attempt, job.error)
    found = (
        select(*columns, *more)
        .join(Experiment.__table__, OF_EXPERIMENT)
        .where(Experiment.name == name)
        .order_by(job.pk)
    )
    with Store.open(url, read_only=True).engine.connect() as sql:
        for row in sql.execution_options(yield_per=1000).execute(found):
            job_id, status, hyperparameters, results, quality, created, started, finished, *rest = row
            values, found_results = json.loads(hyperparameters), json.loads(results)
            times = [created, started, finished, (finished - started).total_seconds()]
            yield [job_id, status, found_results["result"], values["x"], values["y"], quality, *times, *rest]


def write_csv(cells: Iterator[list[Any]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_NAMES)
        for row in cells:
            row[6:9] = [time.isoformat() for time in row[6:9]]
            writer.writerow(row)


def write_parquet(cells: Iterator[list[Any]], path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - the other format does without
    import pyarrow.parquet as pq  # noqa: PLC0415

    writer: Any = None
    for batch in iter(lambda: list(itertools.islice(cells, _ROWS_AT_ONCE)), []):
        table = pa.Table.from_arrays([pa.array(column) for column in zip(*batch, strict=True)], names=list(_NAMES))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def main(url: str, name: str, file: str) -> None:
    write = write_csv if file.endswith(".csv") else write_parquet
    write(rows(url, name), Path(file))


if __name__ == "__main__":
    main(*sys.argv[1:])
