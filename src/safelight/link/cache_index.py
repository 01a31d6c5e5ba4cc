"""The index of the raw cache: which instances of which studies are on disk, and in what order they were used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, insert, select, update

from safelight.link import schema
from safelight.link.batches import in_batches
from safelight.link.extracts import insert as insert_or_update
from safelight.link.rows import CachedInstance, CachedStudy
from safelight.model import RequestState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row
    from sqlalchemy.sql import ColumnElement

_S: Final = schema.cached_study
_I: Final = schema.cached_instance
#: A request in one of these still reads the originals; once it is verified it never does again.
_NEEDS_ORIGINALS: Final = (RequestState.LOCATED, RequestState.RETRIEVED, RequestState.DEIDENTIFIED)


def _next_number() -> ColumnElement[int]:
    other = _S.alias("other")
    return select(func.coalesce(func.max(other.c.used_number), 0) + 1).scalar_subquery()


def put(
    connection: Connection,
    study_uid: str,
    archive: str,
    instances: Iterable[CachedInstance],
    *,
    complete: bool,
    now: datetime,
) -> None:
    """Enter a study with exactly these instances, in place of what was known of it."""
    values: dict[str, Any] = {"archive": archive, "complete": complete, "last_used": now, "used_number": _next_number()}
    study_id = connection.execute(
        insert_or_update(connection, _S)
        .values(study_uid=study_uid, **values)
        .on_conflict_do_update(index_elements=[_S.c.study_uid], set_=values)
        .returning(_S.c.id)
    ).scalar_one()
    connection.execute(delete(_I).where(_I.c.cached_study_id == study_id))
    size = 0
    for batch in in_batches(instances):
        size += sum(item.size for item in batch)
        connection.execute(
            insert(_I),
            [
                {
                    "cached_study_id": study_id,
                    "series_uid": item.series_uid,
                    "sop_uid": item.sop_uid,
                    "sop_class_uid": item.sop_class_uid,
                    "path": item.path,
                    "size": item.size,
                }
                for item in batch
            ],
        )
    connection.execute(update(_S).where(_S.c.id == study_id).values(bytes=size))


def get(connection: Connection, study_uid: str) -> CachedStudy | None:
    """Return a study, or None."""
    row = connection.execute(select(_S).where(_S.c.study_uid == study_uid)).one_or_none()
    return _with_instances(connection, [row])[0] if row else None


def size(connection: Connection) -> int:
    """Return the bytes of all cached studies."""
    return int(connection.scalar(select(func.coalesce(func.sum(_S.c.bytes), 0))) or 0)


def sizes(connection: Connection, *, after: tuple[int, int], size: int) -> list[tuple[tuple[int, int], tuple[str, int]]]:
    """Return UID and bytes of the next studies by use, oldest first, each with its place in that order."""
    rows = connection.execute(
        select(_S.c.used_number, _S.c.id, _S.c.study_uid, _S.c.bytes)
        .where(_follows(after))
        .order_by(_S.c.used_number, _S.c.id)
        .limit(size)
    )
    return [((number, id_), (study_uid, bytes_)) for number, id_, study_uid, bytes_ in rows]


def _follows(after: tuple[int, int]) -> ColumnElement[bool]:
    return (_S.c.used_number > after[0]) | ((_S.c.used_number == after[0]) & (_S.c.id > after[1]))


def page(connection: Connection, *, after: tuple[int, int], size: int) -> list[tuple[tuple[int, int], CachedStudy]]:
    """Return the next studies by use, oldest first, each with its place in that order."""
    rows = connection.execute(select(_S).where(_follows(after)).order_by(_S.c.used_number, _S.c.id).limit(size)).all()
    return [((row.used_number, row.id), study) for row, study in zip(rows, _with_instances(connection, rows), strict=True)]


def _with_instances(connection: Connection, rows: Sequence[Row[Any]]) -> list[CachedStudy]:
    found: dict[int, list[CachedInstance]] = {row.id: [] for row in rows}
    query = select(_I).where(_I.c.cached_study_id.in_(list(found))).order_by(_I.c.id)
    for item in connection.execute(query):
        found[item.cached_study_id].append(
            CachedInstance(item.series_uid, item.sop_uid, item.sop_class_uid, item.path, item.size)
        )
    return [CachedStudy(row.study_uid, row.archive, row.complete, tuple(found[row.id]), row.last_used) for row in rows]


def touch(connection: Connection, study_uid: str, now: datetime) -> None:
    """Mark a study as the most recently used."""
    connection.execute(update(_S).where(_S.c.study_uid == study_uid).values(last_used=now, used_number=_next_number()))


def drop(connection: Connection, study_uid: str) -> None:
    """Forget a study; one that is not there is no error."""
    study = select(_S.c.id).where(_S.c.study_uid == study_uid).scalar_subquery()
    connection.execute(delete(_I).where(_I.c.cached_study_id == study))
    connection.execute(delete(_S).where(_S.c.study_uid == study_uid))


def pins(connection: Connection, *, only: str | None = None) -> set[str]:
    """Return the studies that a request of any project still needs; also those that are there before they are asked for.

    Args:
        connection: to the database.
        only: look at this study alone.
    """
    table = schema.request
    states = [state.value for state in _NEEDS_ORIGINALS]
    located = select(table.c.located_study_uid).where(table.c.state.in_(states), table.c.located_study_uid != "")
    pushed = (
        select(_S.c.study_uid)
        .join(table, table.c.study_uid == _S.c.study_uid)
        .where(table.c.state == RequestState.REQUESTED.value)
    )
    if only is not None:
        located, pushed = located.where(table.c.located_study_uid == only), pushed.where(_S.c.study_uid == only)
    return {*connection.scalars(located.distinct()), *connection.scalars(pushed.distinct())}
