"""The file around the data set: preamble, file meta group and transfer syntax (PS3.10 section 7.1).

Nothing of it is copied: a fresh preamble of zeros and a fresh group of the elements that must be there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from safelight.dicom.values import element
from safelight.dicom.vr import ALL, LONG_HEADER
from safelight.errors import StudyRejected
from safelight.model import Reason

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
#: Our implementation class, a UUID-derived UID (PS3.5 B.2), and its name.
IMPLEMENTATION_UID: Final = "2.25.280741632409181157834471237498150372541"
IMPLEMENTATION_NAME: Final = "SAFELIGHT_1"
PREAMBLE: Final = b"\0" * 128 + b"DICM"
_SYNTAX: Final = 0x00020010
_CLASS: Final = 0x00020002
_HEAD = struct.Struct("<HH2sH").unpack_from
_LENGTH = struct.Struct("<I").unpack_from


@dataclass(frozen=True)
class Container:
    """Where the data set starts, and how it is encoded. Empty text: the file does not say."""

    start: int
    transfer_syntax: str
    sop_class: str


def read_container(data: bytes) -> Container | None:
    """Read preamble and file meta group from a file's first bytes, or return None where there is no preamble.

    Raises:
        StudyRejected: the group can't be read.
    """
    if data[128:132] != b"DICM":
        return None
    return read_meta(data, 132)


def read_meta(data: bytes, pos: int) -> Container:
    """Read the file meta group, which is always in Explicit VR Little Endian."""
    found: dict[int, str] = {}
    have = len(data)
    while pos + 8 <= have:
        group, number, vr, length = _HEAD(data, pos)
        if group != 2:
            break
        value = pos + 8
        if vr in LONG_HEADER:
            if pos + 12 > have:
                raise StudyRejected(Reason.TRUNCATED)
            length = _LENGTH(data, value)[0]
            value = pos + 12
        elif vr not in ALL:
            raise StudyRejected(Reason.MALFORMED)
        if value + length > have:
            # A private block in group 2 can be long; anything beyond a window of 32 KiB and more is no meta header.
            raise StudyRejected(Reason.TRUNCATED if have < 1 << 15 else Reason.MALFORMED)
        tag = group << 16 | number
        if tag in (_SYNTAX, _CLASS):
            found[tag] = data[value : value + length].decode("latin-1").strip(" \0")
        pos = value + length
    return Container(pos, found.get(_SYNTAX, ""), found.get(_CLASS, ""))


def looks_explicit(data: bytes, pos: int) -> bool:
    """Tell whether the element at ``pos`` has a VR where Explicit VR has it."""
    return data[pos + 4 : pos + 6] in ALL


def check_syntax(data: bytes, pos: int, transfer_syntax: str) -> None:
    """Compare the first element with what the transfer syntax says.

    Raises:
        StudyRejected: they contradict each other, or there is no data set.
    """
    if len(data) < pos + 8:
        raise StudyRejected(Reason.TRUNCATED)
    explicit = looks_explicit(data, pos)
    big = data[pos : pos + 1] == b"\0" and data[pos + 1 : pos + 2] != b"\0"
    if big != (transfer_syntax == EXPLICIT_BIG) or explicit != (transfer_syntax != IMPLICIT_LITTLE):
        raise StudyRejected(Reason.TRANSFER_SYNTAX_MISMATCH)


def meta_group(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Return preamble and file meta group of an output file."""
    before, after = _meta_parts(sop_class, transfer_syntax)
    instance = element(0x00020003, b"UI", sop_instance.encode("ascii"))
    length = struct.pack("<I", len(before) + len(instance) + len(after))
    return b"".join((PREAMBLE, b"\x02\0\0\0UL\x04\0", length, before, instance, after))


@lru_cache(maxsize=256)
def _meta_parts(sop_class: str, transfer_syntax: str) -> tuple[bytes, bytes]:
    before = element(0x00020001, b"OB", b"\0\1") + element(0x00020002, b"UI", sop_class.encode("ascii"))
    after = b"".join(
        (
            element(0x00020010, b"UI", transfer_syntax.encode("ascii")),
            element(0x00020012, b"UI", IMPLEMENTATION_UID.encode("ascii")),
            element(0x00020013, b"SH", IMPLEMENTATION_NAME.encode("ascii")),
        )
    )
    return before, after
