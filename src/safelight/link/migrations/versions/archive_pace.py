"""Each archive's pace, shared by all workers, with the cause of each change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from safelight.link.schema import UtcDateTime

revision = "archive_pace"
down_revision = "first_schema"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "archive_pace",
        sa.Column("archive", sa.String(length=255), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("usual", sa.Text(), server_default="", nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("archive", "number", name=op.f("pk_archive_pace")),
    )
