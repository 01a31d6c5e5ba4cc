"""What the link database knows of what came out: instances, releases and the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safelight.errors import IntegrityError
from safelight.link import audit, extracts, results
from safelight.link.archive_rows import ArchiveRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.engine import Connection

    from safelight.link.audit import AuditEvent
    from safelight.link.rows import ReleaseRow
    from safelight.model import InstanceResult

_PAGE: int = 500


class ResultRows(ArchiveRows):
    """Rows about instances, releases and audited events. Every method is one transaction, or a series of them."""

    # -- instances

    def record_instances(self, request_id: int, instances: Iterable[InstanceResult]) -> None:
        """Replace this request's instance rows."""
        with self._write() as connection:
            results.record_instances(connection, request_id, instances)

    def instances(self, request_id: int) -> list[InstanceResult]:
        """Return this request's instance rows."""
        with self._read() as connection:
            return results.instances(connection, request_id)

    # -- releases

    def record_release(self, project: str, release_id: str, manifest_sha256: str, requests: Sequence[int]) -> None:
        """Enter a release. Safe to repeat; raises IntegrityError for another manifest under the same id."""
        with self._write() as connection:
            found = self._known_project(connection, project)
            results.record_release(connection, found, release_id, manifest_sha256, requests, now=self._clock())

    def releases(self, project: str) -> list[ReleaseRow]:
        """Return the project's releases, oldest first."""
        with self._read() as connection:
            found = extracts.project_id(connection, project)
            return results.releases(connection, found) if found is not None else []

    def released_requests(self, project: str, release_id: str) -> list[int]:
        """Return the ids of the requests in a release."""
        with self._read() as connection:
            return results.released_requests(connection, self._known_project(connection, project), release_id)

    @staticmethod
    def _known_project(connection: Connection, project: str) -> int:
        found = extracts.project_id(connection, project)
        if found is None:
            raise IntegrityError(f"The link database knows no project '{project}'.", remedy="Ingest its cohort first.")
        return found

    # -- audit

    def audit(self, event: str, actor: str, **details: str | int) -> None:
        """Append an event to the audit trail: opaque ids, counts and pseudonyms, never an identifier."""
        with self._write() as connection:
            audit.add(connection, event, actor, details, now=self._clock())

    def audit_events(self) -> Iterator[AuditEvent]:
        """Yield the audit trail, oldest first. Memory: a page."""
        number = 0
        while True:
            with self._read() as connection:
                events = audit.page(connection, after=number, size=_PAGE)
            if not events:
                return
            yield from events
            number = events[-1].number

    def audit_head(self) -> tuple[int, str]:
        """Return number and hash of the last audit entry, to be written down where this database can't change it."""
        with self._read() as connection:
            return audit.head(connection)

    def verify_audit(self, *, expected_head: tuple[int, str] | None = None) -> int:
        """Check the chain of the audit trail and return its length. Raises IntegrityError at the first broken entry."""
        with self._read() as connection:
            return audit.verify(connection, expected_head=expected_head)
