"""The circuit breaker of an archive: what is in trouble is left alone, by all workers at once.

Kept in the link database, so that every worker on every machine sees it. A failed study adds one to a score and a good one
takes one off, so the circuit opens when more studies fail than succeed for a while. Open, nothing is sent. After a rest one
worker tries a C-ECHO and one study; then it closes, or opens again. Stopped is the manager's switch, which only a person
turns back. Workers may read and write at the same moment; then a failure may go uncounted, which delays and breaks nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from safelight.archive.query import Archive
from safelight.errors import ArchiveClosed, DatabaseUnavailable, StorageFull, TransientError
from safelight.link import ArchiveHealth, LinkDatabase

_CLOSED: Final = ArchiveHealth()


class Circuit:
    """The circuit of one archive.

    Args:
        archive: which; its settings say after how many failures it opens, and for how long.
        database: link database.
        clock: aware UTC.
    """

    def __init__(self, archive: Archive, database: LinkDatabase, clock: Callable[[], datetime]) -> None:
        self._archive = archive
        self._database = database
        self._clock = clock

    def enter(self) -> None:
        """Let one study through. One read of the database; more only when something is wrong.

        Raises:
            ArchiveClosed: the circuit is open, or the archive is stopped; the message says until when or by whom.
            TransientError, ArchiveMisconfigured: the C-ECHO that should have closed the circuit failed.
        """
        name, health = self._archive.name, self._database.archive_health(self._archive.name)
        if health.state == "closed":
            return
        if health.state == "stopped":
            raise ArchiveClosed(
                f"Archive '{name}' is stopped by its manager{f': {health.cause}' if health.cause else ''}.",
                remedy="It goes on with 'safelight archive resume'.",
            )
        until = (health.opened_at or self._clock()) + timedelta(seconds=self._archive.use.rest_seconds)
        if self._clock() < until:
            raise ArchiveClosed(
                f"Archive '{name}' failed too often ({health.cause or 'no cause given'}).",
                remedy=f"It rests until {until:%H:%M:%S} UTC.",
                until=until,
            )
        # Whoever comes now tries; the others wait for one more rest, also when the one who tries is killed.
        self._write(ArchiveHealth("half_open", health.failures, self._clock(), health.cause))
        try:
            self._archive.echo()
        except TransientError as error:
            self.failed(error)
            raise

    def succeeded(self) -> None:
        """Note that a study went well, also when the answer was that it does not exist."""
        health = self._database.archive_health(self._archive.name)
        # A study that was on its way when the circuit opened proves nothing.
        if health.state == "half_open":
            self._write(_CLOSED)
        elif health.state == "closed" and health.failures:
            self._write(ArchiveHealth("closed", health.failures - 1, None, health.cause))

    def failed(self, error: Exception) -> None:
        """Note that a study failed. Errors that say nothing about the archive's health are not counted."""
        if not isinstance(error, TransientError) or isinstance(error, ArchiveClosed | StorageFull | DatabaseUnavailable):
            return
        health = self._database.archive_health(self._archive.name)
        failures = health.failures + 1
        if health.state == "half_open" or (health.state == "closed" and failures >= self._archive.use.open_after_failures):
            self._write(ArchiveHealth("open", failures, self._clock(), error.code))
        elif health.state == "closed":
            self._write(ArchiveHealth("closed", failures, None, error.code))

    def _write(self, health: ArchiveHealth) -> None:
        # The manager's switch is never turned back by a worker that read before it was set.
        if self._database.archive_health(self._archive.name).state != "stopped":
            self._database.set_archive_health(self._archive.name, health)


def stop(database: LinkDatabase, archive: str, *, cause: str, clock: Callable[[], datetime]) -> None:
    """Send nothing more to an archive, in any project, until ``resume``."""
    database.set_archive_health(archive, ArchiveHealth("stopped", 0, clock(), cause))


def resume(database: LinkDatabase, archive: str) -> None:
    """Let an archive be asked again."""
    database.set_archive_health(archive, _CLOSED)
