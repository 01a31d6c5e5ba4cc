"""The slow path: deflated, big endian and headerless files become Explicit or Implicit VR Little Endian first.

They go to an unnamed temporary file beside the output and from there through the same rules; memory stays flat.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from safelight.dicom.container import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Container,
    looks_explicit,
    read_container,
    read_meta,
)
from safelight.dicom.instance import DataSet
from safelight.dicom.pixels import copy_bytes, write_all
from safelight.dicom.skip import MORE, UNDEFINED, skip_undefined
from safelight.dicom.vr import ALL, LONG_HEADER
from safelight.errors import StudyRejected
from safelight.model import Reason

CHUNK: Final = 1 << 20
#: Deflate's best on real headers and pixels is far below this; a bomb's is far above.
MAX_RATIO: Final = 200
#: Below this size the ratio does not matter.
RATIO_FREE: Final = 1 << 24
MAX_DEPTH: Final = 64
#: Bytes of a sequence that is not taken element by element.
MAX_UNKNOWN: Final = 1 << 24
_SWAPS: Final = {
    **dict.fromkeys((b"US", b"SS", b"OW"), 2), **dict.fromkeys((b"UL", b"SL", b"FL", b"OF", b"OL"), 4),
    **dict.fromkeys((b"FD", b"OD", b"SV", b"UV", b"OV"), 8), b"AT": 2,
}  # fmt: skip
_BIG = struct.Struct(">HH2sH")
_LITTLE = struct.Struct("<HH2sH")


@contextmanager
def recoded(source: int, size: int, folder: str, *, bare: bool) -> Iterator[DataSet]:
    """Give the same data set in little endian, starting at offset 0.

    Args:
        source: descriptor of the input.
        size: its bytes.
        folder: where the temporary file may be.
        bare: the file has no preamble.

    Raises:
        StudyRejected: not DICOM, a bomb, or cut off.
    """
    data = os.pread(source, 1 << 16, 0)
    container = read_bare(data) if bare else read_container(data)
    if container is None:
        raise StudyRejected(Reason.NOT_DICOM)
    syntax = container.transfer_syntax or _guess(data, container.start)
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    with tempfile.TemporaryFile(dir=folder) as stream:
        target = stream.fileno()
        inflated = syntax == DEFLATED
        if inflated:
            _inflate(source, size, container.start, target)
            syntax = EXPLICIT_LITTLE
            _expect_explicit(target)
        elif syntax == EXPLICIT_BIG:
            head = data[container.start : container.start + 6]
            if head[:1] != b"\0" or head[4:6] not in ALL:
                raise StudyRejected(Reason.TRANSFER_SYNTAX_MISMATCH)
            _Swapper(source, size, target).run(container.start)
            syntax = EXPLICIT_LITTLE
        elif syntax in (IMPLICIT_LITTLE, EXPLICIT_LITTLE):
            copy_bytes(source, target, container.start, size - container.start)
        else:
            raise StudyRejected(Reason.TRANSFER_SYNTAX_UNSUPPORTED)
        yield DataSet(target, os.fstat(target).st_size, 0, syntax, inflated)


def read_bare(data: bytes) -> Container | None:
    """Recognise a file without preamble: a meta group or a data set at offset 0."""
    group, number, vr, _length = _LITTLE.unpack_from(data.ljust(8, b"\0"))
    if group == 2 and vr in ALL:
        return read_meta(data, 0)
    if group == 8 and number <= 0x1100 and (vr in ALL or int.from_bytes(data[4:8], "little") <= len(data)):
        return Container(0, "", "")
    if data[:2] == b"\0\x08" and data[4:6] in ALL:
        return Container(0, EXPLICIT_BIG, "")
    return None


def _guess(data: bytes, start: int) -> str:
    if data[start : start + 1] == b"\0" and data[start + 4 : start + 6] in ALL:
        return EXPLICIT_BIG
    return EXPLICIT_LITTLE if looks_explicit(data, start) else IMPLICIT_LITTLE


def _inflate(source: int, size: int, offset: int, target: int) -> None:
    limit = max(RATIO_FREE, (size - offset) * MAX_RATIO)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    written = 0
    try:
        while not inflater.eof:
            data = inflater.unconsumed_tail
            if not data:
                data = os.pread(source, CHUNK, offset)
                offset += len(data)
                if not data:
                    raise StudyRejected(Reason.TRUNCATED)
            out = inflater.decompress(data, CHUNK)
            written += len(out)
            if written > limit:
                raise StudyRejected(Reason.INFLATE_LIMIT)
            write_all(target, out)
    except zlib.error:
        raise StudyRejected(Reason.TRANSFER_SYNTAX_MISMATCH) from None


def _expect_explicit(target: int) -> None:
    data = os.pread(target, 8, 0)
    if len(data) < 8 or not looks_explicit(data, 0):
        raise StudyRejected(Reason.TRANSFER_SYNTAX_MISMATCH)


class _Swapper:
    """Rewrites Explicit VR Big Endian as Explicit VR Little Endian, element by element (PS3.5 section 7.3)."""

    def __init__(self, source: int, size: int, target: int) -> None:
        self._source = source
        self._size = size
        self._target = target

    def run(self, start: int) -> None:
        """Convert the data set from an offset to the end of the file."""
        self._elements(start, self._size, 0)

    def _elements(self, pos: int, end: int, depth: int) -> int:
        """Convert elements up to ``end`` or an item delimiter; return the offset after them."""
        if depth > MAX_DEPTH:
            raise StudyRejected(Reason.NESTING_LIMIT)
        while pos < end:
            head = os.pread(self._source, 12, pos)
            if len(head) < 8:
                raise StudyRejected(Reason.TRUNCATED)
            group, number, vr, length = _BIG.unpack_from(head)
            if group == 0xFFFE:
                self._emit(struct.pack("<HHI", group, number, 0))
                return pos + 8
            if vr not in ALL:
                raise StudyRejected(Reason.MALFORMED)
            value = pos + 8
            if vr in LONG_HEADER:
                if len(head) < 12:
                    raise StudyRejected(Reason.TRUNCATED)
                length = struct.unpack_from(">I", head, 8)[0]
                value = pos + 12
                self._emit(_LITTLE.pack(group, number, vr, 0) + struct.pack("<I", length))
            else:
                self._emit(_LITTLE.pack(group, number, vr, length))
            if vr == b"SQ":
                pos = self._items(value, self._size if length == UNDEFINED else value + length, length, depth + 1)
                continue
            if vr == b"UN" and length == UNDEFINED:
                pos = self._unknown_sequence(value)
                continue
            if length == UNDEFINED:
                raise StudyRejected(Reason.MALFORMED)
            if value + length > self._size:
                raise StudyRejected(Reason.TRUNCATED)
            self._values(value, length, _SWAPS.get(vr, 1))
            pos = value + length
        return pos

    def _items(self, pos: int, end: int, length: int, depth: int) -> int:
        if end > self._size:
            raise StudyRejected(Reason.TRUNCATED)
        while pos < end:
            head = os.pread(self._source, 8, pos)
            if len(head) < 8:
                raise StudyRejected(Reason.TRUNCATED)
            group, number, size = struct.unpack(">HHI", head)
            self._emit(struct.pack("<HHI", group, number, size))
            pos += 8
            if (group, number) == (0xFFFE, 0xE0DD):
                return pos
            if (group, number) != (0xFFFE, 0xE000):
                raise StudyRejected(Reason.MALFORMED)
            if size != UNDEFINED and pos + size > end:
                raise StudyRejected(Reason.MALFORMED)
            pos = self._elements(pos, end if size == UNDEFINED else pos + size, depth)
        if length == UNDEFINED:
            raise StudyRejected(Reason.TRUNCATED)
        return pos

    def _unknown_sequence(self, pos: int) -> int:
        """Copy a sequence whose VR its writer did not know: Implicit VR Little Endian in any file (PS3.5 section 6.2.2)."""
        for size in (CHUNK, MAX_UNKNOWN):
            data = os.pread(self._source, size, pos)
            end = skip_undefined(data, 0, True, MAX_DEPTH)
            if end != MORE:
                self._emit(data[:end])
                return pos + end
        raise StudyRejected(Reason.TRUNCATED if len(data) < MAX_UNKNOWN else Reason.MALFORMED)

    def _values(self, pos: int, length: int, width: int) -> None:
        while length > 0:
            data = os.pread(self._source, min(CHUNK, length), pos)
            if not data:
                raise StudyRejected(Reason.TRUNCATED)
            self._emit(_swapped(data, width))
            pos += len(data)
            length -= len(data)

    def _emit(self, data: bytes) -> None:
        write_all(self._target, data)


def _swapped(data: bytes, width: int) -> bytes:
    if width == 1 or len(data) % width:
        return data
    out = bytearray(len(data))
    for index in range(width):
        out[index::width] = data[width - 1 - index :: width]
    return bytes(out)
