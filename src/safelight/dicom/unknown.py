"""Elements whose VR is not the dictionary's, or does not exist at all.

The latter are read as VR UN where only one length makes sense, else the file is set aside.

A VR that the standard will have one day has a 32-bit length (PS3.5 section 7.1.2); writers that invent one, or write ``??``,
mostly use 16 bits, and readers disagree. What follows the value tells which it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from safelight.dicom.steps import CHANGE, FOREVER, NO_VR, Step
from safelight.dicom.vr import ALL, CHARSET_TEXT, LONG_HEADER, OTHER_SIGN, TEXT
from safelight.errors import StudyRejected
from safelight.model import Reason

_HEAD = struct.Struct("<HH2sH").unpack_from
_LENGTH = struct.Struct("<I").unpack_from
_UNDEFINED: Final = 0xFFFFFFFF
_DELIMITERS: Final = (b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0")


def unknown_extent(read: Callable[[int, int], bytes], pos: int, end: int) -> tuple[int, int]:
    """Return where the value of an element of unknown VR starts and ends.

    Args:
        read: gives bytes: ``read(size, offset)``.
        pos: offset of the element.
        end: where its data set or item ends at the latest.

    Raises:
        StudyRejected: neither a 16-bit nor a 32-bit length leads to what may follow, or both do.
    """
    head = read(12, pos)
    if len(head) < 8:
        raise StudyRejected(Reason.TRUNCATED)
    group, number, vr, _ = _HEAD(head)
    fitting = [one for one in extents(head, pos) if _goes_on(read, one[1], end, group << 16 | number, vr)]
    if len(fitting) != 1:
        raise StudyRejected(Reason.MALFORMED)
    return fitting[0]


def extents(head: bytes, pos: int) -> list[tuple[int, int]]:
    """Return where a value at ``pos`` may start and end, from the first 12 bytes of its element."""
    length = _HEAD(head)[3]
    found = [(pos + 8, pos + 8 + length)]
    if len(head) == 12 and length == 0:
        found.append((pos + 12, pos + 12 + _LENGTH(head, 8)[0]))
    return found


def _goes_on(read: Callable[[int, int], bytes], pos: int, end: int, tag: int, unknown: bytes) -> bool:
    """Tell whether the data set can go on here after an element: with a later one, or not at all."""
    if pos >= end:
        return pos == end
    head = read(12, pos)
    if len(head) < 8 or head[:8] in _DELIMITERS:
        return len(head) >= 8
    group, number, vr, length = _HEAD(head)
    if group << 16 | number <= tag or group == 0xFFFE:
        return False
    if vr == unknown:
        return True
    if vr not in ALL:
        return False
    stop = pos + 8 + length
    if vr in LONG_HEADER:
        if len(head) < 12:
            return False
        length = _LENGTH(head, 8)[0]
        stop = pos + 12 + length
    return bool(length == _UNDEFINED or stop <= end)


def written_vr(step: Step, vr: bytes, length: int, *, signed: bool) -> bytes | None:
    """Return the VR to write, or None where the file's VR contradicts the dictionary's.

    Args:
        step: what is done with the element.
        vr: the file's; empty in Implicit VR.
        length: bytes of the value.
        signed: whether pixels are, on which the VR of some elements depends.
    """
    vrs = step.detail.vrs
    if vr == NO_VR:
        vr = b"UN"
    if vr in vrs:
        return vr
    if vr == b"" or (vr == b"UN" and step.kind == CHANGE):
        if b"SS" in vrs and b"US" in vrs:
            if b"OW" in vrs and length > 2 * 3:
                return b"OW"
            return b"SS" if signed else b"US"
        return step.vr
    if (step.kind == CHANGE or step.detail.closed) and (vr in TEXT or vr == b"UN"):
        return step.vr
    if step.vr in TEXT:
        # Some converters write every element as UN (PS3.5 section 6.2.2), some devices code strings as text. What the
        # dictionary's VR allows can be checked in numbers, codes, dates and UIDs; in free text it can't, so that goes.
        checkable = step.vr not in CHARSET_TEXT and (vr == b"UN" or vr in TEXT)
    else:
        checkable = step.limit < FOREVER and (vr == b"UN" or vr == OTHER_SIGN.get(step.vr))
    if checkable:
        return step.vr
    # PS3.5 section 6.2.2: a value too long for the 16-bit length field of its VR is written as UN.
    return step.vr if vr == b"UN" and length > 0xFFFE else None
