"""Jobs that were claimed ahead: the token of the job that its worker has to end before."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; whatever runs was claimed by a worker that names none."""
    op.add_column("job", sa.Column("behind", sa.String(32), nullable=True))
