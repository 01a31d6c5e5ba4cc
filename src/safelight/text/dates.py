"""Dates in text: found in every usual form, moved by whole days, written back the way they were written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from safelight.text.forms import MONTHS

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH: Final = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)(?![^\W_\d])\.?"
)
_DAY: Final = r"(?<![\d./:])(?P<day>3[01]|[12]\d|0?[1-9])"
_YEAR: Final = r"(?P<year>(?:19|20)\d\d|'?\d\d)(?![\d:%]|\.\d|\s?(?:mm|cm|mg|ml|kg|hrs?|hours)\b)"
_YEAR4: Final = r"(?P<year>(?:19|20)\d\d)(?!\d)"
_WEEKDAY: Final = (
    r"(?:(?P<weekday>mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
    r"\.?,?\s{1,2}(?:the\s+)?)?"
)
_ORDINAL: Final = r"(?P<ordinal>st|nd|rd|th)?"
_SEP: Final = r"\s?(?P<sep>[./\-\u2010-\u2015])\s?"
_PATTERNS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # 2024-03-12, 2024/03/12, with or without a time behind a T
        rf"(?<![\d.]){_YEAR4}(?P<sep>[./\-])(?P<mm>0?[1-9]|1[0-2])(?P=sep)(?P<day>3[01]|[12]\d|0?[1-9])(?!\d|[./\-]\d)"
        r"(?:t[012]\d:[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?(?:z|[+\-]\d\d:?\d\d)?)?",
        # 12/3/24, 12.03.2024, 12-03-24
        # 05 03 2024
        r"(?<![\d.\-/:])(?P<day>3[01]|[12]\d|0[1-9])[ ](?P<mm>1[0-2]|0[1-9])[ ](?P<year>(?:19|20)\d\d)(?!\d|[ ]\d)",
        rf"{_WEEKDAY}{_DAY}{_SEP}(?P<mm>1[0-2]|0?[1-9])\s?(?P=sep)\s?(?P<year>(?:19|20)\d\d|\d\d)(?!\d|[./\-]\d|\s?(?:mm|cm)\b)",
        # 20240312, and with a time: 20240312143000
        r"(?<![\d.\-/])(?P<year>(?:19|20)\d\d)(?P<mm>0[1-9]|1[0-2])(?P<day>3[01]|[12]\d|0[1-9])(?:t?[012]\d[0-5]\d(?:[0-5]\d)?)?(?![\d\-/]|\.\d)",
        # 12 March 2024, 12th of March, 2024, 12-Mar-24, 12MAR2024, Tuesday 12 March
        rf"{_WEEKDAY}(?:the\s+)?{_DAY}{_ORDINAL}(?:\s{{1,2}}of)?(?:\s{{1,2}}|[\-/.])?{_MONTH}(?:[\s,\-/.]{{0,3}}{_YEAR})?",
        # March 12, 2024
        rf"{_WEEKDAY}(?<![^\W_]){_MONTH}\s{{1,2}}(?:the\s)?(?P<day>3[01]|[12]\d|0?[1-9])(?!\d|[./:]\d){_ORDINAL}(?:,?\s{{1,2}}{_YEAR4})?(?!\s?(?:mm|cm|mg|ml|%))",
        # March 2024, Mar '24
        rf"(?<![^\W_]){_MONTH}[\s,\-/]{{1,2}}(?P<year>(?:19|20)\d\d|'\d\d|(?<=-)\d\d)(?!\d|[\-/.]\d)",
    )
)
_MONTH_YEAR: Final = re.compile(r"(?<![\d./\-])(?P<mm>1[0-2]|0[1-9])(?P<sep>[./\-])(?P<year>(?:19|20)\d\d)(?![\d/\-]|\.\d)")
_DAY_MONTH: Final = re.compile(
    r"(?<![^\W_])(?:(?P<sure>on|since|until|till|dated|due|booked)|date|visit(?:ed)?|from|by|after|before|of|seen|for|between|and)"
    rf"\s{{1,2}}(?:the\s+)?(?P<body>(?:{_WEEKDAY}){_DAY}{_SEP}(?P<mm>1[0-2]|0?[1-9]))(?!\d|[./\-]\d|\s?(?:mm|cm|weeks?|days?|months?|years?|7|52|12)\b)"
)
#: Fractions that say how long or how strong, never a day: 3/7, 6/52, 3/12, 4/5, 7/10.
_NO_DAY_MONTH: Final = re.compile(r"\d{1,2}/(?:7|52|12|5|10|15|24)$")
_BORN: Final = re.compile(r"(?:d\.?\s?o\.?\s?b\.?|date\s+of\s+birth|born(?:\s+on)?|birth\s?date|b\.)\W{0,4}$")


@dataclass(frozen=True)
class Written:
    """One date in a text and the parts that it was written in.

    ``day`` is None for a month of a year; ``value`` is None when the calendar has no such day.
    """

    start: int
    end: int
    value: date | None
    parts: dict[str, tuple[int, int]]
    is_birth: bool
    whole_month: bool = False

    def moved(self, text: str, days: int) -> str | None:
        """Return the date, moved, in its own format; None where that is not possible.

        A month without a day is moved from its 15th. A day that the text names by weekday gets the right one.
        """
        if self.value is None:
            return None
        try:
            new = self.value + timedelta(days=days)
        except OverflowError:
            return None
        numbers = [text[slice(*self.parts[name])] for name in ("day", "mm") if name in self.parts]
        glued = "day" in self.parts and self.parts["day"][1] == self.parts.get("month", (0, 0))[0]
        padded = all(len(n) == 2 for n in numbers) if "mm" in self.parts or glued else any(n[0] == "0" for n in numbers)
        written = text[self.start : self.end]
        for name, (start, end) in sorted(self.parts.items(), key=lambda item: -item[1][0]):
            part = _write(name, text[start:end], new, padded)
            written = written[: start - self.start] + part + written[end - self.start :]
        return written


def _write(name: str, old: str, new: date, padded: bool) -> str:
    if name in {"day", "mm"}:
        number = new.day if name == "day" else new.month
        return f"{number:02d}" if padded else str(number)
    if name == "year":
        digits = old.lstrip("'")
        return old[: len(old) - len(digits)] + (str(new.year) if len(digits) == 4 else f"{new.year % 100:02d}")
    if name == "month":
        word = MONTHS[new.month - 1]
        bare = old.rstrip(".").lower()
        return _cased(word if bare in MONTHS and bare != "may" else word[:3], old)
    if name == "ordinal":
        return _cased("th" if 10 < new.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(new.day % 10, "th"), old)
    word = _DAYS[new.weekday()]
    return _cased(word if old.lower().endswith("day") else word[:3], old)


def _cased(word: str, old: str) -> str:
    if old.isupper() and len(old) > 1:
        return word.upper()
    return word.capitalize() if old[:1].isupper() else word


def _full_year(digits: str, latest: date | None) -> int:
    """Return the year of two digits: this century unless that lies more than a year after the latest likely date."""
    number = int(digits.lstrip("'"))
    if number >= 100:
        return number
    limit = (latest.year if latest else 2049) + 1
    return 2000 + number if 2000 + number <= limit else 1900 + number


def find_dates(low: str, *, study_date: date | None) -> Iterator[Written]:
    """Yield the dates in folded text, longest pattern first, not overlapping.

    Args:
        low: the text in lower case, each character in its place.
        study_date: where the century or year is not written, the date is the latest one not more than a year (for a
            day and month: seven days) after it.
    """
    taken: list[tuple[int, int]] = []
    for pattern in (*_PATTERNS, _MONTH_YEAR, _DAY_MONTH):
        for match in pattern.finditer(low):
            group = "body" if pattern is _DAY_MONTH else 0
            start, end = match.span(group)
            if any(start < other_end and other_start < end for other_start, other_end in taken):
                continue
            if pattern is _DAY_MONTH and not match["sure"] and _NO_DAY_MONTH.search(low[start:end]):
                continue
            found = match.groupdict()
            parts = {n: match.span(n) for n in ("weekday", "day", "ordinal", "month", "mm", "year") if found.get(n)}
            taken.append((start, end))
            birth = bool(_BORN.search(low[max(0, start - 24) : start]))
            value = _value(found, study_date)
            yield Written(start, end, value, parts, birth, whole_month=not found.get("day"))


def _value(found: dict[str, str | None], study_date: date | None) -> date | None:
    month_text = found.get("month")
    month = next(i for i, m in enumerate(MONTHS, 1) if m.startswith(month_text[:3])) if month_text else int(found["mm"] or 0)
    day = int(found.get("day") or 15)
    try:
        if year := found.get("year"):
            return date(_full_year(year, study_date), month, day)
        if study_date is None:
            return None
        value = date(study_date.year, month, day)
        if value > study_date + timedelta(days=7):
            value = date(study_date.year - 1, month, day)
    except ValueError:
        return None
    return value
