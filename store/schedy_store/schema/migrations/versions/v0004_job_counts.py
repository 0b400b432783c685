"""Counts the jobs of each status; finds the last that crashed, those of a worker, and the events of an experiment."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CRASHED = sa.text("status = 'CRASHED'")
_RUNNING = sa.text("status = 'RUNNING'")
_COUNT = (
    "INSERT INTO job_count (experiment_pk, status, jobs)"
    " SELECT experiment_pk, status, count(*) FROM job GROUP BY experiment_pk, status"
)


def upgrade() -> None:
    """Add the table of counts, filled, and indexes."""
    op.create_table(
        "job_count",
        sa.Column("experiment_pk", _KEY, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "status IN ('QUEUED', 'RUNNING', 'DONE', 'CRASHED', 'PRUNED')", name=op.f("ck_job_count_status")
        ),
        sa.ForeignKeyConstraint(
            ["experiment_pk"], ["experiment.pk"], name=op.f("fk_job_count_experiment_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("experiment_pk", "status", name=op.f("pk_job_count")),
    )
    op.execute(_COUNT)
    op.create_index(
        "ix_job_crashed", "job", ["experiment_pk", "ended"], sqlite_where=_CRASHED, postgresql_where=_CRASHED
    )
    op.create_index("ix_job_held", "job", ["worker_pk"], sqlite_where=_RUNNING, postgresql_where=_RUNNING)
    op.create_index("ix_event_experiment_pk_pk", "event", ["experiment_pk", "pk"])
