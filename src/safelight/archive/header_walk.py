"""Walks over a DICOM file from element to element, and takes the few values that tell whose it is.

pydicom builds an object for each element; for a look at each of thousands of instances as they arrive that is the larger
part of all the work. Little Endian only, explicit, implicit and deflated; anything unusual is left to pydicom. Not so what
is deflated: pydicom inflates it whole in memory, and a megabyte can hold a gigabyte.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

_TAG: Final = struct.Struct("<HH")
_SHORT: Final = struct.Struct("<H")
_LONG: Final = struct.Struct("<L")
#: VRs whose length has 32 bits in Explicit VR (PS3.5 section 7.1.2).
_LONG_VRS: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TRANSFER_SYNTAX: Final = 0x00020010
_IMPLICIT: Final = b"1.2.840.10008.1.2"
_BIG_ENDIAN: Final = b"1.2.840.10008.1.2.2"
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
#: Values longer than this are not what is looked for.
_LONGEST_VALUE: Final = 1024
#: So much of an inflated data set holds all that is looked for.
_BEGINNING: Final = 4 << 20
#: De-identification, too, inflates no data set further than this size, or this ratio, and sets a larger one aside.
_INFLATED_FREE, _INFLATED_RATIO = 16 << 20, 200
_PIECE: Final = 1 << 18


class Unusual(Exception):
    """Not a file that this walk understands."""


def walk(path: Path, wanted: Collection[int]) -> tuple[dict[int, bytes], bool]:
    """Return the wanted values of the top level as they are written, and whether the last element ends with the file.

    Memory: the pages that hold elements' heads; values are skipped. Of a deflated data set, its first megabytes; of that,
    whole means that all of it can be inflated, as far as anybody inflates it.

    Raises:
        Unusual: the file is not Little Endian, or not what it should be.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise Unusual from None
        with data:
            try:
                return _walk(data, wanted)
            except (struct.error, zlib.error, IndexError, RecursionError):
                raise Unusual from None


def _walk(data: mmap.mmap, wanted: Collection[int]) -> tuple[dict[int, bytes], bool]:
    if data[128:132] != b"DICM" or data[132:140] != b"\x02\x00\x00\x00UL\x04\x00":
        raise Unusual
    start = 144 + _LONG.unpack_from(data, 140)[0]
    meta: dict[int, bytes] = {}
    if _elements(data, 144, start, True, {_TRANSFER_SYNTAX}, meta) != start:
        raise Unusual
    syntax = meta.get(_TRANSFER_SYNTAX, b"").strip(b" \0")
    if not syntax or syntax == _BIG_ENDIAN:
        raise Unusual
    if syntax == _DEFLATED:
        return _deflated(data, start, wanted)
    found: dict[int, bytes] = {}
    end = _elements(data, start, len(data), syntax != _IMPLICIT, wanted, found)
    return found, end == len(data) > start


def _deflated(data: mmap.mmap, at: int, wanted: Collection[int]) -> tuple[dict[int, bytes], bool]:
    """Inflate a data set piece by piece (PS3.5 section A.5) and walk over its beginning."""
    limit = max(_INFLATED_FREE, (len(data) - at) * _INFLATED_RATIO)
    inflater, beginning, size = zlib.decompressobj(-zlib.MAX_WBITS), bytearray(), 0
    while not inflater.eof and size <= limit:
        piece = inflater.unconsumed_tail
        if not piece:
            piece = data[at : at + _PIECE]
            at += len(piece)
        inflated = inflater.decompress(piece, _PIECE)
        if not piece and not inflated:
            return {}, False
        size += len(inflated)
        if len(beginning) < _BEGINNING:
            beginning += inflated
    found: dict[int, bytes] = {}
    # It may end anywhere.
    with suppress(struct.error, Unusual):
        _elements(bytes(beginning), 0, len(beginning), True, wanted, found)
    return found, True


def _elements(
    data: mmap.mmap | bytes, at: int, end: int, explicit: bool, wanted: Collection[int], found: dict[int, bytes]
) -> int:
    """Walk over elements up to ``end`` or the end of an item; return where that is, which may be beyond the file."""
    while at < end:
        tag, at, length, vr = _head(data, at, explicit)
        if tag == _ITEM_END:
            return at
        if length == _UNDEFINED:
            at = _items(data, at, explicit and vr != b"UN")
            continue
        if tag in wanted and length <= _LONGEST_VALUE:
            found[tag] = data[at : at + length]
        at += length
    return at


def _head(data: mmap.mmap | bytes, at: int, explicit: bool) -> tuple[int, int, int, bytes]:
    """Return tag, where the value begins, its length and its VR."""
    group, element = _TAG.unpack_from(data, at)
    tag = group << 16 | element
    if group == 0xFFFE or not explicit:
        return tag, at + 8, _LONG.unpack_from(data, at + 4)[0], b""
    vr = data[at + 4 : at + 6]
    if not (vr.isalpha() and vr.isupper()):
        raise Unusual
    if vr in _LONG_VRS:
        return tag, at + 12, _LONG.unpack_from(data, at + 8)[0], vr
    return tag, at + 8, _SHORT.unpack_from(data, at + 6)[0], vr


def _items(data: mmap.mmap | bytes, at: int, explicit: bool) -> int:
    """Walk over the items of a sequence, or the fragments of pixels, of undefined length (PS3.5 section 7.5.1)."""
    while True:
        tag, at, length, _ = _head(data, at, explicit=False)
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise Unusual
        at = _elements(data, at, len(data), explicit, (), {}) if length == _UNDEFINED else at + length
