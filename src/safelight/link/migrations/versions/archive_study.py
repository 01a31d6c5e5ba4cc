"""How the last studies of each archive went: its circuit opens on the share that failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from safelight.link.schema import UtcDateTime

revision = "archive_study"
down_revision = "removal"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "archive_study",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("archive", sa.String(length=255), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive_study")),
    )
    op.create_index(op.f("ix_archive_study_archive_at"), "archive_study", ["archive", "at"])
