"""What an operation does to the bytes of one element. Every function is pure: value in, value or None (remove) out."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import date
from typing import Final

from safelight.dicom.vr import CHECKS, LIMITS, LONG_HEADER, SIZES, datetime_parts, normal_date, pad
from safelight.operation import Map, NumRange, clamp, shift_date
from safelight.pseudonym import VR_LIMITS, Pseudonymizer, plain_hash

Transform = Callable[[bytes], bytes | None]
_FORMATS: Final = {
    "FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q", "US or SS": "H",
}  # fmt: skip
#: Years in one unit of an age string (PS3.5 table 6.2-1, AS).
_AGE_UNITS: Final = {b"D": 1 / 365.25, b"W": 7 / 365.25, b"M": 1 / 12, b"Y": 1.0}
#: Ages from this one on are one class (45 CFR 164.514(b)(2)(i)(C)).
OLDEST: Final = 90


def encode_fixed(value: str | float, vr: str) -> bytes:
    """Return the bytes of a fixed value, not padded.

    Raises:
        ValueError: the VR does not allow it; the text says why and does not quote the value.
    """
    if vr in _FORMATS:
        try:
            return struct.pack("<" + _FORMATS[vr], value)
        except struct.error:
            raise ValueError("is not a number of its size") from None
    text = str(value)
    if not text.isascii():
        raise ValueError("is not ASCII")
    raw = text.encode("ascii")
    code = vr.encode("ascii")
    if code not in CHECKS or any(len(part) > LIMITS[code] for part in raw.split(b"\\")) or CHECKS[code](raw) != raw:
        raise ValueError("is not legal there")
    return raw


def each_value(function: Callable[[bytes], bytes | None]) -> Transform:
    """Apply a function to each value of a multi-valued element; empty values stay empty."""

    def transform(raw: bytes) -> bytes | None:
        if not raw.strip(b" \0"):
            return b""
        if b"\\" not in raw:
            return function(raw)
        new = [function(value) if value.strip(b" \0") else b"" for value in raw.split(b"\\")]
        return b"\\".join(value or b"" for value in new) if any(new) else None

    return transform


def date_shift(days: int, vr: str) -> Transform:
    """Return the shift of DA or DT values; what can't be read becomes empty."""
    return each_value(lambda raw: (_shift_date if vr == "DA" else _shift_datetime)(raw, days))


def _shift_date(raw: bytes, days: int) -> bytes:
    value = normal_date(raw)
    moved = _moved(value, days)
    return moved.strftime("%Y%m%d").rjust(8, "0").encode("ascii") if moved else b""


def _shift_datetime(raw: bytes, days: int) -> bytes:
    parts = datetime_parts(raw) or datetime_parts(normal_date(raw))
    if parts is None:
        return b""
    year, month, day, *rest = parts
    moved = _moved(year + (month or b"01") + (day or b"01"), days)
    if moved is None:
        return b""
    # A shorter form keeps its precision, and goes where it would still say the true year or month.
    text = f"{moved.year:04d}{moved.month:02d}{moved.day:02d}".encode("ascii")[: 4 + len(month) + len(day)]
    return b"" if text == year + month + day else text + b"".join(rest)


def _moved(value: bytes, days: int) -> date | None:
    try:
        return shift_date(date(int(value[:4]), int(value[4:6]), int(value[6:8])), days)
    except ValueError:
        return None


def date_floor(vr: str) -> Transform:
    """Return the floor to 1 January: DA as YYYY0101, DT in the precision it has with its time at zero."""

    def floor(raw: bytes) -> bytes:
        if vr == "DA":
            value = normal_date(raw)
            return value[:4] + b"0101" if value and value[:4] != b"0000" else b""
        parts = datetime_parts(raw) or datetime_parts(normal_date(raw))
        if parts is None:
            return b""
        year, month, day, hour, minute, second, fraction, zone = parts
        clock = b"0" * len(hour + minute + second) + fraction[:1] + b"0" * (len(fraction) - 1)
        return year + b"01"[: len(month)] + b"01"[: len(day)] + clock + zone

    return each_value(floor)


def birth_floor(study_year: int | None, vr: str = "DA") -> Transform:
    """Return the floor of a birth date that does not tell an age of 90 or more apart.

    Without a study date the age can't be known, so the value becomes empty.
    """
    floor = date_floor(vr)

    def one(raw: bytes) -> bytes:
        value = floor(raw) or b""
        if not value or study_year is None or int(value[:4]) > study_year:
            return b""
        return f"{max(int(value[:4]), study_year - OLDEST):04d}".encode("ascii") + value[4:]

    return each_value(one)


def num_range(operation: NumRange, vr: str) -> Transform:
    """Return the clamp of numbers and ages; what is not a number becomes empty (text) or goes (binary)."""
    if vr in _FORMATS:
        code = _FORMATS[vr]
        size = SIZES[vr[:2].encode("ascii")]

        def binary(raw: bytes) -> bytes | None:
            if len(raw) % size:
                return None
            try:
                numbers = [clamp(number, operation.min, operation.max) for (number,) in struct.iter_unpack("<" + code, raw)]
                return struct.pack(f"<{len(numbers)}{code}", *(numbers if code in "df" else [round(n) for n in numbers]))
            except (ValueError, struct.error):
                return None

        return binary
    return each_value(lambda raw: _age(raw, operation) if vr == "AS" else _decimal(raw, operation, vr))


def _age(raw: bytes, operation: NumRange) -> bytes:
    # Devices leave out zeros.
    value = raw.strip(b" \0").upper().rjust(4, b"0")
    if CHECKS[b"AS"](value) is None:
        return b""
    years = int(value[:3]) * _AGE_UNITS[value[3:]]
    clamped = clamp(years, operation.min, operation.max)
    return value if clamped == years else f"{int(clamped):03d}Y".encode("ascii")


def _decimal(raw: bytes, operation: NumRange, vr: str) -> bytes:
    value = raw.strip(b" \0")
    if CHECKS[vr.encode("ascii")](value) is None:
        return b""
    number = float(value)
    if not math.isfinite(number):
        return b""
    clamped = clamp(number, operation.min, operation.max)
    if clamped == number:
        return value
    return (str(round(clamped)) if vr == "IS" else decimal_string(clamped)).encode("ascii")


def decimal_string(number: float) -> str:
    """Return the number in at most 16 characters (PS3.5 section 6.2, DS), with all the precision that fits."""
    text = repr(number)
    for digits in range(16, 0, -1):
        if len(text) <= 16:
            break
        text = f"{number:.{digits}g}"
    return text


def mapping(operation: Map, decode: Callable[[bytes], str]) -> Transform:
    """Return the closed list: any other value is removed."""
    table = operation.table()

    def look_up(raw: bytes) -> bytes | None:
        target = table.get(decode(raw).strip(" \0").casefold())
        return None if target is None else target.encode("ascii")

    return each_value(look_up)


def digest(vr: str, decode: Callable[[bytes], str], pseudonymizer: Pseudonymizer | None, domain: str) -> Transform:
    """Return the keyed (or, without pseudonymizer, the plain) digest of each value, for a name of each group."""
    limit = min(64, VR_LIMITS[vr])

    def one(raw: bytes) -> bytes:
        text = decode(raw)
        if not text.strip(" \0"):
            return b""
        if pseudonymizer is None:
            return plain_hash(text, 48 if limit == 64 else 12).encode("ascii")
        return pseudonymizer.secure_hash(text, domain, limit=limit).encode("ascii")

    if vr == "PN":
        return each_value(lambda raw: b"=".join(one(group) for group in raw.split(b"=")[:3]).rstrip(b"="))
    if vr in {"LT", "ST", "UT"}:
        return lambda raw: one(raw) if raw.strip(b" \0") else b""
    return each_value(one)


def uid(pseudonymizer: Pseudonymizer, *, several: bool) -> Transform:
    """Return the project's pseudonym of each UID, also of malformed ones.

    Where the dictionary allows one value only, a backslash is part of a malformed UID and not a separator.
    """

    def one(raw: bytes) -> bytes:
        return pseudonymizer.uid(raw.decode("latin-1")).encode("ascii")

    return each_value(one) if several else one


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Encode one element in Explicit VR Little Endian (PS3.5 section 7.1.2), padded to even length."""
    value = pad(value, vr)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if vr in LONG_HEADER:
        return head + vr + struct.pack("<HI", 0, len(value)) + value
    if len(value) > 0xFFFE:
        # PS3.5 section 6.2.2, note on values too long for a 16-bit length field.
        return head + b"UN" + struct.pack("<HI", 0, len(value)) + value
    return head + vr + struct.pack("<H", len(value)) + value
