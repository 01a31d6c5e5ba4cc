"""Pixel data of uncompressed instances: exactly as long as the frames need, copied inside the kernel."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from safelight.dicom.skip import UNDEFINED
from safelight.errors import StudyRejected
from safelight.model import Reason

CHUNK: Final = 1 << 18
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_SAMPLES: Final = 0x00280002
_PHOTOMETRIC: Final = 0x00280004
_FRAMES: Final = 0x00280008
_ALLOCATED: Final = 0x00280100
_STORED: Final = 0x00280101
_HIGH: Final = 0x00280102
_REPRESENTATION: Final = 0x00280103
_NEEDED: Final = (_ROWS, _COLUMNS, _SAMPLES, _ALLOCATED, _STORED, _HIGH, _REPRESENTATION, _FRAMES, _PHOTOMETRIC)
PIXEL_DATA: Final = 0x7FE00010
FLOAT_PIXELS: Final = 0x7FE00008
DOUBLE_PIXELS: Final = 0x7FE00009
#: Tag, VR, length and offset of the value.
PixelElement = tuple[int, bytes, int, int]


def image_element(
    source: int, found: PixelElement | None, types: Mapping[int, str], noted: Mapping[int, bytes]
) -> PixelElement | None:
    """Return the element that holds an instance's pixels, or None where its storage class has none.

    No rule on burned-in text looks at what stands in such an element, so it does not come out.

    Args:
        source: descriptor of the input.
        found: the first element of pixels in it.
        types: the attributes of the storage class; empty where they are not known.
        noted: values of the header.

    Raises:
        StudyRejected: an image without pixels was cut between two elements; one with two kinds of them has two images.
    """
    if found is None:
        # Without rows an instance is no image: a dose of histograms only (PS3.3 C.8.8.3).
        if PIXEL_DATA in types and noted.get(_ROWS):
            raise StudyRejected(Reason.TRUNCATED)
        return None
    if types and types.keys().isdisjoint((PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS)):
        return None
    tag, _, length, value = found
    if tag != PIXEL_DATA and (length == UNDEFINED or os.pread(source, 2, value + length) == b"\xe0\x7f"):
        raise StudyRejected(Reason.PIXEL_DATA)
    return found


@dataclass(frozen=True)
class Layout:
    """How the frames lie in the pixel data (PS3.3 C.7.6.3, PS3.5 section 8.1.1).

    ``allocated``, ``stored`` and ``high`` are bits of a sample; ``high`` is the position of its highest one.
    """

    rows: int
    columns: int
    samples: int
    frames: int
    allocated: int
    stored: int
    high: int
    signed: bool
    subsampled: bool

    @cached_property
    def length(self) -> int:
        """Bytes of all frames, without padding."""
        pixels = self.rows * self.columns * self.frames
        if self.subsampled:
            # PS3.3 C.7.6.3.1.2: two luminance samples share one pair of chrominance samples.
            return pixels * 2 * self.allocated // 8
        return (pixels * self.samples * self.allocated + 7) // 8

    @cached_property
    def masks(self) -> bool:
        """Whether samples have bits that belong to no pixel: overlays were kept there (PS3.3 C.9.2, retired form)."""
        return self.allocated in (8, 16, 32) and self.stored < self.allocated


def read_layout(noted: Mapping[int, bytes], tag: int) -> Layout:
    """Read the layout from noted values.

    Raises:
        StudyRejected: an attribute that the pixels need is missing or makes no sense.
    """
    return _layout(tag, *[noted.get(one, b"") for one in _NEEDED])


@lru_cache(maxsize=256)
def _layout(
    tag: int,
    rows: bytes,
    columns: bytes,
    samples: bytes,
    allocated: bytes,
    stored: bytes,
    high: bytes,
    representation: bytes,
    frames: bytes,
    photometric: bytes,
) -> Layout:
    """All instances of a series give the same answer."""
    bits = {FLOAT_PIXELS: 32, DOUBLE_PIXELS: 64}.get(tag) or _number(allocated)
    used = bits if tag != PIXEL_DATA else _number(stored, bits)
    try:
        count = int(frames.strip(b" \0") or b"1")
    except ValueError:
        raise StudyRejected(Reason.PIXEL_DATA) from None
    layout = Layout(
        _number(rows),
        _number(columns),
        _number(samples, 1),
        count,
        bits,
        used,
        _number(high, used - 1) if tag == PIXEL_DATA else bits - 1,
        signed=_number(representation) == 1,
        subsampled=photometric.strip(b" \0") in (b"YBR_FULL_422", b"YBR_PARTIAL_422") and _number(samples, 1) == 3,
    )
    if min(layout.rows, layout.columns, layout.samples, layout.frames) < 1 or bits not in _ALLOWED:
        raise StudyRejected(Reason.PIXEL_DATA)
    # Where a sample fills its cell, no bit is without a place, whatever the high bit is said to be.
    if not 0 < used <= bits or (used < bits and not used - 1 <= layout.high < bits):
        raise StudyRejected(Reason.PIXEL_DATA)
    return layout


_ALLOWED: Final = frozenset((1, 8, 16, 32, 64))


def _number(raw: bytes, default: int = 0) -> int:
    return int.from_bytes(raw, "little") if len(raw) == 2 else default


def native_header(tag: int, vr: bytes, layout: Layout) -> bytes:
    """Return the header of the pixel element, for the length that its frames need."""
    length = layout.length + (layout.length & 1)
    if length > 0xFFFFFFFE:
        raise StudyRejected(Reason.PIXEL_DATA)
    if tag == FLOAT_PIXELS:
        vr = b"OF"
    elif tag == DOUBLE_PIXELS:
        vr = b"OD"
    elif vr not in (b"OB", b"OW") or (vr == b"OB" and layout.allocated > 8):
        vr = b"OW"
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, length)


def write_all(target: int, data: bytes | memoryview) -> None:
    """Write all bytes: the kernel may take fewer at a time."""
    done = os.write(target, data)
    while done < len(data):
        done += os.write(target, memoryview(data)[done:])


def copy_bytes(source: int, target: int, offset: int, count: int) -> None:
    """Copy bytes between files inside the kernel; flat memory.

    Raises:
        StudyRejected: the source ends too early.
    """
    while count > 0:
        sent = os.sendfile(target, source, offset, min(count, 1 << 30))
        if sent == 0:
            raise StudyRejected(Reason.TRUNCATED)
        offset += sent
        count -= sent


class PixelCopier:
    """Copies uncompressed samples through one buffer that stays in the processor's cache, looking at every bit.

    Costs no more than a copy inside the kernel, which goes page by page: a check reads what the copy has just brought into
    the cache.
    """

    def __init__(self) -> None:
        self._buffer = bytearray(CHUNK)
        self._words = np.frombuffer(self._buffer, dtype="<u8")

    def copy(self, source: int, target: int, offset: int, layout: Layout) -> bool:
        """Copy the samples, clearing bits that belong to no pixel; tell whether any was set.

        Above the high bit of a signed sample its sign repeats, so that is what comes out there (PS3.5 section 8.1.1).

        Raises:
            StudyRejected: the source ends too early.
        """
        # Where a sample fills its cell, no bit is without a place, whatever the high bit is said to be.
        shift, sample = sample_bits(layout) if layout.masks else (0, -1)
        unused = ~sample & ((1 << layout.allocated) - 1)
        unused_words = sum(unused << place for place in range(0, 64, layout.allocated))
        remaining = layout.length
        changed = False
        view = memoryview(self._buffer)
        while remaining > 0:
            count = os.preadv(source, [view[: min(CHUNK, remaining)]], offset)
            # A short read can end inside a sample; the rest of it is read again with the next chunk.
            count -= count % 8 if count < remaining else 0
            if count <= 0:
                raise StudyRejected(Reason.TRUNCATED)
            if unused_words:
                if count % 8:
                    self._buffer[count : count + 8 - count % 8] = bytes(8 - count % 8)
                words = self._words[: (count + 7) // 8]
                if int(np.bitwise_or.reduce(words)) & unused_words:
                    changed = _clear(words, layout, shift, sample) or changed
            write_all(target, view[:count])
            offset += count
            remaining -= count
        return changed


def clear_unused(frame: bytes, layout: Layout) -> bytes:
    """Return samples with the bits cleared that belong to no pixel."""
    buffer = bytearray(frame + bytes(-len(frame) % 8))
    _clear(np.frombuffer(buffer, dtype="<u8"), layout, *sample_bits(layout))
    return bytes(buffer[: len(frame)])


def sample_bits(layout: Layout) -> tuple[int, int]:
    """Return the position of a sample's lowest bit, and the mask of its bits."""
    shift = layout.high + 1 - layout.stored
    return shift, ((1 << layout.stored) - 1) << shift


def _clear(words: npt.NDArray[np.uint64], layout: Layout, shift: int, mask: int) -> bool:
    code = {8: "u1", 16: "<u2", 32: "<u4"}[layout.allocated]
    samples = words.view(code)
    if layout.signed and shift == 0:
        signed = samples.view(code.replace("u", "i"))
        bits = layout.allocated - layout.stored
        new = ((signed << bits) >> bits).view(code)
    else:
        new = samples & np.array(mask, dtype=code)
    if np.array_equal(new, samples):
        return False
    samples[:] = new
    return True
