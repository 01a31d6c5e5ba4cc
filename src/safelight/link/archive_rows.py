"""The part of the link database that is about archives and the raw cache, and belongs to no project."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from safelight.link import cache_index, health, paces
from safelight.link.connection import open_engine, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection

    from safelight.link.rows import ArchiveHealth, ArchivePace, CachedInstance, CachedStudy

_PAGE: int = 500
T = TypeVar("T")


class ArchiveRows:
    """Rows about archives and what the raw cache holds of them. Every method is one transaction, or a series of them.

    Args:
        url: as for ``LinkDatabase``.
        clock: returns the time, aware, in UTC.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime]) -> None:
        self._engine = open_engine(url)
        self._clock = clock

    def _write(self) -> AbstractContextManager[Connection]:
        return transaction(self._engine)

    def _read(self) -> AbstractContextManager[Connection]:
        return transaction(self._engine, read_only=True)

    def close(self) -> None:
        """Let all connections go."""
        self._engine.dispose()

    # -- raw cache

    def cache_put(self, study_uid: str, archive: str, instances: Iterable[CachedInstance], *, complete: bool) -> None:
        """Enter a study with exactly these instances, in place of what was known of it; it counts as used now."""
        with self._write() as connection:
            cache_index.put(connection, study_uid, archive, instances, complete=complete, now=self._clock())

    def cache_get(self, study_uid: str) -> CachedStudy | None:
        """Return a cached study, or None."""
        with self._read() as connection:
            return cache_index.get(connection, study_uid)

    def cache_touch(self, study_uid: str) -> None:
        """Mark a cached study as the most recently used."""
        with self._write() as connection:
            cache_index.touch(connection, study_uid, self._clock())

    def cache_studies(self) -> Iterator[CachedStudy]:
        """Return all cached studies, the least recently used first, streamed."""
        return self._by_use(cache_index.page)

    def cache_size(self) -> int:
        """Return the bytes of all cached studies."""
        with self._read() as connection:
            return cache_index.size(connection)

    def cache_sizes(self) -> Iterator[tuple[str, int]]:
        """Return UID and bytes of each cached study, the least recently used first, streamed; instances are not read."""
        return self._by_use(cache_index.sizes)

    def _by_use(self, page: Callable[..., list[tuple[tuple[int, int], T]]]) -> Iterator[T]:
        """Yield what a page by page query gives, each row of which has its place in the order of use."""
        after = (-1, 0)
        while True:
            with self._read() as connection:
                rows = page(connection, after=after, size=_PAGE)
            if not rows:
                return
            after = rows[-1][0]
            yield from (row for _, row in rows)

    def cache_drop(self, study_uid: str) -> None:
        """Forget a cached study."""
        with self._write() as connection:
            cache_index.drop(connection, study_uid)

    def cache_is_pinned(self, study_uid: str) -> bool:
        """Tell whether a request of any project still needs a study in the cache."""
        with self._read() as connection:
            return study_uid in cache_index.pins(connection, only=study_uid)

    def cache_pins(self) -> set[str]:
        """Return the studies that a request of any project still needs in the cache."""
        with self._read() as connection:
            return cache_index.pins(connection)

    # -- archives

    def archive_health(self, archive: str) -> ArchiveHealth:
        """Return the circuit breaker's state of one archive."""
        with self._read() as connection:
            return health.of(connection, archive)

    def set_archive_health(self, archive: str, to: ArchiveHealth) -> None:
        """Set the circuit breaker of one archive for all workers, whatever it was; its studies are counted anew."""
        with self._write() as connection:
            health.write(connection, archive, to, now=self._clock())

    def change_archive_health(self, archive: str, *, before: ArchiveHealth, to: ArchiveHealth) -> bool:
        """Set the circuit breaker of one archive for all workers, unless another worker was first: then nothing changes."""
        with self._write() as connection:
            return health.change(connection, archive, before=before, to=to, now=self._clock())

    def note_study(self, archive: str, *, failed: bool, window: timedelta) -> tuple[int, int]:
        """Note how a study went at an archive. Returns how many failed in the window, and how many there were in it."""
        with self._write() as connection:
            now = self._clock()
            return health.note_study(connection, archive, failed=failed, since=now - window, now=now)

    def archive_paces(self, archive: str, *, last: int = 1) -> list[ArchivePace]:
        """Return the last changes of an archive's pace, the newest first; none when it never changed."""
        with self._read() as connection:
            return paces.newest(connection, archive, last)

    def change_pace(self, archive: str, *, after: ArchivePace, to: ArchivePace) -> bool:
        """Change an archive's pace for all workers, unless another worker was first: then nothing changes."""
        with self._write() as connection:
            return paces.add(connection, archive, to, number=after.number + 1, now=self._clock())
