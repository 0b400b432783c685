"""The output and the traceback of attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "attempt_output",
        sa.Column("job_pk", _KEY, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("written", sa.BigInteger(), nullable=False),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_pk"], ["job.pk"], name=op.f("fk_attempt_output_job_pk"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_pk", "attempt", name=op.f("pk_attempt_output")),
    )
