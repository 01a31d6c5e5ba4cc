"""Dates are found as people write them and moved in the same way of writing."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.text.dates import find_dates
from safelight.text.document import lower_alike
from safelight.text.forms import MONTHS

STUDY = date(2024, 3, 20)
#: written, the day it means, how it reads 60 days earlier
WRITTEN = [
    ("12/3/24", date(2024, 3, 12), "12/1/24"),
    ("12.03.2024", date(2024, 3, 12), "12.01.2024"),
    ("05-04-2023", date(2023, 4, 5), "04-02-2023"),
    ("2024-03-12", date(2024, 3, 12), "2024-01-12"),
    ("2024/03/12", date(2024, 3, 12), "2024/01/12"),
    ("20240312", date(2024, 3, 12), "20240112"),
    ("20240312143000", date(2024, 3, 12), "20240112143000"),
    ("2024-03-12T14:30:00", date(2024, 3, 12), "2024-01-12T14:30:00"),
    ("12 March 2024", date(2024, 3, 12), "12 January 2024"),
    ("1st of March, 2024", date(2024, 3, 1), "1st of January, 2024"),
    ("22nd March 2024", date(2024, 3, 22), "22nd January 2024"),
    ("3 March 2024", date(2024, 3, 3), "3 January 2024"),
    ("12MAR2024", date(2024, 3, 12), "12JAN2024"),
    ("31MAR2021", date(2021, 3, 31), "30JAN2021"),
    ("1MAR2021", date(2021, 3, 1), "31DEC2020"),
    ("07MAR2021", date(2021, 3, 7), "06JAN2021"),
    ("12/Mar/24", date(2024, 3, 12), "12/Jan/24"),
    ("12-mar-24", date(2024, 3, 12), "12-jan-24"),
    ("March 12, 2024", date(2024, 3, 12), "January 12, 2024"),
    ("Tuesday 12 March 2024", date(2024, 3, 12), "Friday 12 January 2024"),
    ("Tue 12 Mar 2024", date(2024, 3, 12), "Fri 12 Jan 2024"),
    ("18 October", date(2023, 10, 18), "19 August"),
    ("the 19th of June", date(2023, 6, 19), "the 20th of April"),
    ("August 2021", date(2021, 8, 15), "June 2021"),
    ("Aug '21", date(2021, 8, 15), "Jun '21"),
    ("08/2021", date(2021, 8, 15), "06/2021"),
    ("04.02.20", date(2020, 2, 4), "06.12.19"),
    ("9/9/49", date(1949, 9, 9), "11/7/49"),
]


@pytest.mark.parametrize(("written", "meant", "moved"), WRITTEN, ids=[w[0] for w in WRITTEN])
def test_a_date_is_moved_in_its_own_format(written: str, meant: date, moved: str) -> None:
    text = f"Compared with {written}, no change."
    found = list(find_dates(lower_alike(text), study_date=STUDY))
    assert [(text[one.start : one.end], one.value) for one in found] == [(written, meant)]
    assert found[0].moved(text, -60) == moved


@pytest.mark.parametrize("text", ["will visit on 29/1.", "seen on 3/2 and", "until 14.2, then", "dated 9/11"])
def test_a_day_and_month_in_digits_need_a_word_in_front(text: str) -> None:
    assert len(list(find_dates(text, study_date=STUDY))) == 1


@pytest.mark.parametrize(
    "text",
    ["power 4/5", "pain 7/10", "for 3/12", "in 6/52", "after 5/7", "gcs 14/15", "bp 128/76", "l4/5 disc", "ratio 1.25",
     "10.4 cm", "t1 and t2", "12-14 mm", "since 2019", "version 1.2.3", "3 mm", "may represent", "on 2/24", "5.5.1.2"],
)  # fmt: skip
def test_measures_and_durations_are_no_dates(text: str) -> None:
    assert list(find_dates(text, study_date=STUDY)) == []


def test_a_day_that_the_calendar_lacks_is_found_but_not_moved() -> None:
    (found,) = find_dates("seen 31/02/2024 here", study_date=STUDY)
    assert found.value is None
    assert found.moved("seen 31/02/2024 here", 10) is None


def test_a_date_of_birth_is_told_by_what_stands_in_front() -> None:
    found = find_dates("dob 1/2/1950, d.o.b. 1.2.50, born 3 may 1950, seen 3/4/2020", study_date=STUDY)
    assert [one.is_birth for one in sorted(found, key=lambda one: one.start)] == [True, True, True, False]


FORMATS = [
    lambda d: f"{d:%d/%m/%Y}",
    lambda d: f"{d.day}.{d.month}.{d:%Y}",
    lambda d: f"{d:%Y-%m-%d}",
    lambda d: f"{d:%Y%m%d}",
    lambda d: f"{d.day} {MONTHS[d.month - 1].capitalize()} {d.year}",
    lambda d: f"{d:%A} {d.day} {MONTHS[d.month - 1].capitalize()} {d.year}",
]


@settings(max_examples=150)
@given(
    st.dates(date(1930, 1, 1), date(2029, 12, 31)),
    st.integers(-3650, 3650).filter(bool),
    st.sampled_from(range(len(FORMATS))),
)
def test_moving_keeps_the_format_and_the_interval(day: date, shift: int, form: int) -> None:
    text = FORMATS[form](day)
    (found,) = find_dates(lower_alike(text), study_date=date(2030, 1, 1))
    assert found.value == day
    moved = found.moved(text, shift)
    assert moved is not None
    (again,) = find_dates(lower_alike(moved), study_date=date(2045, 1, 1))
    assert again.value == day + timedelta(days=shift)
