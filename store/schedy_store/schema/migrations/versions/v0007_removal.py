"""Removed experiments, whose rows are deleted afterwards: jobs and events no longer go with their experiment."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = ("job", "event")


def upgrade() -> None:
    """Add the table, and drop two foreign keys."""
    op.create_table(
        "removal",
        sa.Column("experiment_pk", _KEY, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("experiment_pk", name=op.f("pk_removal")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in _TABLES:
            op.drop_constraint(f"fk_{table}_experiment_pk", table)
    else:
        _drop_from_text()


def _drop_from_text() -> None:
    """Drop the constraints as SQLite's manual says (Making Other Kinds Of Table Schema Changes): no row is touched.

    A batch operation would copy every job and event.
    """
    sql = op.get_bind()
    version = sql.exec_driver_sql("PRAGMA schema_version").scalar_one()
    sql.exec_driver_sql("PRAGMA writable_schema = ON")
    for table in _TABLES:
        text = sql.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).scalar_one()
        constraint = rf",\s*CONSTRAINT fk_{table}_experiment_pk FOREIGN KEY[^,]*ON DELETE CASCADE"
        without, found = re.subn(constraint, "", text)
        if found != 1:
            raise RuntimeError(f"The table {table} has no foreign key to its experiment: {text}")
        sql.exec_driver_sql("UPDATE sqlite_master SET sql = ? WHERE name = ?", (without, table))
    sql.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    sql.exec_driver_sql("PRAGMA writable_schema = RESET")
