"""What commands must not import, because it costs their users time: modules are counted here, not milliseconds."""

import subprocess
import sys

import pytest

READS = "import schedy_cli.commands.best, schedy_cli.commands.list, schedy_cli.commands.show, schedy_store.reads"


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        (
            READS,
            ["sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "alembic", "pika", "starlette", "optuna", "numpy"],
        ),
        ("import schedy_cli.main", ["pydantic", "sqlalchemy", "pika"]),
        ("import schedy", ["sqlalchemy", "click", "alembic"]),
    ],
)
def test_imports_stay_away_from_what_is_slow(statement: str, unwanted: list[str]) -> None:
    found = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert [module for module in unwanted if module in found.stdout.split()] == []
