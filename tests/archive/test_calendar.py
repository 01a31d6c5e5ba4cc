"""Hours of an archive: the wall clock counts, over nights, holidays and both changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from safelight.archive.budget import DAY_KINDS, Budget, Hours, Period
from safelight.archive.calendar import Calendar

LONDON = ZoneInfo("Europe/London")
#: Christmas 2026 is a Friday; Boxing Day's holiday is the Monday after.
NIGHTS = Hours(
    time_zone="Europe/London",
    holidays=(date(2026, 12, 25), date(2026, 12, 28)),
    periods=(
        Period(days=("mon", "tue", "wed", "thu", "fri"), opens="20:00", closes="06:00"),
        Period(days=("sat", "sun", "holiday"), operations_per_second=5),
    ),
)


def london(text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=LONDON, fold=fold)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-18T19:59:59", False),  # a Wednesday
        ("2026-11-18T20:00:00", True),
        ("2026-11-19T05:59:59", True),
        ("2026-11-19T06:00:00", False),
        ("2026-11-21T05:00:00", True),  # the night of Friday goes on into Saturday
        ("2026-11-21T12:00:00", True),
        ("2026-11-23T00:00:00", False),  # Sunday's ends at midnight, and nothing opened that evening
        ("2026-12-25T12:00:00", True),  # a holiday, though a Friday
        ("2026-12-25T00:30:00", True),
        ("2026-12-28T12:00:00", True),
        ("2026-12-29T00:30:00", False),  # a holiday's Monday night is not a working Monday's
    ],
)
def test_pacs_by_night(at: str, is_open: bool) -> None:
    assert (Calendar(NIGHTS).period_at(london(at)) is not None) is is_open


def test_it_says_when_it_opens_next() -> None:
    calendar = Calendar(NIGHTS)
    assert calendar.opens_next(london("2026-11-18T12:00")) == london("2026-11-18T20:00")
    assert calendar.opens_next(london("2026-11-18T21:00")) == london("2026-11-18T21:00")
    assert calendar.opens_next(london("2026-12-28T23:59")) == london("2026-12-28T23:59")
    assert calendar.opens_next(london("2026-12-29T00:00")) == london("2026-12-29T20:00")
    only_holidays = Hours(holidays=(date(2026, 12, 25),), periods=(Period(days=("holiday",)),))
    assert Calendar(only_holidays).opens_next(london("2026-01-05T00:00")) == london("2026-12-25T00:00")
    assert Calendar(only_holidays).opens_next(london("2026-12-26T00:00")) is None


def test_the_first_of_overlapping_periods_counts() -> None:
    calendar = Calendar(
        Hours(periods=(Period(opens="08:00", closes="18:00", operations_per_second=1), Period(operations_per_second=9)))
    )
    rates = [period.operations_per_second for hour in range(24) if (period := calendar.period_at(at(hour)))]
    assert rates == [9.0] * 8 + [1.0] * 10 + [9.0] * 6


def at(hour: int) -> datetime:
    return london(f"2026-01-05T{hour:02}:00")


@pytest.mark.parametrize(
    ("opens", "closes", "day", "hours"),
    [
        ("22:00", "06:00", "2026-03-28", 7),  # the night of the change to summer time has an hour less
        ("22:00", "06:00", "2026-10-24", 9),
        ("00:00", "24:00", "2026-03-29", 23),
        ("00:00", "24:00", "2026-10-25", 25),
        ("01:15", "01:45", "2026-03-29", 0),  # an hour that is nobody's
        ("01:15", "01:45", "2026-10-25", 1),  # twice half an hour, as the wall clock says
        ("01:30", "03:00", "2026-03-29", 1),  # opens at the jump
    ],
)
def test_both_changes_of_the_clock(opens: str, closes: str, day: str, hours: float) -> None:
    kind = DAY_KINDS[date.fromisoformat(day).weekday()]
    calendar = Calendar(Hours(periods=(Period(days=(kind,), opens=opens, closes=closes),)))
    until = london(f"{day}T00:00") + timedelta(days=2)
    found = [one for one in calendar.stretches(london(f"{day}T00:00")) if one.start < until]
    assert sum((one.end - one.start).total_seconds() for one in found) == hours * 3600


kinds = st.lists(st.sampled_from(DAY_KINDS), min_size=1, unique=True).map(tuple)
minutes = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
periods = st.builds(
    Period,
    days=kinds,
    opens=minutes,
    closes=minutes | st.just("24:00"),
    operations_per_second=st.none() | st.floats(0.5, 20),
)
#: Among them zones that change the clock at midnight and by half an hour.
zones = st.sampled_from(["Europe/London", "America/Havana", "Australia/Lord_Howe", "UTC", "Asia/Kolkata", "Africa/Cairo"])
hours = st.builds(
    Hours,
    time_zone=zones,
    holidays=st.lists(st.dates(date(2026, 1, 1), date(2027, 1, 31)), max_size=5).map(tuple),
    periods=st.lists(periods, min_size=1, max_size=3).map(tuple),
)
instants = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def by_hand(hours: Hours, at: datetime) -> Period | None:
    """What the hours say, from their texts and the wall clock alone."""
    wall = at.astimezone(ZoneInfo(hours.time_zone)).replace(tzinfo=None)
    for period in hours.periods:
        for days_ago in (0, 1):
            day = wall.date() - timedelta(days=days_ago)
            kind = "holiday" if day in hours.holidays else day.strftime("%a").lower()
            begin = datetime.fromisoformat(f"{day}T{period.opens}")
            last = day if period.closes > period.opens else day + timedelta(days=1)
            midnight = datetime.fromisoformat(f"{last}T00:00") + timedelta(days=1)
            end = midnight if period.closes == "24:00" else datetime.fromisoformat(f"{last}T{period.closes}")
            if kind in period.days and begin <= wall < end:
                return period
    return None


@settings(max_examples=60)
@given(hours, instants, st.integers(0, 30 * 24 * 60))
def test_stretches_are_what_the_wall_clock_says(hours: Hours, after: datetime, minutes: int) -> None:
    calendar, at = Calendar(hours), after + timedelta(minutes=minutes)
    assert calendar.period_at(at) == by_hand(hours, at)
    found = []
    for one in calendar.stretches(after):
        found.append(one)
        if one.end > at:
            break
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(one.start < one.end for one in found)
    inside = [one.period for one in found if one.start <= at < one.end]
    assert inside == ([] if (period := by_hand(hours, at)) is None else [period])
    opens = calendar.opens_next(after)
    assert opens == (found[0].start if found else None)
    if found:
        assert by_hand(hours, found[0].start) is not None
        assert found[0].start in {after} or by_hand(hours, found[0].start - timedelta(minutes=1)) != found[0].period


@settings(max_examples=40)
@given(hours, instants, st.integers(1, 50_000), st.integers(0, 10**12))
def test_the_expected_end_is_when_the_open_time_is_used_up(hours: Hours, start: datetime, count: int, size: int) -> None:
    calendar, budget = Calendar(hours), Budget(operations_per_second=2, megabytes_per_second=50)
    end = calendar.expected_end(start, budget, operations=count, size=size)
    done = seconds = 0.0
    for one in calendar.stretches(start):
        until = one.end if end is None else min(one.end, end)
        if until > one.start:
            seconds += (until - one.start).total_seconds()
            done += one.rate(2) * (until - one.start).total_seconds()
    if end is None:
        assert done < count or seconds * 50e6 < size
        return
    assert by_hand(hours, end - timedelta(microseconds=2)) is not None
    exact = done == pytest.approx(count, abs=0.01) or seconds * 50e6 == pytest.approx(size, rel=1e-6)
    assert exact
    assert done >= count - 0.01
    assert seconds * 50e6 >= size * (1 - 1e-6)
    assert calendar.expected_end(start, budget, operations=count, size=size) == end


def test_a_night_of_work_ends_in_the_night() -> None:
    calendar, budget = Calendar(NIGHTS), Budget(operations_per_second=1)
    # 10 hours a night: the 36,001st operation is tomorrow's.
    noon = london("2026-11-17T12:00")
    assert calendar.expected_end(noon, budget, operations=36_000) == london("2026-11-18T06:00")
    assert calendar.expected_end(noon, budget, operations=36_060) == london("2026-11-18T20:01")
    assert calendar.expected_end(noon, budget, operations=0) == noon
    assert Calendar(Hours()).expected_end(noon, budget, operations=60) == noon + timedelta(minutes=1)


def test_times_as_yaml_reads_them() -> None:
    assert Period.model_validate({"opens": 1200, "closes": "06:00"}).opens == "20:00"
    for wrong in ({"opens": "24:00"}, {"opens": "8:00"}, {"closes": 1441}, {"closes": "25:00"}, {"days": ["monday"]}):
        with pytest.raises(ValidationError):
            Period.model_validate(wrong)
    with pytest.raises(ValidationError, match="Europe/London"):
        Hours(time_zone="Europe/Lodnon")
