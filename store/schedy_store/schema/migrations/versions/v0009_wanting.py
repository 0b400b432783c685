"""The index of the jobs that want a ticket, with the column that SQLite takes it for."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WANTS_TICKET = sa.text("status = 'QUEUED' AND dispatched_at IS NULL")


def upgrade() -> None:
    """Make the index anew: without `dispatched_at`, SQLite prefers the one of all jobs with a status."""
    op.drop_index("ix_job_wants_ticket", "job")
    op.create_index(
        "ix_job_wants_ticket",
        "job",
        ["experiment_pk", "status", "dispatched_at", "pk"],
        sqlite_where=_WANTS_TICKET,
        postgresql_where=_WANTS_TICKET,
    )
