"""Colour profiles keep the numbers of their colours and nothing else."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pydicom
import pytest

from safelight.dicom import DeidEngine
from safelight.dicom.icc import SRGB, clean_profile
from tests.dicom.encoding import Item, sequence, text
from tests.dicom.hard import MARK, Maker, put

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def numbers(profile: bytes) -> dict[bytes, bytes]:
    """The tags of a profile that hold numbers."""
    count = struct.unpack_from(">I", profile, 128)[0]
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(count)]
    return {name: profile[at : at + size] for name, at, size in entries if name not in (b"desc", b"cprt", b"priv")}


def with_texts(profile: bytes) -> bytes:
    """The same colours with a maker's name, a date, a private tag and bytes after the end."""
    tags = numbers(profile)
    tags |= {
        b"desc": b"desc\0\0\0\0" + MARK.encode() * 4,
        b"cprt": b"text\0\0\0\0(c) " + MARK.encode(),
        b"priv": MARK.encode(),
    }
    place, table, content = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        padded = data + MARK.encode()[: -len(data) % 4]
        table += name + struct.pack(">II", place + len(content), len(data))
        content += padded + b"\0" * (-len(padded) % 4)
    head = (
        struct.pack(">I", place + len(content))
        + MARK.encode()
        + b"\0"
        + profile[8:24]
        + struct.pack(">6H", 1947, 3, 13, 0, 0, 0)
    )
    return (head + profile[36:80] + MARK.encode()).ljust(128, b"\0") + table + content + MARK.encode() * 3


def test_texts_dates_and_private_tags_go_and_colours_stay() -> None:
    dirty = with_texts(SRGB)
    clean = clean_profile(dirty)
    assert clean is not None
    assert MARK.encode() in dirty
    assert MARK.encode() not in clean
    assert numbers(clean) == numbers(SRGB)
    assert clean_profile(clean) is clean
    assert clean_profile(SRGB) is SRGB


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\0\0\0\x80acsp" + MARK.encode() * 40,
        SRGB[:140],
        SRGB.replace(b"RGB ", b"ZQXX"),
        SRGB[:128] + b"\xff\xff\xff\xff" + SRGB[132:],
        SRGB.replace(b"rTRC", b"priv"),
        SRGB.replace(b"curv", b"text"),
    ],
)
def test_what_is_no_profile_of_colours_does_not_come_out(broken: bytes) -> None:
    assert clean_profile(broken) is None


@pytest.mark.parametrize("dirty", [with_texts(SRGB), (MARK * 40).encode() + b"\0" * 8])
def test_a_slide_keeps_a_colour_profile_in_its_optical_path(research: DeidEngine, tmp_path: Path, dirty: bytes) -> None:
    maker = Maker(random.Random("slide"))
    path = sequence(0x00480105, [Item(0x00282000, "OB", dirty + b"\0" * (len(dirty) % 2)), text(0x00480106, "SH", MARK)])
    volume = text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\VOLUME\\NONE")
    (tmp_path / "in").write_bytes(maker.file(maker.elements(SLIDE, "SM", **put(path, volume))))
    result = research.deidentify(tmp_path / "in", tmp_path / "out")
    assert result.outcome == "written", result.reason
    assert MARK.encode() not in Path(result.path).read_bytes()
    profile = pydicom.dcmread(result.path).OpticalPathSequence[0].ICCProfile
    assert numbers(profile) == numbers(SRGB)
