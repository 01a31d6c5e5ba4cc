"""Pixels end where they end: bytes of something else that came to lie inside them keep an instance back."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from safelight.dicom import DeidEngine
from safelight.model import InstanceResult, Reason
from tests.dicom.encoding import DEFLATED, EXPLICIT, IMPLICIT, Item, encode, part10, sequence, text
from tests.dicom.hard import MARK, Maker

BEHIND = {
    "text": f"{MARK}123456 Hospital".encode(),
    "private": encode([text(0x7FE10010, "LO", "ACME"), text(0x7FE11001, "LO", f"{MARK}123456")]),
    "padding": encode([Item(0xFFFCFFFC, "OB", f"{MARK}123456".encode() * 4)]),
    "sequence": encode([sequence(0x7FE11001, [text(0x00100010, "PN", f"{MARK}123456")], undefined=True, vr="UN")]),
}


def run(engine: DeidEngine, folder: Path, data: bytes) -> InstanceResult:
    source = folder / "in"
    source.write_bytes(data)
    results = [engine.deidentify(source, folder / "out") for _ in range(2)]
    assert results[0] == results[1]
    return results[0]


def without(data: bytes, count: int, behind: bytes) -> bytes:
    """Take bytes out of the middle of the pixels."""
    middle = len(data) - len(behind) - 256
    return data[:middle] + data[middle + count :]


@pytest.mark.parametrize("behind", BEHIND)
def test_whatever_stands_behind_the_pixels_stays_there(behind: str, research: DeidEngine, tmp_path: Path) -> None:
    maker = Maker(random.Random(1))
    for syntax in (EXPLICIT, IMPLICIT) if behind == "text" else (EXPLICIT,):
        result = run(research, tmp_path, maker.file(maker.elements(), syntax=syntax, tail=BEHIND[behind]))
        assert result.outcome == "written"
        assert MARK.encode() not in Path(result.path).read_bytes()


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("count", [12, 13, 20, 28])
def test_pixels_that_lost_bytes_do_not_take_those_behind_them(
    behind: str, count: int, research: DeidEngine, tmp_path: Path
) -> None:
    maker = Maker(random.Random(1))
    tail = BEHIND[behind]
    result = run(research, tmp_path, without(maker.file(maker.elements(), tail=tail), min(count, len(tail) - 4), tail))
    assert result.reason in {Reason.PIXEL_DATA, Reason.TRUNCATED}


def test_implicit_elements_behind_the_pixels_are_told_from_them(research: DeidEngine, tmp_path: Path) -> None:
    maker = Maker(random.Random(1))
    tail = encode([text(0x7FE10010, "LO", "ACME"), text(0x7FE11001, "LO", f"{MARK}123456")], implicit=True)
    whole = maker.file(maker.elements(), syntax=IMPLICIT, tail=tail)
    assert run(research, tmp_path, whole).outcome == "written"
    assert run(research, tmp_path, without(whole, 12, tail)).reason is Reason.PIXEL_DATA


def test_a_deflate_stream_that_repeats_its_header_does_not_come_out(research: DeidEngine, tmp_path: Path) -> None:
    maker = Maker(random.Random(1))
    elements = maker.elements()
    body = encode(elements)

    def deflated(data: bytes) -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        return part10(packer.compress(data) + packer.flush(), syntax=DEFLATED)

    assert run(research, tmp_path, deflated(body)).outcome == "written"
    name = next(one.value for one in elements if one.tag == 0x00100010)
    assert isinstance(name, bytes)
    # What a back-reference with a wrong distance does.
    repeated = body[:-300] + name + body[len(name) - 300 :]
    assert run(research, tmp_path, deflated(repeated)).reason is Reason.PIXEL_DATA
