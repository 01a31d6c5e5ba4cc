"""How one identifier may be written: patterns over folded text (lower case, plain quotes and dashes)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from safelight.text.folding import fold_word

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
#: Between the groups of a number: blanks, line ends, dots, dashes, slashes, brackets.
_GAP: Final = r"[\s.\-/()]{0,2}"
#: Between the parts of one name: a blank or line end, HL7's caret, a hyphen or an apostrophe.
NAME_GAP: Final = r"[\s\-'^.]{1,3}"
#: Every pattern of a whole word begins with this.
WORD_START: Final = r"(?<![^\W_])"
_NO_LETTER_AFTER: Final = r"(?![^\W_])"
TITLES: Final = r"(?:mr|mrs|ms|miss|mx|master|dr|prof|professor|sir|dame|lady|lord|rev|sister|nurse|baby|pt|patient)\.?"


_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


def whole(pattern: str) -> str:
    """Return the pattern bounded so that it is not part of a longer word or number."""
    return f"{WORD_START}(?:{pattern}){_NO_LETTER_AFTER}"


def words_of(value: str) -> list[str]:
    """Return the runs of letters and digits of a folded value."""
    return re.findall(r"[^\W_]+", fold_word(value))


def name(value: str) -> str:
    """Return the pattern of a name in one or more parts: ``O'Reilly``, ``OReilly``, ``Haddad - Wright``."""
    return r"[\s\-'^.]{0,3}".join(re.escape(word) for word in words_of(value))


def name_variants(value: str) -> Iterator[str]:
    """Yield the name and, for German umlauts and the like, its two-letter spelling."""
    yield value
    spelt = value.lower().translate(_UMLAUTS)
    if spelt != value.lower():
        yield spelt


def number(value: str) -> str | None:
    """Return the pattern of an identifier in letters and digits, separators optional, leading zeros optional.

    None for fewer than four letters and digits: those are found in any text.
    """
    characters = "".join(words_of(value))
    if len(characters) < 4 or not any(c.isdigit() for c in characters):
        return None
    stripped = characters.lstrip("0") or characters
    if len(stripped) < 4:
        stripped = characters
    body = _GAP.join(re.escape(c) for c in stripped) if len(stripped) >= 6 else re.escape(stripped)
    return rf"{WORD_START}{'0*' if stripped[0].isdigit() else ''}{body}(?![^\W_])"


def number_core(value: str) -> str | None:
    """Return the pattern of the longest run of digits in an identifier with letters, if six or more: ``RFH207240``."""
    runs = re.findall(r"\d+", fold_word(value))
    if not runs or not any(c.isalpha() for c in value):
        return None
    core = max(runs, key=len).lstrip("0")
    return rf"(?<!\d)0*{core}(?!\d)" if len(core) >= 6 else None


def telephone(value: str) -> str | None:
    """Return the pattern of a telephone number: national or with the country's code, any grouping (ITU-T E.123)."""
    digits = "".join(re.findall(r"\d", value))
    digits = re.sub(r"^(?:0{0,2}44)?0*", "", digits) if len(digits) >= 10 else digits
    if len(digits) < 6:
        return None
    return r"(?<!\d)(?:\+?(?:00)?44[\s().\-]{0,3}0?|0)?[\s().\-]{0,3}" + r"[\s().\-]{0,3}".join(digits) + r"(?!\d)"


def postcode(value: str) -> str | None:
    """Return the pattern of a UK postcode with any space before its last three characters."""
    characters = "".join(words_of(value))
    if len(characters) < 5:
        return None
    return whole(rf"{re.escape(characters[:-3])}[\s\-]{{0,3}}{re.escape(characters[-3:])}")


def uid(value: str) -> str | None:
    """Return the pattern of a DICOM UID."""
    return rf"(?<![\d.]){re.escape(value.strip())}(?!\d|\.\d)" if len(value.strip()) >= 8 else None


_STREETS: Final = {
    "road": "rd", "street": "st", "avenue": "ave?", "lane": "ln", "drive": "dr", "close": "cl", "crescent": "cres",
    "court": "ct", "gardens": "gdns", "place": "pl", "square": "sq", "terrace": "terr?", "saint": "st", "mews": "mews",
}  # fmt: skip


def address(value: str) -> str | None:
    """Return the pattern of the first line of an address: its words with any punctuation, streets abbreviated or not."""
    words = words_of(value)
    if len("".join(words)) < 5 or len(words) < 2:
        return None
    short = {re.sub(r"\W", "", abbreviation): word for word, abbreviation in _STREETS.items() if word != "saint"}
    parts = []
    for word in words:
        full = short.get(word, word)
        parts.append(rf"(?:{re.escape(full)}|{_STREETS[full]})" if full in _STREETS else re.escape(word))
    return whole(r"[\s,.'\-^]{0,3}".join(parts))


def birth_date(day: date) -> str:
    """Return the pattern of a date of birth in the ways that people and systems write it, day first or ISO.

    Two digits of the year are enough with day and month; ordinals, ``of`` and weekdays may stand inside.
    """
    d, m, y = rf"0?{day.day}", rf"0?{day.month}", rf"(?:{day.year}|{day.year % 100:02d})"
    month = MONTHS[day.month - 1]
    word = rf"(?:{month}|{month[:3]}|{'sept' if day.month == 9 else month[:3]})\.?"
    gap = r"[\s./\-]{1,2}"
    return "|".join(
        (
            rf"(?<!\d)(?:{d}{gap}{m}{gap}{y}|{day:%Y%m%d}|{day.year}{gap}{m}{gap}{d}|{day:%d%m%Y})(?!\d)",
            rf"(?<!\d){d}(?:st|nd|rd|th)?[\s./\-]{{0,2}}(?:of\s+)?{word}[\s,./\-]{{0,3}}{y}(?!\d)",
            rf"(?<![^\W_]){word}\s{{0,2}}{d}(?:st|nd|rd|th)?,?\s{{0,2}}{y}(?!\d)",
        )
    )


def birth_date_needles(day: date) -> list[str]:
    """Return texts without separators, one of which is in every written form of the date."""
    month, years = MONTHS[day.month - 1], (str(day.year), f"{day.year % 100:02d}")
    pairs = [(d, m) for d in (f"{day.day:02d}", f"{day.day}") for m in (f"{day.month:02d}", f"{day.month}")]
    spellings = {month, month[:3], "sept" if day.month == 9 else month[:3]}
    needles = {f"{d}{m}{y}" for d, m in pairs for y in years} | {f"{day.year}{m}{d}" for d, m in pairs}
    needles |= {f"{word}{part}" for word in spellings for part in (*years, f"{day.day:02d}", f"{day.day}")}
    return sorted(needles)
