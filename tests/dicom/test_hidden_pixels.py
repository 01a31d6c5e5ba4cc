"""What hides in pixel data and is no pixel: bits, segments, tables and areas beyond the image, images that are none."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from safelight.dicom import DeidEngine, verify_file
from safelight.dicom.codestream import strip_jpeg
from safelight.model import InstanceResult, Reason
from tests.dicom.encoding import Elements, Item, fragments, number
from tests.dicom.hard import MARK, Maker, put
from tests.dicom.hard.pixels import jpeg, jpeg2000

RLE = "1.2.840.10008.1.2.5"
SECRET = f"{MARK}^JOHN 19470313 ".encode() * 40


def deid(engine: DeidEngine, folder: Path, data: bytes) -> InstanceResult:
    """De-identify twice, with the same result and the same bytes."""
    source = folder / "in.dcm"
    source.write_bytes(data)
    results, outputs = [], []
    for again in range(2):
        results.append(engine.deidentify(source, folder / f"out{again}"))
        outputs.append(Path(results[-1].path).read_bytes() if results[-1].path else b"")
    assert outputs[0] == outputs[1]
    assert results[0].reason == results[1].reason
    assert SECRET[:8] not in outputs[0]
    return results[0]


def written(result: InstanceResult) -> Path:
    assert result.outcome == "written", result.reason
    assert verify_file(Path(result.path)) == []
    return Path(result.path)


def runs(plane: bytes) -> bytes:
    """PackBits: a replicate run first where there can be one, then literal ones."""
    out = b""
    if plane[:3] == plane[:1] * 3:
        out, plane = bytes((254, plane[0])), plane[3:]
    return out + b"".join(
        bytes((len(part) - 1,)) + part for part in (plane[at : at + 100] for at in range(0, len(plane), 100))
    )


def rle(*planes: bytes) -> bytes:
    segments = [one + b"\0" * (len(one) & 1) for one in map(runs, planes)]
    offsets = [64 + sum(map(len, segments[:at])) for at in range(len(segments))]
    return struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def bits(allocated: int, stored: int, high: int, signed: int = 0, *more: Item) -> dict[str, Item | None]:
    return put(
        number(0x00280100, "US", allocated),
        number(0x00280101, "US", stored),
        number(0x00280102, "US", high),
        number(0x00280103, "US", signed),
        *more,
    )


def compressed(maker: Maker, frame: bytes, syntax: str, header: dict[str, Item | None]) -> bytes:
    elements: Elements = [one for one in maker.elements(**header) if one.tag < 0x7FE00000]
    return maker.file(elements, syntax=syntax, tail=fragments([frame]))


@pytest.mark.parametrize(("allocated", "segments"), [(8, 2), (8, 3), (16, 3), (16, 15), (16, 1)])
def test_an_rle_frame_has_a_segment_for_each_byte_of_a_pixel(
    allocated: int, segments: int, research: DeidEngine, tmp_path: Path
) -> None:
    maker = Maker(random.Random("segments"))
    right = [bytes(range(256))] * (allocated // 8)
    header = bits(allocated, allocated, allocated - 1)
    written(deid(research, tmp_path, compressed(maker, rle(*right), RLE, header)))
    wrong = [*right, *[SECRET[:256]] * 15][:segments]
    assert deid(research, tmp_path, compressed(maker, rle(*wrong), RLE, header)).reason is Reason.PIXEL_DATA


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize(
    ("allocated", "stored", "high"),
    [(8, 7, 6), (16, 12, 11), (16, 10, 9), (16, 12, 15), (16, 8, 7), (16, 5, 4), (32, 20, 19)],
)
def test_bits_of_no_pixel_come_out_of_rle_as_out_of_uncompressed_samples(
    allocated: int, stored: int, high: int, signed: int, research: DeidEngine, tmp_path: Path
) -> None:
    maker = Maker(random.Random("bits"))
    width = allocated // 8
    raw = bytearray(maker.random.randrange(256) for _ in range(256 * width))
    if stored <= allocated - 8:
        raw[width - 1 :: width] = SECRET[:256]
    raw[: 3 * width] = raw[:width] * 3
    header = bits(allocated, stored, high, signed)
    elements = maker.elements(**{**header, **put(Item(0x7FE00010, "OB" if width == 1 else "OW", bytes(raw)))})
    native = pydicom.dcmread(written(deid(research, tmp_path, maker.file(elements)))).PixelData
    assert native != raw
    planes = [bytes(raw[place::width]) for place in reversed(range(width))]
    out = written(deid(research, tmp_path, compressed(maker, rle(*planes), RLE, header)))
    subprocess.run(["dcmdrle", out, tmp_path / "plain.dcm"], check=True, timeout=30)
    assert pydicom.dcmread(tmp_path / "plain.dcm").PixelData == native
    # What holds nothing but its pixels stays byte for byte.
    clean = rle(*(native[place::width] for place in reversed(range(width))))
    out = written(deid(research, tmp_path, compressed(maker, clean, RLE, header)))
    assert clean in out.read_bytes()


@pytest.mark.parametrize("tool", [["dcmcjpeg"], ["dcmcjpls"]])
@pytest.mark.parametrize("embedded", [True, False])
def test_a_code_stream_with_overlays_in_its_bits_does_not_come_out(
    tool: list[str], embedded: bool, research: DeidEngine, tmp_path: Path
) -> None:
    maker = Maker(random.Random("overlay"))
    samples = [maker.random.randrange(1 << 12) | (SECRET[at] & 1) << 12 if embedded else at for at in range(256)]
    plane = [number(0x60000100, "US", 16), number(0x60000102, "US", 12)]
    if not embedded:
        plane = [number(0x60000100, "US", 1), number(0x60000102, "US", 0), Item(0x60003000, "OW", SECRET[:32])]
    more = [
        number(0x60000010, "US", 16),
        number(0x60000011, "US", 16),
        Item(0x7FE00010, "OW", struct.pack("<256H", *samples)),
    ]
    (tmp_path / "plain.dcm").write_bytes(maker.ct(**bits(16, 12, 11, 0, *plane, *more)))
    subprocess.run([*tool, tmp_path / "plain.dcm", tmp_path / "packed.dcm"], check=True, timeout=30)
    result = deid(research, tmp_path, (tmp_path / "packed.dcm").read_bytes())
    if embedded:
        assert result.reason is Reason.PIXEL_DATA
    else:
        assert not pydicom.dcmread(written(result)).group_dataset(0x6000)


@pytest.mark.parametrize(("make", "syntax"), [(jpeg, "1.2.840.10008.1.2.4.50"), (jpeg2000, "1.2.840.10008.1.2.4.90")])
@pytest.mark.parametrize(("rows", "columns", "comes"), [(16, 16, True), (15, 16, False), (16, 8, False), (17, 16, True)])
def test_a_frame_larger_than_the_header_says_does_not_come_out(
    make: Callable[[Maker], bytes],
    syntax: str,
    rows: int,
    columns: int,
    comes: bool,
    research: DeidEngine,
    tmp_path: Path,
) -> None:
    maker = Maker(random.Random("area"))
    header = bits(8, 8, 7, 0, number(0x00280010, "US", rows), number(0x00280011, "US", columns))
    result = deid(research, tmp_path, compressed(maker, make(maker), syntax, header))
    assert result.reason is (None if comes else Reason.PIXEL_DATA)


def test_a_component_that_the_header_does_not_name_does_not_come_out(research: DeidEngine, tmp_path: Path) -> None:
    maker = Maker(random.Random("component"))
    frame = strip_jpeg(jpeg(maker))
    more = frame.replace(b"\0\x0b\x08\0\x10\0\x10\1\1\x11\0", b"\0\x0e\x08\0\x10\0\x10\2\1\x11\0\2\x11\0")
    assert len(more) == len(frame) + 3
    result = deid(research, tmp_path, compressed(maker, more, "1.2.840.10008.1.2.4.50", bits(8, 8, 7)))
    assert result.reason is Reason.PIXEL_DATA


@pytest.mark.parametrize(
    ("uid", "modality"), [("88.11", "SR"), ("11.1", "PR"), ("481.3", "RTSTRUCT"), ("481.5", "RTPLAN"), ("66.1", "REG")]
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_object_that_is_no_image_comes_out_without_pixels(
    uid: str, modality: str, packed: bool, research: DeidEngine, tmp_path: Path
) -> None:
    maker = Maker(random.Random("object"))
    pixels = put(Item(0x7FE00010, "OB", SECRET[:256]))
    elements = maker.elements(f"1.2.840.10008.5.1.4.1.1.{uid}", modality, **bits(8, 8, 7), **pixels)
    whole = maker.file(elements)
    if packed:
        whole = maker.file(elements[:-1], syntax=RLE, tail=fragments([rle(SECRET[:256])]))
    without = maker.file(elements[:-1])
    result, plain = (deid(research, tmp_path, data) for data in (whole, without))
    assert plain.outcome == result.outcome == "written", (plain.reason, result.reason)
    assert (result.kept, result.changed, result.removed) == (plain.kept, plain.changed, plain.removed + 1)
    after = pydicom.dcmread(written(result))
    assert "PixelData" not in after
    assert after.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert after.Rows == 16


@pytest.mark.parametrize("uid", ["2", "4", "1.1", "128", "66.4", "481.2"])
def test_an_image_that_lost_its_pixels_is_cut_off(uid: str, research: DeidEngine, tmp_path: Path) -> None:
    maker = Maker(random.Random("cut"))
    elements = maker.elements(f"1.2.840.10008.5.1.4.1.1.{uid}", "CT")
    assert deid(research, tmp_path, maker.file(elements)).outcome == "written"
    assert deid(research, tmp_path, maker.file(elements[:-1])).reason is Reason.TRUNCATED


def test_a_dose_of_histograms_only_has_no_pixels_to_lose(research: DeidEngine, tmp_path: Path) -> None:
    maker = Maker(random.Random("dose"))
    elements = [
        one for one in maker.elements("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE") if one.tag >> 16 not in (0x28, 0x7FE0)
    ]
    written(deid(research, tmp_path, maker.file(elements)))


@pytest.mark.parametrize(("tag", "vr", "width"), [(0x7FE00008, "OF", 4), (0x7FE00009, "OD", 8)])
def test_pixels_of_two_kinds_are_two_images(tag: int, vr: str, width: int, research: DeidEngine, tmp_path: Path) -> None:
    maker = Maker(random.Random("two"))
    parametric = maker.elements("1.2.840.10008.5.1.4.1.1.30", "MR", **bits(8 * width, 8 * width, 8 * width - 1))
    numbers = Item(tag, vr, bytes(256 * width))
    written(deid(research, tmp_path, maker.file([*parametric[:-1], numbers])))
    both = [*parametric[:-1], numbers, Item(0x7FE00010, "OW", SECRET[:512])]
    assert deid(research, tmp_path, maker.file(both)).reason is Reason.PIXEL_DATA
    head = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, 0xFFFFFFFF)
    tail = head + fragments([rle(*[SECRET[:256]] * width)])[12:]
    assert deid(research, tmp_path, maker.file(parametric[:-1], syntax=RLE, tail=tail)).outcome == "set_aside"
