"""Code streams: what a decoder reads stays byte for byte, and nothing else has a place in them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from safelight.dicom import DeidEngine
from safelight.dicom.codestream import strip_jpeg, strip_jpeg2000
from safelight.errors import StudyRejected
from safelight.model import Reason
from tests.dicom.encoding import fragments, number, text
from tests.dicom.hard import MARK, Maker, put
from tests.dicom.hard.pixels import jpeg, jpeg2000

NOISE = bytes(range(0x20, 0x90)) * 3


def segment(code: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(content) + 2) + content


def frame(*middle: bytes, start: int = 0xC0) -> bytes:
    head = b"\xff\xd8" + segment(start, struct.pack(">BHHB", 8, 16, 16, 1) + b"\1\x11\0")
    return head + b"".join(middle) + segment(0xDA, b"\1\1\0\0\x3f\0") + NOISE + b"\xff\xd9"


@pytest.mark.parametrize("code", [0xFE, *range(0xE0, 0xF0), *range(0xF0, 0xF7), *range(0xF9, 0xFE), 0xC8, 0xDC, 0xDE, 0xDF])
def test_a_segment_that_no_decoder_reads_goes(code: int) -> None:
    assert strip_jpeg(frame(segment(code, MARK.encode()))) == frame()


#: Tables of each kind, and some that hold more than they say.
TABLES = {
    0xC4: [bytes(17), b"\0\1\2" + bytes(14) + b"abc", b"\x10\1" + bytes(15) + b"a" + bytes(17)],
    0xCC: [b"\0\x10", b"\0\x10\x10\5"],
    0xDB: [bytes(65), b"\x11" + bytes(128) + bytes(65)],
    0xDD: [b"\0\7"],
}


@pytest.mark.parametrize("code", TABLES)
def test_tables_stay_as_they_are(code: int) -> None:
    for table in TABLES[code]:
        data = frame(segment(code, table))
        assert strip_jpeg(data) == data
        for more in (MARK.encode(), b"\0"):
            with pytest.raises(StudyRejected) as caught:
                strip_jpeg(frame(segment(code, table + more)))
            assert caught.value.reason is Reason.PIXEL_DATA


def test_parameters_of_jpeg_ls_are_of_one_kind() -> None:
    data = frame(segment(0xF8, b"\1" + bytes(10)), segment(0xDD, bytes(4)), start=0xF7)
    assert strip_jpeg(data) == data
    for content in (b"\1" + bytes(10) + MARK.encode(), b"\2\1\1" + MARK.encode(), b"\4\2" + bytes(4), b"\2" + bytes(10)):
        with pytest.raises(StudyRejected):
            strip_jpeg(frame(segment(0xF8, content), start=0xF7))


def test_an_image_has_one_frame_header_before_its_scans() -> None:
    once = frame()
    header = once[2 : once.index(b"\xff\xda")]
    for wrong in (
        frame(header),
        once.replace(header, b""),
        b"\xff\xd8\xff\xd9",
        once.replace(header, header[:5] + b"\0\0" + header[7:]),
    ):
        with pytest.raises(StudyRejected) as caught:
            strip_jpeg(wrong)
        assert caught.value.reason is Reason.PIXEL_DATA


@pytest.mark.parametrize("code", [*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), 0xCD, 0xCE, 0xCF, 0xDA, 0xF7])
def test_a_text_does_not_pass_for_the_header_of_a_frame_or_a_scan(code: int) -> None:
    with pytest.raises(StudyRejected) as caught:
        strip_jpeg(frame(segment(code, f"Photoshop {MARK}".encode())))
    assert caught.value.reason is Reason.PIXEL_DATA


@pytest.mark.parametrize("damage", [b"\xff" + MARK.encode(), b"\xff\xff\xff" + MARK.encode(), b"\xff\x02", b"\xff\xbf"])
def test_what_is_no_marker_does_not_stand_behind_ff(damage: bytes) -> None:
    for data in (frame().replace(NOISE, NOISE + damage + NOISE), frame(damage)):
        with pytest.raises(StudyRejected) as caught:
            strip_jpeg(data)
        assert caught.value.reason is Reason.PIXEL_DATA


def test_jpeg_ls_stuffs_bits_and_jpeg_bytes() -> None:
    stuffed = frame(start=0xF7).replace(NOISE, NOISE + b"\xff\x5a\xff\x7f\xff\0" + NOISE)
    assert strip_jpeg(stuffed) == stuffed
    filled = frame().replace(NOISE, NOISE + b"\xff\0\xff\xd3" + NOISE + b"\xff\xff")
    assert strip_jpeg(filled) == filled


def test_stripping_twice_changes_nothing() -> None:
    maker = Maker(random.Random(3))
    for strip, data in ((strip_jpeg, jpeg(maker)), (strip_jpeg2000, jpeg2000(maker))):
        once = strip(data)
        assert MARK.encode() in data
        assert MARK.encode() not in once
        assert strip(once) == once


@pytest.mark.parametrize("marker", [0xFF02, 0xFF54, 0xFF65, 0xFF71, 0xFF7A, 0xFFFE])
def test_a_segment_that_jpeg_2000_does_not_define_keeps_the_frame_back(marker: int) -> None:
    once = strip_jpeg2000(jpeg2000(Maker(random.Random(3))))
    text = struct.pack(">HH", marker, 2 + len(MARK)) + MARK.encode()
    with pytest.raises(StudyRejected) as caught:
        strip_jpeg2000(once[:2] + once[2:].replace(b"\xff\x52", text + b"\xff\x52", 1))
    assert caught.value.reason is Reason.PIXEL_DATA


@pytest.mark.parametrize("marker", [0xFF55, 0xFF57, 0xFF58, 0xFF63, 0xFF64])
def test_what_no_decoder_of_jpeg_2000_needs_goes(marker: int) -> None:
    once = strip_jpeg2000(jpeg2000(Maker(random.Random(3))))
    hidden = struct.pack(">HH", marker, 2 + len(MARK)) + MARK.encode()
    part = once.index(b"\xff\x90")
    size = struct.unpack_from(">I", once, part + 6)[0]
    in_part = (
        once[: part + 6] + struct.pack(">I", size + len(hidden)) + once[part + 10 : part + 12] + hidden + once[part + 12 :]
    )
    assert strip_jpeg2000(in_part) == once
    in_main = strip_jpeg2000(once[:part] + hidden + once[part:])
    listed = struct.pack(">HHBBHI", 0xFF55, 10, 0, 0x60, 0, size) if marker == 0xFF55 else b""
    assert in_main == once[:part] + listed + once[part:]
    assert strip_jpeg2000(in_main) == in_main


def test_a_tile_part_without_length_ends_at_the_first_end() -> None:
    once = strip_jpeg2000(jpeg2000(Maker(random.Random(3))))
    part = once.index(b"\xff\x90")
    open_ended = once[: part + 6] + bytes(4) + once[part + 10 :]
    assert strip_jpeg2000(open_ended + MARK.encode() + b"\xff\xd9") == open_ended
    with pytest.raises(StudyRejected):
        strip_jpeg2000(open_ended[:-2])


@pytest.mark.parametrize(
    "change", [lambda size: size + MARK.encode(), lambda size: size[:36], lambda size: size[:-1] + b"\0"]
)
def test_the_size_of_a_jpeg_2000_image_says_no_more(change: Callable[[bytes], bytes]) -> None:
    once = strip_jpeg2000(jpeg2000(Maker(random.Random(3))))
    size = once[6 : once.index(b"\xff\x52")]
    changed = change(size)
    with pytest.raises(StudyRejected) as caught:
        strip_jpeg2000(once.replace(b"\0\x29" + size, struct.pack(">H", 2 + len(changed)) + changed))
    assert caught.value.reason is Reason.PIXEL_DATA


@pytest.mark.parametrize(("make", "syntax"), [(jpeg, "1.2.840.10008.1.2.4.50"), (jpeg2000, "1.2.840.10008.1.2.4.90")])
def test_frames_in_pieces_are_told_apart_without_a_table(
    make: Callable[[Maker], bytes], syntax: str, research: DeidEngine, tmp_path: Path
) -> None:
    maker = Maker(random.Random("pieces"))
    frames = [make(maker) for _ in range(3)]
    pieces = [piece for one in frames for piece in (one[: len(one) // 4 * 2], one[len(one) // 4 * 2 :])]
    elements = maker.elements(**put(text(0x00280008, "IS", "3"), number(0x00280100, "US", 8), number(0x00280101, "US", 8)))
    elements = [number(0x00280102, "US", 7) if one.tag == 0x00280102 else one for one in elements if one.tag < 0x7FE00000]
    for tail, outcome in ((fragments(pieces), "written"), (fragments([*pieces, frames[0]]), "set_aside")):
        (tmp_path / "in.dcm").write_bytes(maker.file(elements, syntax=syntax, tail=tail))
        result = research.deidentify(tmp_path / "in.dcm", tmp_path / "out")
        assert result.outcome == outcome
        if outcome == "written":
            after = pydicom.dcmread(result.path)
            found = list(pydicom.encaps.generate_frames(after.PixelData, number_of_frames=3))
            strip = strip_jpeg if make is jpeg else strip_jpeg2000
            assert [one.removesuffix(b"\0") for one in found] == [strip(one).removesuffix(b"\0") for one in frames]
