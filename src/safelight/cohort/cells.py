"""What one cell of a delivery means: identifiers as text, ids as integers, dates and times.

Deliveries come from databases by way of data frames, so a whole number may arrive as a double, an empty column as
booleans, and the words ``NA`` and ``null`` are somebody's accession number.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from safelight.errors import StudyRejected
from safelight.model import Reason

#: PS3.5 table 6.2-1, LO and UI: no identifier that an archive knows is longer.
LONGEST_IDENTIFIER: Final = 64
#: Above this a double no longer holds every whole number: digits were lost before the file was written.
_EXACT_DOUBLE: Final = 2**53
_LARGEST_ID: Final = 2**63 - 1
#: Wild cards of C-FIND (PS3.4 section C.2.2.2.4) and DICOM's value separator would ask for more than one study.
_NOT_IN_IDENTIFIER: Final = re.compile(r"[*?\\\x00-\x1f\x7f-\x9f]")
_WHITE: Final = re.compile(r"\s")
_WHOLE: Final = re.compile(r"[+-]?\d{1,19}(?:\.0*)?")


def bad_value() -> StudyRejected:
    """Return the error that sets one row aside; it says nothing of the value."""
    return StudyRejected(Reason.BAD_VALUE)


def text(value: Any) -> str:  # noqa: ANN401  what a column may hold
    """Return a cell as text, stripped; empty when there is none. ``4.0`` becomes ``4``, leading zeros of text stay.

    Raises:
        StudyRejected: bad_value: a fraction, a truth value, bytes that are no UTF-8, a double that lost digits.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise bad_value() from None
    if isinstance(value, float) and value != value:
        return ""
    return str(_whole(value))


def _whole(value: Any) -> int:  # noqa: ANN401
    if isinstance(value, bool):
        raise bad_value()
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > _EXACT_DOUBLE:
            raise bad_value()
        return int(value)
    if isinstance(value, Decimal):
        if not value.is_finite() or value != value.to_integral_value():
            raise bad_value()
        return int(value)
    raise bad_value()


def whole_number(value: Any) -> int | None:  # noqa: ANN401
    """Return an id as an integer of 64 bits, or None where there is none. ``"4.0"`` counts as 4.

    Raises:
        StudyRejected: bad_value: anything else.
    """
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, str | bytes):
        cell = text(value)
        if not cell:
            return None
        if not cell.isascii() or not _WHOLE.fullmatch(cell):
            raise bad_value()
        number = int(cell.partition(".")[0])
    else:
        number = _whole(value)
    if abs(number) > _LARGEST_ID:
        raise bad_value()
    return number


def identifier(value: Any) -> str:  # noqa: ANN401
    """Return an identifier that can be asked of an archive, or nothing.

    Raises:
        StudyRejected: bad_value: a wild card, a separator, a control character, or more than 64 characters.
    """
    found = text(value)
    if len(found) > LONGEST_IDENTIFIER or _NOT_IN_IDENTIFIER.search(found):
        raise bad_value()
    return found


def uid(value: Any) -> str:  # noqa: ANN401
    """Return a UID. Archives hold some that break PS3.5 section 9.1, so only white space is refused as well."""
    found = identifier(value)
    if _WHITE.search(found):
        raise bad_value()
    return found


def day(value: Any) -> date | None:  # noqa: ANN401
    """Return a date: of a date, a time with or without a zone, or ISO 8601 text. None where there is none.

    Raises:
        StudyRejected: bad_value: no such day.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        cell = value.strip()
        if not cell:
            return None
        try:
            return date.fromisoformat(cell) if len(cell) == 10 else datetime.fromisoformat(cell).date()
        except ValueError:
            raise bad_value() from None
    raise bad_value()


def instant(value: str) -> datetime | None:
    """Return a time in UTC of ISO 8601 text, with ``T`` or a blank; without a zone it is UTC. None: it is no time."""
    try:
        found = datetime.fromisoformat(value.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def row_key(mrn: str, accession: str, study_uid: str, series_uids: tuple[str, ...]) -> bytes:
    """Return what makes two rows ask for the same thing, in 16 bytes: a set of a million of them stays small."""
    content = json.dumps([mrn, accession, study_uid, *sorted(series_uids)])
    return hashlib.blake2b(content.encode(), digest_size=16).digest()
