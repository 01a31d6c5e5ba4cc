"""Where the pixels end: tells when bytes of something else have come to lie inside them.

A file that lost a few bytes on its way still has pixel data as long as its header says, but the last of it are the first
bytes of whatever came behind. A damaged deflate stream repeats pieces of the header anywhere. Neither has a checksum,
so what gives them away is their look. Only files with something behind their pixels, and inflated ones, are looked at.
"""

from __future__ import annotations

import os
import re
import struct
from typing import Final

from safelight.dicom.vr import ALL, LONG_HEADER
from safelight.errors import StudyRejected
from safelight.model import Reason

#: Bytes before the end of the pixels in which an element that came behind them is looked for.
BEFORE: Final = 1 << 8
#: Bytes behind the pixels that are looked through for elements; more than that came there on purpose.
BEHIND: Final = 1 << 16
#: The longest header that is compared with inflated pixels.
HEADER: Final = 1 << 20
CHUNK: Final = 1 << 20
#: Characters in a row that make a text. Fewer are met by chance.
TEXT: Final = 6

_WORD: Final = rb"[0-9A-Za-z ^._:/-]"
_ENDS_IN_TEXT = re.compile(_WORD + rb"{%d}\Z" % TEXT)
_WORDS = re.compile(_WORD + rb"{%d,}" % TEXT)
#: What may be the header of an element behind the pixels, in Implicit and in Explicit VR: a tag above theirs, a short
#: length or an undefined one, two letters.
_BEHIND = (
    re.compile(rb"(?s)(?=(?:[\xe1-\xff]\x7f|.[\x80-\xff])..(?:..\0\0|\xff{4}))"),
    re.compile(rb"(?s)(?=(?:[\xe1-\xff]\x7f|.[\x80-\xff])..[A-Z]{2})"),
)
_HEAD = struct.Struct("<HH2sH").unpack_from
_LENGTH = struct.Struct("<I").unpack_from


def check_end(source: int, end: int, size: int, *, implicit: bool) -> None:
    """Look at what stands around the end of the pixels in a file that does not end there.

    Args:
        source: descriptor of the file.
        end: offset after the last byte of the frames.
        size: bytes of the file.
        implicit: encoding of the data set.

    Raises:
        StudyRejected: an element that starts inside the pixels reaches to the end of the file, or a text runs across
            their end.
    """
    start = max(0, end - BEFORE)
    data = os.pread(source, end - start + min(BEHIND, size - end), start)
    place = end - start
    if _ENDS_IN_TEXT.search(data, max(0, place - TEXT), place) and _ENDS_IN_TEXT.search(data[place - TEXT + 1 : place + 1]):
        raise StudyRejected(Reason.PIXEL_DATA)
    if start + len(data) < size:
        return
    candidates = _BEHIND[not implicit].finditer(data, 0, min(place + 7, len(data)))
    if any(_reaches_end(data, one.start(), implicit=implicit) for one in candidates if one.start() < place):
        raise StudyRejected(Reason.PIXEL_DATA)


def _reaches_end(data: bytes, pos: int, *, implicit: bool) -> bool:
    """Tell whether ascending elements from here on fill the data to its last byte."""
    last = 0
    have = len(data)
    while pos + 8 <= have:
        group, number, vr, length = _HEAD(data, pos)
        tag = group << 16 | number
        if tag <= last:
            return False
        last = tag
        value = pos + 8
        if implicit:
            length = _LENGTH(data, pos + 4)[0]
        elif vr not in ALL:
            return False
        elif vr in LONG_HEADER:
            if pos + 12 > have:
                return False
            length = _LENGTH(data, value)[0]
            value = pos + 12
        if length == 0xFFFFFFFF:
            # What has no length ends in a delimiter.
            closing = data.rfind(b"\xfe\xff\xdd\xe0\0\0\0\0", value)
            return closing + 8 == have
        pos = value + length
    return pos == have


def check_inflated(source: int, start: int, end: int) -> None:
    """Look for texts of the header in pixels that came out of a deflate stream.

    Args:
        source: descriptor of the inflated data set, which starts at offset 0.
        start: offset of the first byte of the frames.
        end: offset after their last.

    Raises:
        StudyRejected: the pixels repeat a text of the header.
    """
    header = os.pread(source, min(start, HEADER), 0)
    for offset in range(start, end, CHUNK):
        data = os.pread(source, min(CHUNK + TEXT, end - offset), offset)
        for match in _WORDS.finditer(data):
            text = match[0]
            for at in range(len(text) - TEXT + 1):
                piece = text[at : at + TEXT]
                # A grey area and a row of zeros are no text.
                if len(set(piece)) > 2 and piece in header:
                    raise StudyRejected(Reason.PIXEL_DATA)
