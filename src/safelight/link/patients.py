"""What the hospital knows about the patients of a project, and who of them was withdrawn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select

from safelight.link import schema
from safelight.link.batches import in_batches
from safelight.link.extracts import insert
from safelight.model import KnownIdentifiers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

_P: Final = schema.patient
_NOT_DIGITS: Final = re.compile(r"[\s-]")


def put(connection: Connection, project: int, patients: Iterable[KnownIdentifiers], *, now: datetime) -> int:
    """Enter or replace patient records; those of withdrawn patients are not kept. Returns how many were stored."""
    out = withdrawn(connection, project)
    stored = 0
    for batch in in_batches(patients, 500):
        # The last one wins, also within a batch, where a second row for a key would be an error.
        rows = {
            item.mrn.strip(): {
                "project_id": project,
                "mrn": item.mrn.strip(),
                "nhs_number": _NOT_DIGITS.sub("", item.nhs_number),
                "record": item.model_dump_json(),
                "updated_at": now,
            }
            for item in batch
            if item.mrn.strip() and item.mrn.strip() not in out
        }
        if not rows:
            continue
        statement = insert(connection, _P)
        new = {name: statement.excluded[name] for name in ("nhs_number", "record", "updated_at")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=[_P.c.project_id, _P.c.mrn], set_=new), list(rows.values())
        )
        stored += len(rows)
    return stored


def get(connection: Connection, project: int, mrn: str) -> KnownIdentifiers | None:
    """Return one patient's record, or None."""
    text = connection.scalar(select(_P.c.record).where(_P.c.project_id == project, _P.c.mrn == mrn.strip()))
    return KnownIdentifiers.model_validate_json(text) if text else None


def page(connection: Connection, project: int, *, after: int, size: int) -> list[tuple[int, KnownIdentifiers]]:
    """Return the next patients of a project, each with its place."""
    rows = connection.execute(
        select(_P.c.id, _P.c.record).where(_P.c.project_id == project, _P.c.id > after).order_by(_P.c.id).limit(size)
    )
    return [(row.id, KnownIdentifiers.model_validate_json(row.record)) for row in rows]


def forget(connection: Connection, project: int, mrns: Iterable[str]) -> None:
    """Delete the records of patients who may not be used: what is not needed is not held."""
    for batch in in_batches(mrns):
        connection.execute(delete(_P).where(_P.c.project_id == project, _P.c.mrn.in_(batch)))


def withdrawn(connection: Connection, project: int) -> set[str]:
    """Return the medical record numbers of withdrawn patients; there are few."""
    table = schema.withdrawal
    return set(connection.scalars(select(table.c.mrn).where(table.c.project_id == project)))


def withdraw(connection: Connection, project: int, mrn: str, *, now: datetime) -> None:
    """Remember that this patient was withdrawn, and forget the record."""
    table = schema.withdrawal
    connection.execute(
        insert(connection, table)
        .values(project_id=project, mrn=mrn, withdrawn_at=now)
        .on_conflict_do_nothing(index_elements=[table.c.project_id, table.c.mrn])
    )
    forget(connection, project, [mrn])
