"""How fast each archive is asked, and why: every change is a row, and the last one counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import select

from safelight.link import schema
from safelight.link.extracts import insert as insert_unless_known
from safelight.link.rows import ArchivePace

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection


def newest(connection: Connection, archive: str, count: int) -> list[ArchivePace]:
    """Return the last changes, the newest first."""
    table = schema.archive_pace
    rows = connection.execute(select(table).where(table.c.archive == archive).order_by(table.c.number.desc()).limit(count))
    return [ArchivePace(row.number, row.share, row.cause, json.loads(row.usual), row.at) for row in rows]


def add(connection: Connection, archive: str, pace: ArchivePace, *, number: int, now: datetime) -> bool:
    """Enter a change under its number; False when another worker has taken the number."""
    table = schema.archive_pace
    usual = json.dumps(dict(sorted(pace.usual.items())))
    entered = connection.scalars(
        insert_unless_known(connection, table)
        .values(archive=archive, number=number, share=pace.share, cause=pace.cause, usual=usual, at=now)
        .on_conflict_do_nothing(index_elements=[table.c.archive, table.c.number])
        .returning(table.c.number)
    )
    return entered.one_or_none() is not None
