"""The circuit breaker of an archive: what is in trouble is left alone, by all workers at once.

Kept in the link database, so that every worker on every machine sees it. How each study went is noted there, and when too
many of those of the last minutes failed the circuit opens: nothing is sent. After a rest one worker tries a C-ECHO and one
study; then it closes, or opens again. Stopped is the manager's switch, which only a person turns back. A change counts only
where nobody else was first, so no two workers try at once, and none undoes the switch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from safelight.archive.query import Archive
from safelight.archive.retrieve import Incomplete
from safelight.errors import ArchiveClosed, DatabaseUnavailable, StorageFull, StudyRejected, TransientError
from safelight.link import ArchiveHealth, LinkDatabase

_CLOSED: Final = ArchiveHealth()


class Circuit:
    """The circuit of one archive, for one study.

    Args:
        archive: which; its settings say how many failures open it, and for how long.
        database: link database.
        clock: aware UTC.
    """

    def __init__(self, archive: Archive, database: LinkDatabase, clock: Callable[[], datetime]) -> None:
        self._archive = archive
        self._database = database
        self._clock = clock
        #: Set while this study is the one that tries whether the archive has recovered.
        self._trial: ArchiveHealth | None = None

    def is_closed(self) -> bool:
        """Tell whether all is well; False: it has rested, and the next study tries it.

        Raises:
            ArchiveClosed: nothing may be sent; the message says until when or by whom.
        """
        return self._look().state == _CLOSED.state

    def enter(self) -> None:
        """Let one study through. One read of the database; more only when something is wrong.

        Raises:
            ArchiveClosed: the circuit is open, or the archive is stopped; the message says until when or by whom.
            TransientError, ArchiveMisconfigured: the C-ECHO that should have closed the circuit failed.
        """
        health = self._look()
        if health.state == _CLOSED.state:
            return
        # Who comes first tries; the others wait for one more rest, also when the one who tries is killed.
        trial = ArchiveHealth("half_open", health.failures, self._clock(), health.cause)
        if not self._change(health, trial):
            raise self._resting(trial)
        self._trial = trial
        try:
            self._archive.echo()
        except TransientError as error:
            self.failed(error)
            raise

    @contextmanager
    def study(self) -> Iterator[None]:
        """Let one study through, and note how it went. An answer that does not serve us is an answer, too.

        Raises:
            ArchiveClosed, TransientError, ArchiveMisconfigured: see ``enter``.
        """
        self.enter()
        try:
            yield
        except (TransientError, Incomplete) as error:
            self.failed(error)
            raise
        except StudyRejected:
            self.succeeded()
            raise
        self.succeeded()

    def _look(self) -> ArchiveHealth:
        health = self._database.archive_health(self._archive.name)
        if health.state == "stopped":
            raise ArchiveClosed(
                f"Archive '{self._archive.name}' is stopped by its manager{f': {health.cause}' if health.cause else ''}.",
                remedy="It goes on with 'safelight archive resume'.",
            )
        if health.opened_at is not None and self._clock() < self._until(health.opened_at):
            raise self._resting(health)
        return health

    def _until(self, since: datetime) -> datetime:
        return since + timedelta(seconds=self._archive.use.rest_seconds)

    def _resting(self, health: ArchiveHealth) -> ArchiveClosed:
        until = self._until(health.opened_at or self._clock())
        return ArchiveClosed(
            f"Archive '{self._archive.name}' is left alone ({health.cause or 'no cause given'}).",
            remedy=f"It rests until {until:%H:%M:%S} UTC.",
            until=until,
        )

    def succeeded(self) -> None:
        """Note that a study went well, also when the answer was that it does not exist."""
        if self._trial is None:
            self._note(failed=False)
            return
        # When it takes longer than the rest another one tries meanwhile; those of one opening carry the same count.
        health = self._database.archive_health(self._archive.name)
        if (health.state, health.failures) == (self._trial.state, self._trial.failures):
            self._change(health, _CLOSED)

    def failed(self, error: Exception) -> None:
        """Note that a study failed. Errors that say nothing about the archive's health are not counted."""
        if not isinstance(error, TransientError | Incomplete) or isinstance(
            error, ArchiveClosed | StorageFull | DatabaseUnavailable
        ):
            return
        if self._trial is not None:
            self._open(self._trial, self._trial.failures + 1, error)
            return
        use, (failures, studies) = self._archive.use, self._note(failed=True)
        if failures >= use.open_after_failures and failures >= use.open_at_share * studies:
            self._open_unless_open(failures, error)

    def is_away(self, error: TransientError) -> None:
        """Open it at once: the archive does not answer a C-ECHO, so no study need find that out."""
        self._open_unless_open(1, error)

    def _note(self, *, failed: bool) -> tuple[int, int]:
        window = timedelta(seconds=self._archive.use.window_seconds)
        return self._database.note_study(self._archive.name, failed=failed, window=window)

    def _open_unless_open(self, failures: int, error: TransientError | Incomplete) -> None:
        # A study that was on its way when another opened it, or the manager stopped it, changes nothing.
        if (health := self._database.archive_health(self._archive.name)).state == _CLOSED.state:
            self._open(health, failures, error)

    def _open(self, before: ArchiveHealth, failures: int, error: TransientError | Incomplete) -> None:
        cause = error.reason.value if isinstance(error, Incomplete) else error.code
        self._change(before, ArchiveHealth("open", failures, self._clock(), cause))

    def _change(self, before: ArchiveHealth, to: ArchiveHealth) -> bool:
        return self._database.change_archive_health(self._archive.name, before=before, to=to)


def stop(database: LinkDatabase, archive: str, *, cause: str, clock: Callable[[], datetime]) -> None:
    """Send nothing more to an archive, in any project, until ``resume``."""
    database.set_archive_health(archive, ArchiveHealth("stopped", 0, clock(), cause))


def resume(database: LinkDatabase, archive: str) -> None:
    """Let an archive be asked again."""
    database.set_archive_health(archive, _CLOSED)
