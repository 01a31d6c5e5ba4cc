"""Value representations: sizes, limits and repertoires (PS3.5 section 6.2), and what a kept value must look like.

A kept value is copied as bytes, so its bytes are what is checked. Each check gives back the same object when the value
may stand as it is, other bytes where a known illegal form has one legal reading, and None where it must go.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from pydicom.datadict import dictionary_has_tag

#: VRs whose explicit header has two reserved bytes and a 32-bit length (PS3.5 table 7.1-1).
LONG_HEADER: Final = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
SHORT_HEADER: Final = frozenset((
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST",
    b"TM", b"UI", b"UL", b"US",
))  # fmt: skip
ALL: Final = LONG_HEADER | SHORT_HEADER
#: Bytes of one value of each binary VR.
SIZES: Final = {
    b"AT": 4, b"FD": 8, b"FL": 4, b"OB": 1, b"OD": 8, b"OF": 4, b"OL": 4, b"OV": 8, b"OW": 2, b"SL": 4, b"SS": 2,
    b"SV": 8, b"UL": 4, b"UN": 1, b"US": 2, b"UV": 8,
}  # fmt: skip
#: Integers of the same size, with and without a sign.
OTHER_SIGN: Final = {b"SL": b"UL", b"SS": b"US", b"SV": b"UV", b"UL": b"SL", b"US": b"SS", b"UV": b"SV"}
#: Longest value in characters (for DS and DT our own bound: scanners write longer decimals than the 16 allowed).
LIMITS: Final = {
    b"AE": 16, b"AS": 4, b"CS": 16, b"DA": 8, b"DS": 32, b"DT": 26, b"IS": 12, b"LO": 64, b"LT": 10240, b"PN": 324,
    b"SH": 16, b"ST": 1024, b"TM": 16, b"UC": 2**31, b"UI": 64, b"UR": 2**31, b"UT": 2**31,
}  # fmt: skip
#: Text that SpecificCharacterSet applies to (PS3.5 section 6.1.2.3).
CHARSET_TEXT: Final = frozenset((b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"))
TEXT: Final = frozenset(LIMITS)
PADDING: Final = b" \0"

_DECIMAL = re.compile(rb" *[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})? *")
_INTEGER = re.compile(rb" *[+-]?\d{1,11} *")
#: No defined term has six digits in a row; dates and record numbers have.
_CODE = re.compile(rb"(?!.*\d{6})[A-Z0-9 _]{0,16}")
_AGE = re.compile(rb"\d{3}[DWMY]")
_TIME = re.compile(rb"([01]\d|2[0-3])(?:([0-5]\d)(?:([0-5]\d|60)(\.\d{1,6})?)?)?")
_OLD_TIME = re.compile(rb"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60)(\.\d{1,6})?)?")
_DATE = re.compile(rb"(\d{4})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_OLD_DATE = re.compile(rb"(\d{4})[.-](0[1-9]|1[0-2])[.-](0[1-9]|[12]\d|3[01])")
_DATETIME = re.compile(
    rb"(\d{4})(?:(0[1-9]|1[0-2])(?:(0[1-9]|[12]\d|3[01])"
    rb"(?:([01]\d|2[0-3])(?:([0-5]\d)(?:([0-5]\d|60)(\.\d{1,6})?)?)?)?)?)?([+-](?:0\d|1[0-4])[0-5]\d)?"
)
_UID = re.compile(rb"[0-9.]{1,64}")
_TITLE = re.compile(rb"[ -\[\]-~]{0,16}")
_TYPED = re.compile(rb"[0-9A-Za-z ^=_.,/+-]+\0?")
_CONTROL = re.compile(rb"[\x00-\x1a\x1c-\x1f\x7f]")
_CONTROL_LONG = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def pad(value: bytes, vr: bytes) -> bytes:
    """Return the value at even length (PS3.5 section 6.2: UI and byte strings with NUL, text with a space)."""
    if len(value) & 1:
        return value + (b" " if vr in TEXT and vr != b"UI" else b"\0")
    return value


def normal_date(value: bytes) -> bytes:
    """Return a DA value as YYYYMMDD; empty for anything that has no single reading (ranges, partial dates)."""
    value = value.strip(PADDING)
    if match := _DATE.fullmatch(value) or _OLD_DATE.fullmatch(value):
        return b"".join(match.groups())
    return b""


def normal_time(value: bytes) -> bytes:
    """Return a TM value as HHMMSS.FFFFFF in the precision it has; empty for anything else."""
    value = value.strip(PADDING)
    if _TIME.fullmatch(value):
        return value
    if match := _OLD_TIME.fullmatch(value):
        return b"".join(part or b"" for part in match.groups())
    return b""


def datetime_parts(value: bytes) -> tuple[bytes, ...] | None:
    """Return year, month, day, hour, minute, second, fraction, zone of a DT value (empty where absent), or None."""
    match = _DATETIME.fullmatch(value.strip(PADDING))
    return tuple(part or b"" for part in match.groups()) if match else None


def _each(check: Callable[[bytes], bytes | None]) -> Callable[[bytes], bytes | None]:
    def values(raw: bytes) -> bytes | None:
        if b"\\" not in raw:
            return check(raw)
        old = raw.split(b"\\")
        new = [check(value) for value in old]
        if new == old:
            return raw
        kept = [b"" if value is None else value for value in new]
        return b"\\".join(kept).rstrip(PADDING) if any(kept) else None

    return values


def _matching(pattern: re.Pattern[bytes], limit: int) -> Callable[[bytes], bytes | None]:
    def check(raw: bytes) -> bytes | None:
        value = raw.rstrip(PADDING)
        return raw if not value or (len(value) <= limit and pattern.fullmatch(value)) else None

    return check


def _date(raw: bytes) -> bytes | None:
    value = raw.rstrip(PADDING)
    return raw if not value or _DATE.fullmatch(value) else normal_date(raw) or None


def _time(raw: bytes) -> bytes | None:
    value = raw.rstrip(PADDING)
    return raw if not value or _TIME.fullmatch(value) else normal_time(raw) or None


def _datetime(raw: bytes) -> bytes | None:
    value = raw.rstrip(PADDING)
    return raw if not value or _DATETIME.fullmatch(value) else None


def _bounded(limit: int, control: re.Pattern[bytes]) -> Callable[[bytes], bytes | None]:
    def check(raw: bytes) -> bytes | None:
        value = raw.rstrip(PADDING)
        # The limit counts characters; in a multi-byte character set one takes up to four bytes.
        most = limit if value.isascii() and b"\x1b" not in value else 4 * limit
        return raw if len(value) <= most and not control.search(value) else None

    return check


def _name(raw: bytes) -> bytes | None:
    value = raw.rstrip(PADDING)
    groups = value.split(b"=")
    fits = len(groups) <= 3 and all(len(group) <= 256 for group in groups)
    return raw if fits and not _CONTROL.search(value) else None


def known_tags(raw: bytes) -> bytes | None:
    """Return an AT value that points at standard or private elements, and None for anything else."""
    pairs = struct.iter_unpack("<HH", raw[: len(raw) // 4 * 4])
    fits = len(raw) % 4 == 0 and all(group & 1 or dictionary_has_tag(group << 16 | number) for group, number in pairs)
    return raw if fits and not reads_as_text(raw) else None


#: How a kept value of each text VR is checked.
CHECKS: Final[dict[bytes, Callable[[bytes], bytes | None]]] = {
    b"AE": _each(_matching(_TITLE, 16)),
    b"AS": _each(_matching(_AGE, 4)),
    b"CS": _each(_matching(_CODE, 16)),
    b"DA": _each(_date),
    b"DS": _each(_matching(_DECIMAL, LIMITS[b"DS"])),
    b"DT": _each(_datetime),
    b"IS": _each(_matching(_INTEGER, 12)),
    b"LO": _each(_bounded(64, _CONTROL)),
    b"LT": _bounded(10240, _CONTROL_LONG),
    b"PN": _each(_name),
    b"SH": _each(_bounded(16, _CONTROL)),
    b"ST": _bounded(1024, _CONTROL_LONG),
    b"TM": _each(_time),
    b"UC": _each(_bounded(2**31, _CONTROL)),
    b"UI": _each(_matching(_UID, 64)),
    b"UR": _bounded(2**31, _CONTROL),
    b"UT": _bounded(2**31, _CONTROL_LONG),
}
#: Text in which a backslash separates nothing (PS3.5 section 6.4).
_SINGLE: Final = frozenset((b"LT", b"ST", b"UT"))


def fits(text: str, vr: bytes) -> bool:
    """Tell whether every value has no more characters than its VR allows, whatever number of bytes each takes."""
    values = [text] if vr in _SINGLE else text.split("\\")
    return all(len(value.rstrip(" \0")) <= LIMITS[vr] for value in values)


#: Bytes of the shortest binary value that is looked at for text.
LEAST_TEXT: Final = 8


def reads_as_text(raw: bytes) -> bool:
    """Tell whether all of a binary value is text.

    Hardly any number of eight bytes has only letters, digits and what stands between them; fewer bytes tell nothing.
    """
    return len(raw) >= LEAST_TEXT and _TYPED.fullmatch(raw) is not None and len(set(raw)) > 3
