"""The audit trail: who asked for what, when. Each row's hash covers the row before it, so that a change shows.

A chain shows a change in its middle. That rows were cut off its end shows only against a head (number and hash) that was
written down elsewhere, such as a release manifest: see ``head``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, text

from safelight.errors import IntegrityError
from safelight.link import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection

_A: Final = schema.audit_event
#: What the first row has before it.
GENESIS: Final = "0" * 64


def row_hash(number: int, at: datetime, event: str, actor: str, details: str, previous: str) -> str:
    """Return SHA-256 over the previous hash and the row's canonical content, in hexadecimal."""
    content = [previous, number, at.astimezone(UTC).isoformat(timespec="microseconds"), event, actor, details]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")).hexdigest()


def add(connection: Connection, event: str, actor: str, details: Mapping[str, str | int], *, now: datetime) -> None:
    """Append one event. Details hold opaque ids, counts and pseudonyms, never an identifier."""
    if connection.dialect.name == "postgresql":
        # Two writers would both follow the same last row; readers are not held up.
        connection.execute(text("LOCK TABLE audit_event IN EXCLUSIVE MODE"))
    number, previous = head(connection)
    content = json.dumps(dict(details), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    connection.execute(
        insert(_A).values(
            number=number + 1,
            at=now,
            event=event,
            actor=actor,
            details=content,
            previous_hash=previous,
            hash=row_hash(number + 1, now, event, actor, content, previous),
        )
    )


def head(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the last row; 0 and the genesis hash when there is none."""
    row = connection.execute(select(_A.c.number, _A.c.hash).order_by(_A.c.number.desc()).limit(1)).one_or_none()
    return (row.number, row.hash) if row else (0, GENESIS)


@dataclass(frozen=True)
class AuditEvent:
    """One entry of the audit trail: opaque ids, counts, pseudonyms, and who did it."""

    number: int
    at: datetime
    event: str
    actor: str
    details: dict[str, str | int]


def page(connection: Connection, *, after: int, size: int) -> list[AuditEvent]:
    """Return the next events after a number, oldest first."""
    rows = connection.execute(select(_A).where(_A.c.number > after).order_by(_A.c.number).limit(size)).all()
    return [AuditEvent(row.number, row.at, row.event, row.actor, json.loads(row.details)) for row in rows]


def verify(connection: Connection, *, expected_head: tuple[int, str] | None = None) -> int:
    """Check every row against the one before it. Returns how many there are. Memory is flat.

    Args:
        connection: inside a transaction.
        expected_head: number and hash that were written down earlier; the chain must still pass through them.

    Raises:
        IntegrityError: with the number of the first row that is wrong or missing.
    """
    count, previous = 0, GENESIS
    while rows := connection.execute(select(_A).where(_A.c.number > count).order_by(_A.c.number).limit(1000)).all():
        for row in rows:
            if not _fits(row, count + 1, previous):
                raise _broken(count + 1)
            count, previous = row.number, row.hash
            if expected_head is not None and count == expected_head[0] and previous != expected_head[1]:
                raise _broken(count)
    if expected_head is not None and count < expected_head[0]:
        raise _broken(count + 1)
    # Rows numbered 0 or less are outside the walk above.
    if connection.scalar(select(_A.c.number).where(_A.c.number < 1).limit(1)) is not None:
        raise _broken(0)
    return count


def _fits(row: Any, number: int, previous: str) -> bool:  # noqa: ANN401  a row
    return bool(
        row.number == number
        and row.previous_hash == previous
        and row.hash == row_hash(row.number, row.at, row.event, row.actor, row.details, previous)
    )


def _broken(number: int) -> IntegrityError:
    return IntegrityError(
        f"The audit trail is broken at entry {number}: it was changed or removed.",
        remedy="Keep the database as it is, compare it with the back-up and tell information governance.",
    )
