"""Takes comments and application data out of compressed frames without touching what the decoder reads.

JPEG and JPEG-LS: only segments that a decoder reads stay (ITU-T T.81 table B.1, T.87 C.1.1). JPEG 2000: COM segments of
the main header and of tile-parts go (ISO/IEC 15444-1 A.9.2), and there may be none that the standard does not define.
Whatever follows the end of the code stream goes too.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import NamedTuple

from safelight.errors import StudyRejected
from safelight.model import Reason

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
#: Frames, tables, scans, restart intervals, numbers of lines, hierarchies; JPEG-LS's frame and parameters.
_DECODED = frozenset((*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(0xDA, 0xE0), 0xF7, 0xF8))
_RESERVED = range(0x01, 0xC0)
_JPEG_LS = 0xF7
_SCAN = 0xDA
#: Those of them that are no header of a frame or a scan.
_TABLES = frozenset((0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xDF, 0xF8))
#: Segments of JPEG 2000's headers (ISO/IEC 15444-1 table A.2, and what parts 2 and 15 add).
_DEFINED = frozenset(
    (*range(0xFF50, 0xFF54), *range(0xFF55, 0xFF5A), *range(0xFF5C, 0xFF62), 0xFF63, 0xFF64, *range(0xFF72, 0xFF7A))
)
_U16 = struct.Struct(">H").unpack_from
_U32 = struct.Struct(">I").unpack_from


def strip_jpeg(data: bytes) -> bytes:
    """Return a JPEG or JPEG-LS code stream of what a decoder reads, without comments and anything after its end.

    Adobe's APP14 stays: it says how colours are transformed. Its length is fixed, so nothing else fits in it.

    Raises:
        StudyRejected: not a code stream, or cut off.
    """
    if data[:2] != b"\xff\xd8":
        raise StudyRejected(Reason.PIXEL_DATA)
    out = [b"\xff\xd8"]
    pos = 2
    have = len(data)
    stuffs_bits = False
    while True:
        if pos + 2 > have or data[pos] != 0xFF:
            raise StudyRejected(Reason.PIXEL_DATA)
        while pos + 1 < have and data[pos + 1] == 0xFF:
            pos += 1
        if pos + 2 > have:
            raise StudyRejected(Reason.PIXEL_DATA)
        code = data[pos + 1]
        if code == 0xD9:
            out.append(b"\xff\xd9")
            return b"".join(out)
        if code in _RESERVED or code == 0xD8 or 0xD0 <= code <= 0xD7 or pos + 4 > have:
            raise StudyRejected(Reason.PIXEL_DATA)
        stop = pos + 2 + _U16(data, pos + 2)[0]
        if stop < pos + 4 or stop > have:
            raise StudyRejected(Reason.PIXEL_DATA)
        segment = data[pos:stop]
        if code in _DECODED and not _says_its_size(code, segment[4:]):
            raise StudyRejected(Reason.PIXEL_DATA)
        if code in _DECODED or (code == 0xEE and len(segment) == 16 and segment[4:9] == b"Adobe"):
            out.append(segment)
        stuffs_bits = stuffs_bits or code == _JPEG_LS
        pos = stop
        if code == _SCAN:
            end = _entropy_end(data, pos, stuffs_bits=stuffs_bits)
            out.append(data[pos:end])
            pos = end


def _says_its_size(code: int, content: bytes) -> bool:
    """Tell whether a frame's or a scan's header is as long as its number of components says (ITU-T T.81 B.2.2, B.2.3).

    Application data in which one bit has changed can look like one; decoders refuse it.
    """
    size = len(content)
    if code == _SCAN:
        return size > 0 and size == 4 + 2 * content[0]
    return code in _TABLES or (size > 5 and size == 6 + 3 * content[5])


def _entropy_end(data: bytes, pos: int, *, stuffs_bits: bool) -> int:
    """Return where entropy-coded data ends: at the next marker.

    JPEG stuffs a zero byte after 0xFF, so anything else there is a marker; JPEG-LS a zero bit, so only what is above 0x7F.
    """
    while True:
        match = _MARKER.search(data, pos)
        if match is None:
            raise StudyRejected(Reason.PIXEL_DATA)
        code = data[match.end() - 1]
        if code not in _RESERVED:
            return match.start()
        if not stuffs_bits or code >= 0x80:
            raise StudyRejected(Reason.PIXEL_DATA)
        pos = match.end()


def strip_jpeg2000(data: bytes) -> bytes:
    """Return a JPEG 2000 (or HTJ2K) code stream without COM segments and without anything after its end.

    Raises:
        StudyRejected: not a bare code stream (a JP2 file has boxes), or cut off, or its tile-part lengths are listed
            elsewhere while a comment stands in a tile-part.
    """
    if data[:4] != b"\xff\x4f\xff\x51":
        raise StudyRejected(Reason.PIXEL_DATA)
    out = [b"\xff\x4f"]
    pos, listed = _segments(data, 2, 0xFF90, out)
    while True:
        if pos + 2 > len(data):
            raise StudyRejected(Reason.PIXEL_DATA)
        marker = _U16(data, pos)[0]
        if marker == 0xFFD9:
            out.append(b"\xff\xd9")
            return b"".join(out)
        if marker != 0xFF90 or pos + 12 > len(data):
            raise StudyRejected(Reason.PIXEL_DATA)
        size = _U32(data, pos + 6)[0]
        # Psot 0: the last tile-part runs to the end of the code stream.
        stop = pos + size if size else data.rfind(b"\xff\xd9")
        if stop > len(data) or stop < pos + 14:
            raise StudyRejected(Reason.PIXEL_DATA)
        header: list[bytes] = []
        body, _ = _segments(data, pos + 12, 0xFF93, header)
        kept = b"".join(header)
        removed = body - (pos + 12) - len(kept)
        if removed and listed:
            raise StudyRejected(Reason.PIXEL_DATA)
        new_size = struct.pack(">I", size - removed if size else 0)
        out.append(data[pos : pos + 6] + new_size + data[pos + 10 : pos + 12] + kept + data[body:stop])
        pos = stop


def _segments(data: bytes, pos: int, until: int, out: list[bytes]) -> tuple[int, bool]:
    """Copy segments other than COM to ``out`` up to a marker; return its offset, and whether a TLM was among them."""
    listed = False
    while True:
        if pos + 4 > len(data):
            raise StudyRejected(Reason.PIXEL_DATA)
        marker = _U16(data, pos)[0]
        if marker == until:
            return pos, listed
        stop = pos + 2 + _U16(data, pos + 2)[0]
        if marker not in _DEFINED or stop > len(data) or stop < pos + 4:
            raise StudyRejected(Reason.PIXEL_DATA)
        if marker != 0xFF64:
            out.append(data[pos:stop])
        listed = listed or marker == 0xFF55
        pos = stop


class Plane(NamedTuple):
    """How one segment of an RLE frame comes out: which segment its bytes come from, and what becomes of each of the 256."""

    origin: int
    table: bytes | None = None


def trim_rle(data: bytes, samples: int, planes: Sequence[Plane] = ()) -> bytes:
    """Return an RLE frame with every segment cut where its samples end (PS3.5 G.3 to G.5).

    What lies between segments and after the last one is not of the image. Costs 0.1 us a run.

    Args:
        data: the frame.
        samples: bytes that each segment decodes to.
        planes: what becomes of each segment; none: they stay as they are, however many.

    Raises:
        StudyRejected: the header makes no sense, there are more or fewer segments than bytes in a pixel, or one holds too
            little.
    """
    if len(data) < 64:
        raise StudyRejected(Reason.PIXEL_DATA)
    count, *offsets = struct.unpack_from("<16I", data)
    used = offsets[:count]
    if not 1 <= count <= 15 or used[0] != 64 or used != sorted(used) or used[-1] >= len(data):
        raise StudyRejected(Reason.PIXEL_DATA)
    planes = planes or [Plane(number) for number in range(count)]
    if len(planes) != count:
        raise StudyRejected(Reason.PIXEL_DATA)
    stops = [*used[1:], len(data)]
    segments = []
    place = 64
    places = []
    for number, (origin, table) in enumerate(planes):
        # The segment is looked at even where another one's bytes take its place.
        end = _run_end(data, used[number], stops[number], samples)
        segment = data[used[number] : end]
        if table is not None:
            start = used[origin]
            segment = _mapped(data[start : _run_end(data, start, stops[origin], samples)], table)
        segment += b"\0" if len(segment) & 1 else b""
        places.append(place)
        place += len(segment)
        segments.append(segment)
    return struct.pack("<16I", count, *places, *[0] * (15 - count)) + b"".join(segments)


def _mapped(segment: bytes, table: bytes) -> bytes:
    """Return PackBits runs of the same lengths with their bytes mapped."""
    mapped = bytearray(segment.translate(table))
    pos = 0
    while pos < len(segment):
        mapped[pos] = head = segment[pos]
        pos += head + 2 if head < 128 else 2 if head > 128 else 1
    return bytes(mapped)


def _run_end(data: bytes, pos: int, stop: int, samples: int) -> int:
    """Return where the PackBits runs end that decode to so many bytes."""
    made = 0
    while made < samples:
        if pos >= stop:
            raise StudyRejected(Reason.PIXEL_DATA)
        head = data[pos]
        if head < 128:
            made += head + 1
            pos += head + 2
        elif head > 128:
            made += 257 - head
            pos += 2
        else:
            pos += 1
    if made != samples or pos > stop:
        raise StudyRejected(Reason.PIXEL_DATA)
    return pos
