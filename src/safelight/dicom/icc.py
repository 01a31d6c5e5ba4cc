"""Colour profiles (ICCProfile): the numbers that colours need, without the texts, dates and private data around them.

A profile is built anew from the tags that hold numbers and whose size follows from what they say (ICC.1:2010, sections
7 to 10), each checked. Where that leaves no colour transform, or where a class must have a profile and the instance's can't
be read, the colour space of the web (sRGB, IEC 61966-2-1) stands in.
"""

from __future__ import annotations

import struct
from typing import Final

_NUMBERS = struct.Struct(">4sII").unpack_from
_HEADER: Final = 128
_MOST_TAGS: Final = 64
_CLASSES: Final = frozenset((b"scnr", b"mntr", b"prtr", b"spac"))
_SPACES: Final = frozenset((b"RGB ", b"GRAY"))
_PCS: Final = frozenset((b"XYZ ", b"Lab "))
_KEPT: Final = frozenset((
    b"A2B0", b"A2B1", b"A2B2", b"bTRC", b"bXYZ", b"bkpt", b"chad", b"gTRC", b"gXYZ", b"kTRC", b"lumi", b"rTRC", b"rXYZ",
    b"wtpt",
))  # fmt: skip
_MATRIX: Final = frozenset((b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"))
#: Numbers that each kind of parametric curve has (section 10.15).
_PARAMETERS: Final = (1, 3, 4, 5, 7)
#: Section 7.2.16: the illuminant of the connection space is D50.
_D50: Final = struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
_DATE: Final = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def clean_profile(raw: bytes) -> bytes | None:
    """Return a profile of the same colours that holds nothing else, or None where this one can't be read.

    The same object comes back where nothing had to go, as after an earlier run.
    """
    size = int.from_bytes(raw[:4], "big")
    if len(raw) < _HEADER + 4 or raw[36:40] != b"acsp" or size > len(raw) or size < _HEADER + 4:
        return None
    kind, space, pcs = raw[12:16], raw[16:20], raw[20:24]
    count = int.from_bytes(raw[_HEADER : _HEADER + 4], "big")
    if kind not in _CLASSES or space not in _SPACES or pcs not in _PCS or raw[8] not in (2, 4) or count > _MOST_TAGS:
        return None
    if size < _HEADER + 4 + 12 * count:
        return None
    tags = {}
    for index in range(count):
        name, offset, length = _NUMBERS(raw, _HEADER + 4 + 12 * index)
        if name in _KEPT and offset + length <= size and (data := _numbers(raw[offset : offset + length])):
            tags[name] = data
    if not (tags.keys() >= _MATRIX or b"A2B0" in tags or (space == b"GRAY" and b"kTRC" in tags)):
        return None
    made = _profile(kind, space, pcs, tags)
    return raw if made == raw.ljust(len(made), b"\0") else made


def _numbers(data: bytes) -> bytes:
    """Return the element as long as what it says needs, or nothing where it is not one of numbers."""
    kind = data[:4]
    if kind == b"XYZ ":
        return _exact(data, 20)
    if kind == b"sf32":
        return _exact(data, 44)
    if kind == b"curv" and len(data) >= 12:
        count = int.from_bytes(data[8:12], "big")
        curve = _exact(data, 12 + 2 * count)
        points = struct.unpack_from(f">{count}H", curve, 12) if curve else ()
        # A tone curve rises; what does not is something else.
        return curve if list(points) == sorted(points) else b""
    if kind == b"para" and len(data) >= 12:
        function = int.from_bytes(data[8:10], "big")
        return _exact(data, 12 + 4 * _PARAMETERS[function]) if function < len(_PARAMETERS) else b""
    if kind in (b"mft1", b"mft2") and len(data) >= 52:
        inputs, outputs, grid = data[8:11]
        width, head, steps = (1, 48, (256, 256)) if kind == b"mft1" else (2, 52, struct.unpack_from(">HH", data, 48))
        return _exact(data, head + width * (inputs * steps[0] + grid**inputs * outputs + outputs * steps[1]))
    return b""


def _exact(data: bytes, length: int) -> bytes:
    return data[:4] + b"\0" * 4 + data[8:length] if len(data) >= length else b""


def _text(name: str) -> bytes:
    raw = name.encode("ascii") + b"\0"
    return b"desc" + struct.pack(">II", 0, len(raw)) + raw + b"\0" * (4 + 4 + 2 + 1 + 67)


def _profile(kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Lay out a profile of version 2: header, table of tags, tags at multiples of four."""
    tags = {**tags, b"desc": _text("Removed"), b"cprt": b"text\0\0\0\0Removed\0"}
    place = _HEADER + 4 + 12 * len(tags)
    table = [struct.pack(">I", len(tags))]
    content = []
    for name, data in sorted(tags.items()):
        table.append(name + struct.pack(">II", place, len(data)))
        content.append(data + b"\0" * (-len(data) % 4))
        place += len(content[-1])
    header = struct.pack(">I", place) + b"\0" * 4 + b"\x02\x40\0\0" + kind + space + pcs + _DATE + b"acsp"
    header += b"\0" * (68 - len(header)) + _D50
    return header.ljust(_HEADER, b"\0") + b"".join(table) + b"".join(content)


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


_GAMMA: Final = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))
#: What stands where a class must have a profile and the instance's may not come out.
SRGB: Final = _profile(
    b"mntr", b"RGB ", b"XYZ ",
    {
        b"rXYZ": _xyz(0.4361, 0.2225, 0.0139), b"gXYZ": _xyz(0.3851, 0.7169, 0.0971), b"bXYZ": _xyz(0.1431, 0.0606, 0.7141),
        b"wtpt": _xyz(0.9642, 1.0, 0.8249), b"rTRC": _GAMMA, b"gTRC": _GAMMA, b"bTRC": _GAMMA,
    },
)  # fmt: skip
