"""Names in the store, for the completion of words in a shell: read with few imports, since somebody waits for them.

SQLite is read without SQLAlchemy, whose import takes longer than all the rest. The statements are for both databases.
"""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from schedy.settings import Settings
from schedy.wire.values import shown_name

MOST_WORDS = 100
_SQLITE = "sqlite:///"
_WAIT_SECONDS = 0.2
_EXPERIMENTS = "SELECT name FROM experiment ORDER BY pk DESC LIMIT 10000"
_NEWEST_JOBS = """
    SELECT job_id FROM job WHERE experiment_pk = (SELECT pk FROM experiment WHERE name = :experiment)
    ORDER BY pk DESC LIMIT :most
"""
_JOBS = """
    SELECT job_id FROM job WHERE experiment_pk = (SELECT pk FROM experiment WHERE name = :experiment)
    AND job_id BETWEEN :prefix AND :last LIMIT :most
"""
_FIELDS = """
    SELECT DISTINCT name FROM job_value WHERE job_pk IN (
        SELECT pk FROM job WHERE experiment_pk = (SELECT pk FROM experiment WHERE name = :experiment)
        ORDER BY pk DESC LIMIT :most)
"""


def experiment_names(settings: Settings, prefix: str) -> list[str]:
    """Return names of experiments, newest first. Raises exceptions of many kinds, as the other functions here do."""
    return [name for name in _words(settings, _EXPERIMENTS, {}) if name.startswith(prefix)][:MOST_WORDS]


def job_ids(settings: Settings, prefix: str, experiment: str) -> list[str]:
    """Return ids of an experiment's jobs that begin with `prefix`; without one the newest."""
    values = {"experiment": experiment, "most": MOST_WORDS}
    if not prefix:
        return _words(settings, _NEWEST_JOBS, values)
    found = _words(settings, _JOBS, {**values, "prefix": prefix, "last": f"{prefix}zzzzzz"})
    return [job_id for job_id in found if job_id.startswith(prefix)]


def value_names(settings: Settings, experiment: str) -> list[str]:
    """Return the names of hyperparameters and results of an experiment's newest jobs."""
    return sorted(map(shown_name, _words(settings, _FIELDS, {"experiment": experiment, "most": MOST_WORDS})))


def _words(settings: Settings, statement: str, values: Mapping[str, Any]) -> list[str]:
    url = settings.effective_store_url
    if url.startswith(_SQLITE):
        path = Path(unquote(url.removeprefix(_SQLITE))).expanduser().absolute()
        address = f"file:{quote(str(path))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS)) as database:
            return [row[0] for row in database.execute(statement, values)]
    from sqlalchemy import text  # noqa: PLC0415 - slow to import

    from schedy_store.schema.engine import Store  # noqa: PLC0415

    with contextlib.closing(Store.open(url, read_only=True)) as store, store.transaction() as transaction:
        return [row[0] for row in transaction.sql.execute(text(statement), values)]
