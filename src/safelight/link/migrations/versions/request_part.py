"""What tells requests for the same series apart: studies that are pushed may come in many parts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "request_part"
down_revision = "archive_study"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("request", sa.Column("part", sa.String(length=64), server_default="", nullable=False))
