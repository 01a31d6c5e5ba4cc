"""Pixel data of compressed instances: fragments rewritten one by one, offset tables rebuilt (PS3.5 A.4)."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from safelight.dicom.codestream import Plane, read_frame, strip_jpeg, strip_jpeg2000, trim_rle
from safelight.dicom.pixels import Layout, sample_bits, write_all
from safelight.errors import StudyRejected
from safelight.model import Reason

_JPEG: Final = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
                "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")  # fmt: skip
_JPEG2000: Final = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93",
                    "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")  # fmt: skip
RLE: Final = "1.2.840.10008.1.2.5"
#: Encapsulated transfer syntaxes whose frames can be cleaned.
SYNTAXES: Final = frozenset((*_JPEG, *_JPEG2000, RLE))
#: The largest frame that is held in memory; compressed frames are far smaller.
MAX_FRAME: Final = 1 << 28
_ITEM: Final = 0xE000FFFE
_END: Final = 0xE0DDFFFE
_EXTENDED: Final = 0x7FE00001
_HEAD = struct.Struct("<II")
_UNDEFINED: Final = b"\xff\xff\xff\xff"
#: SOI of JPEG and SOC of JPEG 2000, and the marker behind.
_FIRST_BYTES: Final = (b"\xff\xd8\xff", b"\xff\x4f\xff")
#: OverlayBitsAllocated, which is 1 for overlays of their own, and OverlayBitPosition, which is 0.
_EMBEDDED: Final = re.compile(rb"(?s)([\0-\x1e]\x60)([\0\x02])\x01US\x02\0(..)")


def frame_cleaner(syntax: str, samples: int, planes: Sequence[Plane] = ()) -> Callable[[bytes], bytes]:
    """Return what cleans one frame of a transfer syntax, for frames of so many pixels; ``planes`` as RLE has them."""
    if syntax == RLE:
        return lambda data: trim_rle(data, samples, planes)
    return strip_jpeg if syntax in _JPEG else strip_jpeg2000


def _planes(layout: Layout) -> list[Plane]:
    """Return what becomes of each byte of an RLE frame's pixels, the highest byte of a sample first (PS3.5 G.2).

    Bits that belong to no pixel come out as those of uncompressed samples do (``PixelCopier.copy``).
    """
    width = max(1, layout.allocated // 8)
    shift, mask = sample_bits(layout) if layout.masks else (0, -1)
    repeats_sign = layout.masks and layout.signed and shift == 0
    sign_byte, sign_bit = divmod(layout.stored - 1, 8)
    planes = []
    for number in range(layout.samples * width):
        place = width - 1 - number % width
        own = mask >> 8 * place & 0xFF
        if repeats_sign and place >= sign_byte:
            # Bytes above that of the sign are made from it, so they come as its runs do.
            kept = own if place == sign_byte else 0
            table = bytes(byte & kept | (~kept & 0xFF if byte >> sign_bit & 1 else 0) for byte in range(256))
            planes.append(Plane(number + place - sign_byte, table))
        else:
            planes.append(Plane(number, None if own == 0xFF else bytes(byte & own for byte in range(256))))
    return planes


def write_encapsulated(
    source: int, size: int, target: int, offset: int, syntax: str, layout: Layout, noted: Mapping[int, bytes]
) -> None:
    """Write the pixel element with every frame cleaned, as one fragment a frame, with a table of where each starts.

    Memory holds one frame.

    Args:
        source: descriptor of the input.
        size: its bytes.
        target: descriptor of the output, positioned after the header.
        offset: where the pixel element's first item starts in the input.
        syntax: the transfer syntax.
        layout: how many frames there must be.
        noted: values of the header; an extended offset table is answered with one.

    Raises:
        StudyRejected: the fragments contradict the header or are cut off.
    """
    fragments = list(_fragments(source, size, offset))
    table, *fragments = fragments or [(0, 0)]
    extended = bool(noted.get(_EXTENDED, b""))
    frames = _frames(source, fragments, table, layout.frames, extended, noted)
    planes = _planes(layout) if syntax == RLE else ()
    clean = frame_cleaner(syntax, layout.rows * layout.columns, planes)
    if syntax != RLE:
        clean = _within(clean, layout, hides=layout.masks and _embeds_overlays(os.pread(source, offset, 0)))
    if extended:
        _write_extended(source, target, frames, clean)
        return
    write_all(target, b"\xe0\x7f\x10\x00OB\0\0" + _UNDEFINED)
    start = os.lseek(target, 0, os.SEEK_CUR)
    basic = layout.frames if table[1] else 0
    write_all(target, _HEAD.pack(_ITEM, 4 * basic) + b"\0" * (4 * basic))
    offsets: list[int] = []
    place = 0
    for frame in frames:
        data = _clean(source, frame, clean)
        offsets.append(place)
        write_all(target, _HEAD.pack(_ITEM, len(data)) + data)
        place += 8 + len(data)
    write_all(target, _HEAD.pack(_END, 0))
    if basic:
        if place > 0xFFFFFFFF:
            raise StudyRejected(Reason.PIXEL_DATA)
        os.pwrite(target, struct.pack(f"<{basic}I", *offsets), start + 8)


def _within(clean: Callable[[bytes], bytes], layout: Layout, *, hides: bool) -> Callable[[bytes], bytes]:
    """Return what cleans a frame, and withholds one with more in it than the header says.

    Args:
        clean: strips the code stream.
        layout: what the header says.
        hides: whether bits above the stored ones are said to hold something. Writers declare more bits than there are for
            images in which nothing hides, so a precision says nothing by itself.
    """

    def checked(data: bytes) -> bytes:
        stripped = clean(data)
        bits, rows, columns, components = read_frame(stripped)
        if rows > layout.rows or columns > layout.columns or components > layout.samples:
            raise StudyRejected(Reason.PIXEL_DATA)
        if hides and bits > layout.stored:
            raise StudyRejected(Reason.PIXEL_DATA)
        return stripped

    return checked


def _embeds_overlays(header: bytes) -> bool:
    """Tell whether an overlay is said to lie in bits of the samples (PS3.3 C.9.2, retired form).

    Searched as bytes in Explicit VR, which all compressed instances have: it costs little, and what is found in the value of
    something else keeps an instance back only where its samples have more bits than they should.
    """
    return any(
        int.from_bytes(match[3], "little") > (match[2] == b"\0")
        and re.search(re.escape(match[1]) + rb"\0\x30O[BW]\0\0", header) is None
        for match in _EMBEDDED.finditer(header)
    )


def _write_extended(source: int, target: int, frames: list[list[tuple[int, int]]], clean: Callable[[bytes], bytes]) -> None:
    """Write ExtendedOffsetTable and its lengths (PS3.3 C.7.6.3.1.8), then the frames with an empty basic table."""
    count = len(frames)
    head = struct.Struct("<HH2sHI")
    write_all(target, head.pack(0x7FE0, 1, b"OV", 0, 8 * count))
    tables = os.lseek(target, 0, os.SEEK_CUR)
    write_all(target, b"\0" * (8 * count) + head.pack(0x7FE0, 2, b"OV", 0, 8 * count) + b"\0" * (8 * count))
    write_all(target, b"\xe0\x7f\x10\x00OB\0\0" + _UNDEFINED + _HEAD.pack(_ITEM, 0))
    offsets: list[int] = []
    lengths: list[int] = []
    place = 0
    for frame in frames:
        data = _clean(source, frame, clean)
        offsets.append(place)
        lengths.append(len(data))
        write_all(target, _HEAD.pack(_ITEM, len(data)) + data)
        place += 8 + len(data)
    write_all(target, _HEAD.pack(_END, 0))
    os.pwrite(target, struct.pack(f"<{count}Q", *offsets), tables)
    os.pwrite(target, struct.pack(f"<{count}Q", *lengths), tables + 8 * count + 12)


def _clean(source: int, frame: list[tuple[int, int]], clean: Callable[[bytes], bytes]) -> bytes:
    if sum(length for _, length in frame) > MAX_FRAME:
        raise StudyRejected(Reason.PIXEL_DATA)
    data = clean(b"".join(os.pread(source, length, offset) for offset, length in frame))
    return data + b"\0" if len(data) & 1 else data


def _fragments(source: int, size: int, pos: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of each item's value; the first is the basic offset table."""
    while True:
        head = os.pread(source, 8, pos)
        if len(head) < 8:
            raise StudyRejected(Reason.TRUNCATED)
        tag, length = _HEAD.unpack(head)
        if tag == _END:
            return
        if tag != _ITEM:
            raise StudyRejected(Reason.PIXEL_DATA)
        if pos + 8 + length > size:
            raise StudyRejected(Reason.TRUNCATED)
        yield pos + 8, length
        pos += 8 + length


def _frames(
    source: int,
    fragments: list[tuple[int, int]],
    table: tuple[int, int],
    count: int,
    extended: bool,
    noted: Mapping[int, bytes],
) -> list[list[tuple[int, int]]]:
    """Return the fragments of each frame."""
    if not fragments or len(fragments) < count:
        raise StudyRejected(Reason.PIXEL_DATA)
    if count == 1:
        return [fragments]
    if len(fragments) == count:
        return [[fragment] for fragment in fragments]
    if extended:
        raw = noted[_EXTENDED]
        starts = set(struct.unpack(f"<{len(raw) // 8}Q", raw[: len(raw) // 8 * 8]))
    elif table[1]:
        raw = os.pread(source, table[1], table[0])
        starts = set(struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4]))
    else:
        # Without a table a frame starts where a code stream does (PS3.5 A.4); a frame in RLE has one fragment anyway.
        first = fragments[0][0]
        starts = {offset - first for offset, _ in fragments if os.pread(source, 3, offset) in _FIRST_BYTES}
    base = fragments[0][0] - 8
    frames: list[list[tuple[int, int]]] = []
    for offset, length in fragments:
        if offset - 8 - base in starts:
            frames.append([])
        if not frames:
            raise StudyRejected(Reason.PIXEL_DATA)
        frames[-1].append((offset, length))
    if len(frames) != count:
        raise StudyRejected(Reason.PIXEL_DATA)
    return frames
