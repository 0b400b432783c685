"""Experiments of finished jobs, written into a store by SQL: a million take a minute."""

import json
import uuid
from datetime import UTC, datetime

from sqlalchemy import insert, select, text

from schedy.search.definition import Definition, Objective
from schedy_store.lifecycle.job_counts import count_jobs
from schedy_store.schema.engine import Store, Transaction
from schedy_store.schema.tables import Experiment

_OBJECTIVE = Objective(result="result", direction="minimize")
_NUMBERS = "WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < :last)"
_JOBS = """
INSERT INTO job (experiment_pk, job_id, status, quality, hyperparameters, results, initial_quality, initial_results,
    previous_results, created_at, started_at, finished_at, worker, attempt, attempts_forgiven, sequence, ticket,
    revision, ended, search_state, releases)
SELECT :experiment, {job_id}, 'DONE', i / 7.0, '{{"x": ' || i || ', "y": ' || (i / 8.0) || '}}',
    '{{"result": ' || (CAST(i AS BIGINT) * i) || '}}', 0.0, '{{}}', '{{}}', :now, :now, :now, 'node:1234 train.py', 1,
    0, 1, 1, 1, i, '{{}}', 0
FROM numbers
"""
_VALUES = """
INSERT INTO job_value (job_pk, source, name, experiment_pk, number)
SELECT pk, '{source}', '{name}', experiment_pk, {number} FROM job WHERE experiment_pk = :experiment
"""
_VALUE_OF_JOB = (
    ("hyperparameter", "x", "quality * 7.0"),
    ("hyperparameter", "y", "quality * 7.0 / 8.0"),
    ("result", "result", "quality * 7.0 * quality * 7.0"),
)
_EVENTS = """
INSERT INTO event (experiment_pk, job_id, at, kind, worker, attempt, detail, times)
SELECT experiment_pk, job_id, :now, 'done', worker, 1, '', 1 FROM job WHERE experiment_pk = :experiment
"""


def fill(store_url: str, experiments: dict[str, int]) -> None:
    """Give a store its tables and, for each name, an experiment of so many DONE jobs with their values and events."""
    store = Store.open(store_url)
    store.migrate(from_older=False)
    with store.transaction() as transaction:
        for name, jobs in experiments.items():
            _fill_one(transaction, name, jobs)
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as sql:
        sql.execute(text("ANALYZE"))
    store.close()


def _fill_one(transaction: Transaction, name: str, jobs: int) -> None:
    sql = transaction.sql
    now = datetime.now(UTC).replace(tzinfo=None) if sql.dialect.name == "sqlite" else datetime.now(UTC)
    row = {
        "uid": uuid.uuid4().hex,
        "name": name,
        "scheduler": "manual",
        "settings": json.dumps(Definition(objectives=[_OBJECTIVE]).as_json()),
        "objectives": json.dumps([_OBJECTIVE.result]),
        "status": "DONE",
        "paused": False,
        "max_attempts": 3,
        "created_at": datetime.now(UTC),
        "timed_from": datetime.now(UTC),
    }
    sql.execute(insert(Experiment).values(row))
    experiment = sql.scalars(select(Experiment.pk).where(Experiment.name == name)).one()
    job_id = "printf('J%05x', i)" if sql.dialect.name == "sqlite" else "'J' || lpad(to_hex(i), 5, '0')"
    values = {"experiment": experiment, "now": now, "last": jobs - 1}
    sql.execute(text(_NUMBERS + _JOBS.format(job_id=job_id)), values)
    count_jobs(transaction, experiment, {"DONE": jobs})
    for source, named, number in _VALUE_OF_JOB:
        sql.execute(text(_VALUES.format(source=source, name=named, number=number)), values)
    sql.execute(text(_EVENTS), values)
