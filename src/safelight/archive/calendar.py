"""When an archive may be asked, how fast, and when a batch would end.

What counts is the clock on the wall of the archive's site: in the hour that comes twice in autumn it is open whenever that
clock says so, and an hour that is left out in spring is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from safelight.archive.budget import DAY_KINDS, Budget, DayKind, Hours, Period

#: How far ahead anything is looked for: a little more than a year, so that each bank holiday is met.
_HORIZON_DAYS: Final = 400
_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class Stretch:
    """A time without a break in which an archive is open in the same period; ``end`` is the first instant after it."""

    start: datetime
    end: datetime
    period: Period

    def rate(self, operations_per_second: float) -> float:
        """Return what is left of a rate in this period."""
        return min(operations_per_second, self.period.operations_per_second or operations_per_second)


class Calendar:
    """The hours of one archive. All times are aware; what is returned is in UTC.

    Args:
        hours: as the project's file has them.
    """

    def __init__(self, hours: Hours) -> None:
        self._zone = ZoneInfo(hours.time_zone)
        self._holidays = frozenset(hours.holidays)
        self._periods = hours.periods
        #: Minutes of the day at which anything can change on the wall clock.
        self._minutes = sorted({0, *(minute % 1440 for one in hours.periods for minute in (one.begin, one.end))})

    def period_at(self, at: datetime) -> Period | None:
        """Return the period that is open; None when the archive is closed."""
        wall = at.astimezone(self._zone).replace(tzinfo=None)
        today = wall.date()
        minute = wall.hour * 60 + wall.minute
        for period in self._periods:
            if self._kind(today) in period.days and period.begin <= minute < period.end:
                return period
            # It may have opened yesterday.
            if minute + 1440 < period.end and self._kind(today - timedelta(days=1)) in period.days:
                return period
        return None

    def _kind(self, day: date) -> DayKind:
        return "holiday" if day in self._holidays else DAY_KINDS[day.weekday()]

    def opens_next(self, after: datetime) -> datetime | None:
        """Return the first instant from ``after`` on at which it is open; None when that is not within a year."""
        return next((stretch.start for stretch in self.stretches(after)), None)

    def stretches(self, after: datetime) -> Iterator[Stretch]:
        """Return the times from ``after`` on in which it is open, in order, for a year."""
        start, period = after.astimezone(UTC), self.period_at(after)
        end = start
        for end in self._changes(start):
            now = self.period_at(end)
            if now is not period:
                if period is not None:
                    yield Stretch(start, end, period)
                start, period = end, now
        if period is not None and end > start:
            yield Stretch(start, end, period)

    def _changes(self, after: datetime) -> Iterator[datetime]:
        """Return the instants after ``after`` at which anything may change, in order."""
        day = after.astimezone(self._zone).date()
        for _ in range(_HORIZON_DAYS):
            midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  on the wall clock
            walls = [midnight + timedelta(minutes=minute) for minute in self._minutes]
            instants = {wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for wall in walls for fold in (0, 1)}
            day += timedelta(days=1)
            for instant in sorted(instants | self._jump(min(instants), min(instants) + timedelta(days=1))):
                if instant > after:
                    after = instant
                    yield instant

    def _jump(self, start: datetime, end: datetime) -> set[datetime]:
        """Return the instant between two at which the wall clock is put forward or back, if there is one."""
        offset = start.astimezone(self._zone).utcoffset()
        if offset == end.astimezone(self._zone).utcoffset():
            return set()
        while end - start > timedelta(seconds=1):
            middle = (start + (end - start) / 2).replace(microsecond=0)
            if middle.astimezone(self._zone).utcoffset() == offset:
                start = middle
            else:
                end = middle
        return {end}

    def expected_end(self, start: datetime, budget: Budget, *, operations: float, size: int = 0) -> datetime | None:
        """Return when so many operations and bytes are done at the full budget; None when that takes over a year.

        Args:
            start: from when on.
            budget: the rates.
            operations: C-FIND, C-MOVE and the like.
            size: bytes that the archive sends.
        """
        left, megabytes = operations, size / _MEGABYTE
        if left <= 0 and megabytes <= 0:
            return start.astimezone(UTC)
        for stretch in self.stretches(start):
            rate, seconds = stretch.rate(budget.operations_per_second), (stretch.end - stretch.start).total_seconds()
            needed = max(left / rate, megabytes / budget.megabytes_per_second)
            if needed <= seconds:
                return stretch.start + timedelta(seconds=max(0.0, needed))
            left -= rate * seconds
            megabytes -= budget.megabytes_per_second * seconds
        return None
