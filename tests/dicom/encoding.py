"""Writes DICOM byte by byte, so that a test can make what no library would."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
Value = bytes | str | int | float | list["Elements"]


@dataclass(frozen=True)
class Item:
    """One element with whatever VR and value a test wants. ``undefined``: of undefined length."""

    tag: int
    vr: str
    value: bytes | list[Elements]
    undefined: bool = False


Elements = list[Item]


def padded(value: bytes, vr: str) -> bytes:
    return value + (b"\0" if vr in {"UI", "OB", "UN"} else b" ") if len(value) & 1 else value


def text(tag: int, vr: str, value: str, codec: str = "latin-1") -> Item:
    return Item(tag, vr, padded(value.encode(codec), vr))


def number(tag: int, vr: str, *values: float) -> Item:
    code = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "AT": "H"}[vr]
    return Item(tag, vr, struct.pack(f"<{len(values)}{code}", *values))


def sequence(tag: int, *items: Elements, undefined: bool = False, vr: str = "SQ", sort: bool = True) -> Item:
    return Item(tag, vr, [sorted(item, key=lambda one: one.tag) if sort else item for item in items], undefined)


def encode(elements: Iterable[Item], *, implicit: bool = False, big: bool = False) -> bytes:
    return b"".join(encode_one(one, implicit=implicit, big=big) for one in elements)


def encode_one(one: Item, *, implicit: bool = False, big: bool = False) -> bytes:
    order = ">" if big else "<"
    if isinstance(one.value, list):
        # Of unknown VR: Implicit VR Little Endian wherever it is (PS3.5 section 6.2.2).
        unknown = one.vr == "UN"
        inner, swapped = implicit or unknown, big and not unknown
        body = b"".join(_item(item, implicit=inner, big=swapped, undefined=one.undefined) for item in one.value)
        if one.undefined:
            body += struct.pack(">HHI" if swapped else "<HHI", 0xFFFE, 0xE0DD, 0)
    else:
        body = _swapped(one.value, one.vr) if big else one.value
    length = 0xFFFFFFFF if one.undefined else len(body)
    head = struct.pack(order + "HH", one.tag >> 16, one.tag & 0xFFFF)
    if implicit:
        return head + struct.pack(order + "I", length) + body
    if one.vr in LONG:
        return head + one.vr.encode() + b"\0\0" + struct.pack(order + "I", length) + body
    return head + one.vr.encode() + struct.pack(order + "H", length) + body


def _item(item: Elements, *, implicit: bool, big: bool, undefined: bool) -> bytes:
    order = ">" if big else "<"
    body = encode(item, implicit=implicit, big=big)
    head = struct.pack(order + "HHI", 0xFFFE, 0xE000, 0xFFFFFFFF if undefined else len(body))
    return head + body + (struct.pack(order + "HHI", 0xFFFE, 0xE00D, 0) if undefined else b"")


def _swapped(value: bytes, vr: str) -> bytes:
    width = {"US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "FD": 8, "OD": 8}.get(vr, 1)
    return b"".join(value[at : at + width][::-1] for at in range(0, len(value), width))


def part10(
    body: bytes,
    *,
    syntax: str = EXPLICIT,
    sop_class: str = "1.2.840.10008.5.1.4.1.1.2",
    sop_uid: str = "1.2.3",
    preamble: bytes = b"\0" * 128,
    more_meta: Iterable[Item] = (),
) -> bytes:
    meta = [
        Item(0x00020001, "OB", b"\0\1"),
        text(0x00020002, "UI", sop_class),
        text(0x00020003, "UI", sop_uid),
        text(0x00020010, "UI", syntax),
        text(0x00020012, "UI", "1.2.3.4"),
        *more_meta,
    ]
    group = encode(sorted(meta, key=lambda one: one.tag))
    return preamble + b"DICM" + encode([number(0x00020000, "UL", len(group))]) + group + body


def fragments(frames: Iterable[bytes], *, table: bool = False) -> bytes:
    """Encapsulate frames, one fragment each."""
    frames = [frame + b"\0" if len(frame) & 1 else frame for frame in frames]
    offsets = b""
    if table:
        place = 0
        for frame in frames:
            offsets += struct.pack("<I", place)
            place += 8 + len(frame)
    items = [offsets, *frames]
    body = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(one)) + one for one in items)
    return b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + body + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
