"""A counter of what the service changes."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("service", sa.Column("changes", sa.BigInteger(), nullable=False, server_default="0"))
