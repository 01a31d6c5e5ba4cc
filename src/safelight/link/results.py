"""What became of instances, and releases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, insert, select

from safelight.errors import IntegrityError
from safelight.link import schema
from safelight.link.batches import in_batches
from safelight.link.extracts import insert as insert_unless_known
from safelight.link.rows import ReleaseRow
from safelight.model import InstanceOutcome, InstanceResult, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

_COLUMNS: Final = (
    "pseudo_sop_instance_uid",
    "pseudo_series_instance_uid",
    "pseudo_study_instance_uid",
    "path",
    "kept",
    "changed",
    "removed",
    "bytes_in",
    "bytes_out",
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
)


def record_instances(connection: Connection, request_id: int, results: Iterable[InstanceResult]) -> None:
    """Replace the instance rows of a request."""
    table = schema.instance
    connection.execute(delete(table).where(table.c.request_id == request_id))
    for batch in in_batches(results):
        connection.execute(
            insert(table),
            [
                {
                    "request_id": request_id,
                    "outcome": result.outcome.value,
                    "reason": result.reason.value if result.reason else None,
                    **{name: getattr(result, name) for name in _COLUMNS},
                }
                for result in batch
            ],
        )


def instances(connection: Connection, request_id: int) -> list[InstanceResult]:
    """Return the instance rows of a request, in the order in which they were recorded."""
    table = schema.instance
    return [
        InstanceResult(
            InstanceOutcome(row.outcome),
            Reason(row.reason) if row.reason else None,
            **{name: getattr(row, name) for name in _COLUMNS},
        )
        for row in connection.execute(select(table).where(table.c.request_id == request_id).order_by(table.c.id))
    ]


def record_release(
    connection: Connection, project: int, release_id: str, manifest_sha256: str, requests: Sequence[int], *, now: datetime
) -> None:
    """Enter a release; again with the same manifest changes nothing. Raises IntegrityError for another manifest."""
    table = schema.release
    connection.execute(
        insert_unless_known(connection, table)
        .values(project_id=project, release_id=release_id, manifest_sha256=manifest_sha256, recorded_at=now)
        .on_conflict_do_nothing(index_elements=[table.c.project_id, table.c.release_id])
    )
    row = connection.execute(
        select(table.c.id, table.c.manifest_sha256).where(table.c.project_id == project, table.c.release_id == release_id)
    ).one()
    if row.manifest_sha256 != manifest_sha256:
        raise IntegrityError(
            f"Release '{release_id}' is recorded with another manifest.",
            remedy="A release never changes: make a new one.",
        )
    for batch in in_batches(requests):
        connection.execute(
            insert_unless_known(connection, schema.release_request).on_conflict_do_nothing(),
            [{"release_id": row.id, "request_id": id_} for id_ in batch],
        )


def releases(connection: Connection, project: int) -> list[ReleaseRow]:
    """Return a project's releases, oldest first."""
    table, members = schema.release, schema.release_request
    rows = connection.execute(
        select(table.c.release_id, table.c.manifest_sha256, table.c.recorded_at, func.count(members.c.request_id))
        .outerjoin(members, members.c.release_id == table.c.id)
        .where(table.c.project_id == project)
        .group_by(table.c.id, table.c.release_id, table.c.manifest_sha256, table.c.recorded_at)
        .order_by(table.c.id)
    )
    return [ReleaseRow(release_id, sha256, at, count) for release_id, sha256, at, count in rows]


def released_requests(connection: Connection, project: int, release_id: str) -> list[int]:
    """Return the ids of the requests in a release."""
    table, members = schema.release, schema.release_request
    return list(
        connection.scalars(
            select(members.c.request_id)
            .join(table, table.c.id == members.c.release_id)
            .where(table.c.project_id == project, table.c.release_id == release_id)
            .order_by(members.c.request_id)
        )
    )
