"""Finds where something of undefined length ends, without recursion: a file can nest as deep as it likes."""

from __future__ import annotations

import struct
from typing import Final

from safelight.dicom.unknown import extents, unknown_extent
from safelight.dicom.vr import ALL, LONG_HEADER
from safelight.errors import StudyRejected
from safelight.model import Reason

#: The data ends before the sequence does.
MORE: Final = -1
UNDEFINED: Final = 0xFFFFFFFF
ITEM: Final = 0xE000FFFE
ITEM_END: Final = 0xE00DFFFE
SEQUENCE_END: Final = 0xE0DDFFFE
#: Where the data set ends is not known here.
_ANYWHERE: Final = 1 << 62

_TAG = struct.Struct("<II").unpack_from
_EXPLICIT = struct.Struct("<I2sH").unpack_from
_LENGTH = struct.Struct("<I").unpack_from


def skip_undefined(data: bytes, pos: int, implicit: bool, max_depth: int) -> int:
    """Return the offset after the sequence delimiter of the sequence whose items start at ``pos``, or MORE.

    Args:
        data: the bytes at hand.
        pos: offset of the first item.
        implicit: whether the items' elements are in Implicit VR.
        max_depth: levels of undefined length beyond which the file is set aside.

    Raises:
        StudyRejected: malformed, or nested too deep.
    """
    have = len(data)
    # Each level: True inside an item, False between items, with its encoding.
    levels: list[tuple[bool, bool]] = [(False, implicit)]
    while levels:
        if pos + 8 > have:
            return MORE
        in_item, implicit = levels[-1]
        tag, length = _TAG(data, pos)
        if not in_item:
            if tag == SEQUENCE_END:
                levels.pop()
                pos += 8
            elif tag != ITEM:
                raise StudyRejected(Reason.MALFORMED)
            elif length == UNDEFINED:
                levels.append((True, implicit))
                pos += 8
            else:
                pos += 8 + length
            continue
        if tag == ITEM_END:
            levels.pop()
            pos += 8
            continue
        header = 8
        nested = implicit
        if not implicit:
            _, vr, length = _EXPLICIT(data, pos)
            if vr in LONG_HEADER:
                if pos + 12 > have:
                    return MORE
                length = _LENGTH(data, pos + 8)[0]
                header = 12
                nested = vr == b"UN"
            elif vr not in ALL:
                if any(stop + 8 > have for _, stop in extents(data[pos : pos + 12], pos)):
                    return MORE
                pos = unknown_extent(lambda count, at: data[at : at + count], pos, _ANYWHERE)[1]
                continue
        pos += header
        if length != UNDEFINED:
            pos += length
        elif len(levels) >= 2 * max_depth:
            raise StudyRejected(Reason.NESTING_LIMIT)
        else:
            levels.append((False, nested))
    return pos if pos <= have else MORE
