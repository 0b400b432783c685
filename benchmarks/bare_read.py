"""``python -m benchmarks.bare_read URL NAME READ [IMPORT ...]``: the SQL of a command, nothing else."""

import importlib
import sys

from sqlalchemy import create_engine, text

STATEMENTS = {
    "show": "SELECT * FROM job WHERE experiment_pk = :experiment AND job_id = 'J00005'",
    "best": """
        SELECT * FROM job JOIN job_value AS value ON value.job_pk = job.pk
        WHERE value.experiment_pk = :experiment AND value.source = 'result' AND value.name = 'result'
        ORDER BY value.number LIMIT 1""",
    "list": """
        SELECT * FROM job JOIN job_value AS value ON value.job_pk = job.pk
        WHERE value.experiment_pk = :experiment AND value.source = 'result' AND value.name = 'result'
        ORDER BY value.number LIMIT 20""",
    "all": "SELECT job_id, status FROM job WHERE experiment_pk = :experiment ORDER BY pk",
    "watch": "SELECT * FROM job_count WHERE experiment_pk = :experiment",
}


def main(url: str, name: str, read: str, *imports: str) -> None:
    for module in imports:
        importlib.import_module(module)
    with create_engine(url).connect() as sql:
        experiment = sql.scalars(text("SELECT pk FROM experiment WHERE name = :name"), {"name": name}).one()
        for row in sql.execute(text(STATEMENTS[read]), {"experiment": experiment}):
            print(*row, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
