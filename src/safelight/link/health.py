"""The circuit breaker of each archive, and how its last studies went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, delete, func, insert, select

from safelight.link import schema
from safelight.link.extracts import insert as insert_unless_known
from safelight.link.rows import ArchiveHealth

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection


def of(connection: Connection, archive: str, *, lock: bool = False) -> ArchiveHealth:
    """Return an archive's health; one never heard of is closed, which lets requests through."""
    table = schema.archive_health
    query = select(table).where(table.c.archive == archive)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return ArchiveHealth(row.state, row.failures, row.opened_at, row.cause) if row else ArchiveHealth()


def write(connection: Connection, archive: str, value: ArchiveHealth, *, now: datetime) -> None:
    """Write an archive's health down for all workers. Its studies are counted anew from here."""
    table, studies = schema.archive_health, schema.archive_study
    values = {
        "state": value.state,
        "failures": value.failures,
        "opened_at": value.opened_at,
        "cause": value.cause,
        "updated_at": now,
    }
    connection.execute(
        insert_unless_known(connection, table)
        .values(archive=archive, **values)
        .on_conflict_do_update(index_elements=[table.c.archive], set_=values)
    )
    connection.execute(delete(studies).where(studies.c.archive == archive))


def change(connection: Connection, archive: str, *, before: ArchiveHealth, to: ArchiveHealth, now: datetime) -> bool:
    """Write an archive's health down if it is still what it was; False when another worker was first."""
    table = schema.archive_health
    # There must be a row to lock.
    connection.execute(
        insert_unless_known(connection, table)
        .values(archive=archive, state=ArchiveHealth().state, failures=0, opened_at=None, cause="", updated_at=now)
        .on_conflict_do_nothing(index_elements=[table.c.archive])
    )
    if of(connection, archive, lock=True) != before:
        return False
    write(connection, archive, to, now=now)
    return True


def note_study(connection: Connection, archive: str, *, failed: bool, since: datetime, now: datetime) -> tuple[int, int]:
    """Note how one study went. Returns how many failed since then, and how many there were; older ones are forgotten."""
    table = schema.archive_study
    # Rows that another worker is forgetting are passed by: two that wait for each other would be an error.
    old = select(table.c.id).where(table.c.archive == archive, table.c.at < since).with_for_update(skip_locked=True)
    connection.execute(delete(table).where(table.c.id.in_(old)))
    connection.execute(insert(table).values(archive=archive, failed=failed, at=now))
    count = select(func.coalesce(func.sum(case((table.c.failed, 1), else_=0)), 0), func.count())
    failures, studies = connection.execute(count.where(table.c.archive == archive, table.c.at >= since)).one()
    return int(failures), int(studies)
