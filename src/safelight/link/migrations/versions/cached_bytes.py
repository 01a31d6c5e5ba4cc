"""The size of each cached study, so that asking how full the raw cache is reads a row a study and not one an instance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "cached_bytes"
down_revision = "request_part"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and add up what is there."""
    op.add_column("cached_study", sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "UPDATE cached_study SET bytes = "
        "(SELECT COALESCE(SUM(size), 0) FROM cached_instance WHERE cached_study_id = cached_study.id)"
    )
