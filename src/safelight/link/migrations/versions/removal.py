"""What was taken back for each patient who does not take part any more, and who still has some of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from safelight.link.schema import UtcDateTime

revision = "removal"
down_revision = "archive_pace"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "removal",
        sa.Column("transition_id", _ID, autoincrement=False, nullable=False),
        sa.Column("left_at", sa.Text(), server_default="", nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["transition_id"], ["transition.id"], name=op.f("fk_removal_transition_id")),
        sa.PrimaryKeyConstraint("transition_id", name=op.f("pk_removal")),
    )
