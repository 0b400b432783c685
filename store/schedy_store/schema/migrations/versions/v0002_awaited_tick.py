"""The last tick of an instance that stopped, which must come before those of the next one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns to `service`."""
    op.add_column("service", sa.Column("awaited_tick", sa.Text(), nullable=True))
    op.add_column("service", sa.Column("awaited_since", sa.DateTime(timezone=True), nullable=True))
