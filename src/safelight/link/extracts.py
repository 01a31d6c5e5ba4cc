"""Projects, their extracts, the rows that never became a request, and the opt-out answers that were asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from safelight.errors import IntegrityError
from safelight.link import schema
from safelight.link.batches import in_batches

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from typing import Any

    from sqlalchemy.engine import Connection

    from safelight.link.rows import SetAsideRow


def insert(connection: Connection, table: Table) -> Any:  # noqa: ANN401  two classes with the same methods
    """Return an INSERT that knows ON CONFLICT, in the words of this database."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def project_id(connection: Connection, slug: str) -> int | None:
    """Return the id of a project that has ever registered an extract."""
    return connection.scalar(select(schema.project.c.id).where(schema.project.c.slug == slug))


def make_project(connection: Connection, slug: str, now: datetime) -> int:
    """Return the id of a project, which is entered when it is new."""
    connection.execute(
        insert(connection, schema.project)
        .values(slug=slug, created_at=now)
        .on_conflict_do_nothing(index_elements=[schema.project.c.slug])
    )
    return int(connection.execute(select(schema.project.c.id).where(schema.project.c.slug == slug)).scalar_one())


def register(
    connection: Connection, slug: str, *, name: str, sha256: str, generated: datetime, source: str, now: datetime
) -> int:
    """Enter an extract and return its id; the same contents again give the same id."""
    project = make_project(connection, slug, now)
    table = schema.extract
    connection.execute(
        insert(connection, table)
        .values(project_id=project, name=name, sha256=sha256, generated_at=generated, source=source, registered_at=now)
        .on_conflict_do_nothing(index_elements=[table.c.project_id, table.c.sha256])
    )
    found = select(table.c.id).where(table.c.project_id == project, table.c.sha256 == sha256)
    return int(connection.execute(found).scalar_one())


def project_of(connection: Connection, extract_id: int) -> tuple[int, str]:
    """Return id and slug of the project that an extract belongs to."""
    row = connection.execute(
        select(schema.project.c.id, schema.project.c.slug)
        .join(schema.extract, schema.extract.c.project_id == schema.project.c.id)
        .where(schema.extract.c.id == extract_id)
    ).one_or_none()
    if row is None:
        raise IntegrityError(f"There is no extract {extract_id}.", remedy="Register it before its requests.")
    return row.id, row.slug


def digests(connection: Connection, slug: str) -> list[str]:
    """Return the SHA-256 of all extracts of a project, sorted."""
    table = schema.extract
    found = select(table.c.sha256).join(schema.project).where(schema.project.c.slug == slug).order_by(table.c.sha256)
    return list(connection.scalars(found))


def newest(connection: Connection, slug: str) -> datetime | None:
    """Return when the newest extract of a project was generated."""
    query = select(func.max(schema.extract.c.generated_at)).join(schema.project).where(schema.project.c.slug == slug)
    found: datetime | None = connection.scalar(query)
    return found


def record_set_asides(connection: Connection, extract_id: int, rows: Iterable[SetAsideRow]) -> None:
    """Enter rows that were set aside; those known already stay."""
    project_of(connection, extract_id)
    for batch in in_batches(rows):
        connection.execute(
            insert(connection, schema.row_set_aside).on_conflict_do_nothing(),
            [{"extract_id": extract_id, "file": row.file, "line": row.line, "reason": row.reason.value} for row in batch],
        )


def rows_set_aside(connection: Connection, project: int) -> dict[str, int]:
    """Return reason -> rows, over all extracts of a project."""
    table = schema.row_set_aside
    rows = connection.execute(
        select(table.c.reason, func.count())
        .join(schema.extract, schema.extract.c.id == table.c.extract_id)
        .where(schema.extract.c.project_id == project)
        .group_by(table.c.reason)
    )
    return {row[0]: int(row[1]) for row in rows}


def record_opt_out_check(
    connection: Connection,
    extract_id: int,
    *,
    answer_sha256: str,
    answered_at: datetime,
    allowed: int,
    excluded: int,
    now: datetime,
) -> None:
    """Keep the evidence that an extract's patients were looked up in an opt-out answer."""
    project_of(connection, extract_id)
    connection.execute(
        schema.opt_out_check.insert().values(
            extract_id=extract_id,
            answer_sha256=answer_sha256,
            answered_at=answered_at,
            checked_at=now,
            allowed=allowed,
            excluded=excluded,
        )
    )
