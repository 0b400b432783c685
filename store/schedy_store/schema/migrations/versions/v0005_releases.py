"""The number of times in a row that a job was given back."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column to `job`."""
    op.add_column("job", sa.Column("releases", sa.Integer(), nullable=False, server_default="0"))
