"""Takes comments and application data out of compressed frames without touching what the decoder reads.

JPEG and JPEG-LS: only segments that a decoder reads stay (ITU-T T.81 table B.1, T.87 C.1.1), each as long as its content
says. JPEG 2000: comments, registration and pointers go (ISO/IEC 15444-1 A.7, A.9), and there may be none that the standard
does not define. Whatever follows the end of the code stream goes too.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from safelight.errors import StudyRejected
from safelight.model import Reason

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_RESERVED = range(0x01, 0xC0)
_HUFFMAN = 0xC4
_ARITHMETIC = 0xCC
_SCAN = 0xDA
_QUANTA = 0xDB
_RESTART = 0xDD
_JPEG_LS = 0xF7
_PARAMETERS = 0xF8
_FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), _JPEG_LS))
#: What a decoder reads of an image of one frame whose header says how many lines it has.
_DECODED = _FRAMES | {_HUFFMAN, _ARITHMETIC, _SCAN, _QUANTA, _RESTART, _PARAMETERS}
#: Segments of JPEG 2000's headers (ISO/IEC 15444-1 table A.2, and what parts 2 and 15 add).
_DEFINED = frozenset(
    (*range(0xFF50, 0xFF54), *range(0xFF55, 0xFF5A), *range(0xFF5C, 0xFF62), 0xFF63, 0xFF64, *range(0xFF72, 0xFF7A))
)
#: Those that no decoder needs: pointers to tile-parts (rebuilt) and packets, registration, comments.
_TILE_LENGTHS = 0xFF55
_DISPENSABLE = frozenset((_TILE_LENGTHS, 0xFF57, 0xFF58, 0xFF63, 0xFF64))
_SIZE = 0xFF51
#: Tile-parts that one segment can list.
_LISTED = 10_000
_U16 = struct.Struct(">H").unpack_from
_U32 = struct.Struct(">I").unpack_from


class Frame(NamedTuple):
    """What a code stream says of its image: bits of a sample, height and width in pixels, components."""

    bits: int
    rows: int
    columns: int
    components: int


def read_frame(data: bytes) -> Frame:
    """Read the header of a code stream that has been stripped (ITU-T T.81 B.2.2, ISO/IEC 15444-1 A.5.1)."""
    if data[1] == 0x4F:
        right, bottom, left, top = struct.unpack_from(">4I", data, 8)
        depths, across, down = (data[at : 42 + 3 * _U16(data, 40)[0] : 3] for at in (42, 43, 44))
        # A component can have fewer samples than the image area has points.
        dx, dy = min(across), min(down)
        rows, columns = -(-bottom // dy) + -top // dy, -(-right // dx) + -left // dx
        return Frame(max(depth & 0x7F for depth in depths) + 1, rows, columns, len(depths))
    pos = 2
    while data[pos + 1] not in _FRAMES:
        pos += 2 + _U16(data, pos + 2)[0]
    return Frame(*struct.unpack_from(">BHHB", data, pos + 4))


def strip_jpeg(data: bytes) -> bytes:
    """Return a JPEG or JPEG-LS code stream of what a decoder reads, without comments and anything after its end.

    Adobe's APP14 stays: it says how colours are transformed. Its length is fixed, so nothing else fits in it.

    Raises:
        StudyRejected: not a code stream of one frame, or cut off, or more in a table than belongs there.
    """
    if data[:2] != b"\xff\xd8":
        raise StudyRejected(Reason.PIXEL_DATA)
    out = [b"\xff\xd8"]
    pos = 2
    have = len(data)
    frame = 0
    while True:
        if pos + 2 > have or data[pos] != 0xFF:
            raise StudyRejected(Reason.PIXEL_DATA)
        while pos + 1 < have and data[pos + 1] == 0xFF:
            pos += 1
        if pos + 2 > have:
            raise StudyRejected(Reason.PIXEL_DATA)
        code = data[pos + 1]
        if code == 0xD9 and frame:
            out.append(b"\xff\xd9")
            return b"".join(out)
        if code in _RESERVED or 0xD0 <= code <= 0xD9 or pos + 4 > have:
            raise StudyRejected(Reason.PIXEL_DATA)
        stop = pos + 2 + _U16(data, pos + 2)[0]
        if stop < pos + 4 or stop > have:
            raise StudyRejected(Reason.PIXEL_DATA)
        segment = data[pos:stop]
        if code in _DECODED and not _says_its_size(code, segment[4:], in_jpeg_ls=frame == _JPEG_LS):
            raise StudyRejected(Reason.PIXEL_DATA)
        if (frame and code in _FRAMES) or (not frame and code == _SCAN):
            raise StudyRejected(Reason.PIXEL_DATA)
        if code in _DECODED or (code == 0xEE and len(segment) == 16 and segment[4:9] == b"Adobe"):
            out.append(segment)
        frame = code if code in _FRAMES else frame
        pos = stop
        if code == _SCAN:
            end = _entropy_end(data, pos, stuffs_bits=frame == _JPEG_LS)
            out.append(data[pos:end])
            pos = end


def _says_its_size(code: int, content: bytes, *, in_jpeg_ls: bool) -> bool:
    """Tell whether a segment is as long as its content says (ITU-T T.81 B.2.2 to B.2.4, T.87 C.2.4 and C.2.5).

    Application data in which one bit has changed can look like one; decoders refuse it, or overlook what is too much.
    """
    size = len(content)
    if code == _SCAN:
        return size > 0 and 1 <= content[0] <= 4 and size == 4 + 2 * content[0]
    if code == _HUFFMAN:
        return _ends(content, lambda at: 17 + sum(content[at + 1 : at + 17]))
    if code == _QUANTA:
        return _ends(content, lambda at: 1 + 64 * (1 + (content[at] >> 4 & 1)))
    if code == _ARITHMETIC:
        return size > 0 and size % 2 == 0
    if code == _RESTART:
        return size == 2 or (in_jpeg_ls and 2 <= size <= 4)
    if code == _PARAMETERS:
        # Mapping tables have no place beside DICOM's own palettes, nor sizes beyond those of Rows and Columns.
        return size == 11 and content[0] == 1
    return size > 6 and size == 6 + 3 * content[5] and all(struct.unpack_from(">HH", content, 1))


def _ends(content: bytes, length: Callable[[int], int]) -> bool:
    """Tell whether tables of these lengths, one after another, end where the content does."""
    pos = 0
    while pos < len(content):
        pos += length(pos)
    return pos == len(content) > 0


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
    """Return a JPEG 2000 (or HTJ2K) code stream without what no decoder needs, and without anything after its end.

    Raises:
        StudyRejected: not a bare code stream (a JP2 file has boxes), or cut off.
    """
    if data[:4] != b"\xff\x4f\xff\x51":
        raise StudyRejected(Reason.PIXEL_DATA)
    main = [b"\xff\x4f"]
    pos, listed = _segments(data, 2, 0xFF90, main)
    parts: list[bytes] = []
    lengths: list[bytes] = []
    while True:
        if pos + 2 > len(data):
            raise StudyRejected(Reason.PIXEL_DATA)
        marker = _U16(data, pos)[0]
        if marker == 0xFFD9:
            return b"".join((*main, *(_tile_lengths(lengths) if listed else ()), *parts, b"\xff\xd9"))
        if marker != 0xFF90 or pos + 12 > len(data):
            raise StudyRejected(Reason.PIXEL_DATA)
        size = _U32(data, pos + 6)[0]
        header: list[bytes] = []
        body, _ = _segments(data, pos + 12, 0xFF93, header)
        # Psot 0: the last tile-part runs to the end of the code stream, whose marker can't occur in packets (B.10.1).
        stop = pos + size if size else data.find(b"\xff\xd9", body)
        if stop > len(data) or stop < body + 2:
            raise StudyRejected(Reason.PIXEL_DATA)
        kept = b"".join(header)
        removed = body - (pos + 12) - len(kept)
        new_size = struct.pack(">I", size - removed if size else 0)
        parts.append(data[pos : pos + 6] + new_size + data[pos + 10 : pos + 12] + kept + data[body:stop])
        lengths.append(data[pos + 4 : pos + 6] + struct.pack(">I", stop - pos - removed))
        pos = stop


def _tile_lengths(lengths: list[bytes]) -> list[bytes]:
    """Return TLM segments that list tiles, in 16 bits, and the lengths of their parts, in 32 (ISO/IEC 15444-1 A.7.1)."""
    if len(lengths) > _LISTED << 8:
        raise StudyRejected(Reason.PIXEL_DATA)
    segments = []
    for number, first in enumerate(range(0, len(lengths), _LISTED)):
        content = b"".join(lengths[first : first + _LISTED])
        segments.append(struct.pack(">HHBB", _TILE_LENGTHS, 4 + len(content), number, 0x60) + content)
    return segments


def _segments(data: bytes, pos: int, until: int, out: list[bytes]) -> tuple[int, bool]:
    """Copy the segments that are needed to ``out`` up to a marker; return its offset, and whether a TLM was among them."""
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
        if marker == _SIZE and not _is_size(data[pos + 4 : stop]):
            raise StudyRejected(Reason.PIXEL_DATA)
        if marker not in _DISPENSABLE:
            out.append(data[pos:stop])
        listed = listed or marker == _TILE_LENGTHS
        pos = stop


def _is_size(content: bytes) -> bool:
    """Tell whether a size segment is as long as its components need, and none is of no size (ISO/IEC 15444-1 A.5.1)."""
    count = _U16(content, 34)[0] if len(content) > 36 else 0
    return count > 0 and len(content) == 36 + 3 * count and all(content[37::3]) and all(content[38::3])


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
