"""How fast an archive may be asked now: its budget, less what its hours and its own speed take away."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from safelight.archive.calendar import Calendar
from safelight.archive.load import LoadResponse
from safelight.archive.settings import ArchiveUse
from safelight.errors import ArchiveClosed


class Pace:
    """The pace of one archive.

    Args:
        use: the project's settings for it.
        load: its response to load, shared by all workers.
        clock: aware UTC.
    """

    def __init__(self, use: ArchiveUse, load: LoadResponse, clock: Callable[[], datetime]) -> None:
        self._use = use
        self._calendar = Calendar(use.hours)
        self._load = load
        self._clock = clock

    def check_hours(self) -> None:
        """Raise ArchiveClosed outside the archive's hours; it says until when."""
        if self._calendar.period_at(self._clock()) is None:
            raise self._closed()

    def rate(self, budget: float) -> float:
        """Return what is left of so many operations per second.

        Raises:
            ArchiveClosed: outside the archive's hours; it says until when.
        """
        period = self._calendar.period_at(self._clock())
        if period is None:
            raise self._closed()
        return min(budget, period.operations_per_second or budget) * self._load.share

    def slots(self, associations: int) -> int:
        """Return how many of so many associations one association counts for: fewer are in flight when the share is small.

        A step of the share at most doubles what is in flight, so no step overloads an archive to more than twice its knee.
        """
        return min(associations, math.ceil(round(1 / self._load.share, 6)))

    def answered(self, operation: str, seconds: float, *, size: int = 1) -> None:
        """Note how long an operation took; those of about the same size are compared with each other.

        Args:
            operation: its name.
            seconds: from the request to its last answer, or for one instance.
            size: answers, or bytes of an instance.
        """
        # Classes that are four times as large as the one before.
        self._load.answered(f"{operation} [{size.bit_length() // 2}]", seconds)

    def _closed(self) -> ArchiveClosed:
        opens = self._calendar.opens_next(self._clock())
        when = f"It opens on {opens:%a %d %b %Y at %H:%M} UTC" if opens else "It does not open within a year"
        return ArchiveClosed(
            f"Archive '{self._use.block}' is closed by its hours.",
            remedy=f"{when}; nothing is lost, and the next run goes on. Hours are in the project's file.",
            until=opens,
        )
