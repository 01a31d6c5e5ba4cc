"""The search whose only answer a cached study was, so that the same search need not be asked again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "cached_search"
down_revision = "cached_bytes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("cached_study", sa.Column("search_key", sa.String(length=64), server_default="", nullable=False))
    op.create_index(op.f("ix_cached_study_search_key"), "cached_study", ["search_key"])
