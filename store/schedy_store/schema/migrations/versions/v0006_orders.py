"""Indexes for the first jobs in an order, for old tickets, and for jobs that were tried again or given back."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_DISPATCHED = "status = 'QUEUED' AND dispatched_at IS NOT NULL"
_ORDER = ["experiment_pk", "source", "name", "number", "text", "job_pk"]


def upgrade() -> None:
    """Replace two indexes by longer ones, and add three."""
    op.drop_index("ix_job_value_order", "job_value")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("job_value", "text", type_=sa.String(64, collation="C"))
    op.create_index("ix_job_value_order", "job_value", _ORDER)
    op.drop_index("ix_job_experiment_pk_status", "job")
    op.create_index("ix_job_experiment_pk_status_pk", "job", ["experiment_pk", "status", "pk"])
    _create_partial("ix_job_dispatched", ["experiment_pk", "status", "dispatched_at"], _DISPATCHED)
    _create_partial("ix_job_tried_again", ["experiment_pk", "attempt"], "attempt > 1")
    _create_partial("ix_job_given_back", ["releases"], "releases > 1")


def _create_partial(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "job", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
