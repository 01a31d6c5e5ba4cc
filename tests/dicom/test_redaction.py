"""The place where text is taken out of pixels: what a redactor sees, what comes out, and what is withheld all the same."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pydicom
import pytest

from safelight.dicom import DeidEngine, verify_file
from safelight.dicom.pixels import Layout
from safelight.dicom.rules import DicomRules
from safelight.model import Reason
from safelight.profile import load_profile
from safelight.pseudonym import Pseudonymizer
from tests.dicom.conftest import PROFILES
from tests.dicom.encoding import Item, number, text
from tests.dicom.hard import Maker, put
from tests.dicom.hard.pixels import JPEG, compressed, eight_bit, jpeg

US = "1.2.840.10008.5.1.4.1.1.6.1"


class TopRows:
    """Paints over the first rows of every frame, where consoles write the patient."""

    def __init__(self, rows: int = 4) -> None:
        self._rows = rows
        self.seen: list[Layout] = []

    def redact(self, frame: bytes, layout: Layout) -> bytes:
        self.seen.append(layout)
        line = len(frame) // layout.rows
        return bytes(self._rows * line) + frame[self._rows * line :]


@pytest.fixture(scope="module")
def rules() -> DicomRules:
    return load_profile(PROFILES, "research", overrides={"dicom": {"pixels": {"burned_in": {"US": "redact"}}}}).dicom


def console(frames: int = 3) -> bytes:
    maker = Maker(random.Random("console"))
    pixels = Item(0x7FE00010, "OB", bytes(range(1, 255)) * 4)
    elements = eight_bit(maker, frames, **put(text(0x00080016, "UI", US), text(0x00080060, "CS", "US")))
    length = 16 * 16 * frames
    return maker.file([*elements, Item(pixels.tag, "OB", (bytes(range(1, 255)) * 4)[:length])])


def test_every_frame_is_painted_over_and_the_stamps_say_so(
    rules: DicomRules, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(console())
    redactor = TopRows()
    engine = DeidEngine(rules, pseudonymizer, redactor=redactor)
    result = engine.deidentify(tmp_path / "in", tmp_path / "out")
    assert result.outcome == "written", result.reason
    after = pydicom.dcmread(result.path)
    before = pydicom.dcmread(tmp_path / "in").pixel_array
    assert not after.pixel_array[:, :4].any()
    assert np.array_equal(after.pixel_array[:, 4:], before[:, 4:])
    assert len(redactor.seen) == 3
    assert after.BurnedInAnnotation == "NO"
    assert "113101" in [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
    assert verify_file(Path(result.path)) == []
    first = Path(result.path).read_bytes()
    assert Path(engine.deidentify(tmp_path / "in", tmp_path / "out").path).read_bytes() == first


def test_nothing_is_claimed_of_an_instance_that_needed_no_redaction(
    rules: DicomRules, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(Maker(random.Random("ct")).ct())
    engine = DeidEngine(rules, pseudonymizer, redactor=TopRows())
    after = pydicom.dcmread(engine.deidentify(tmp_path / "in", tmp_path / "out").path)
    assert "BurnedInAnnotation" not in after
    assert "113101" not in [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
    assert after.PixelData == pydicom.dcmread(tmp_path / "in").PixelData


def test_overlay_bits_are_gone_before_a_redactor_sees_the_frame(
    rules: DicomRules, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    maker = Maker(random.Random("bits"))
    bits = put(number(0x00280101, "US", 12), number(0x00280102, "US", 11), text(0x00080060, "CS", "US"))
    (tmp_path / "in").write_bytes(maker.file(maker.elements(US, "US", **bits)))
    engine = DeidEngine(rules, pseudonymizer, redactor=TopRows(0))
    after = pydicom.dcmread(engine.deidentify(tmp_path / "in", tmp_path / "out").path)
    before = np.frombuffer(pydicom.dcmread(tmp_path / "in").PixelData, "<u2")
    assert np.array_equal(np.frombuffer(after.PixelData, "<u2"), before & 0x0FFF)
    assert (before & 0xF000).any()


@pytest.mark.parametrize("redactor", [None, TopRows()])
def test_what_cannot_be_painted_over_is_withheld(
    rules: DicomRules, pseudonymizer: Pseudonymizer, tmp_path: Path, redactor: TopRows | None
) -> None:
    maker = Maker(random.Random("jpeg"))
    us = put(text(0x00080016, "UI", US), text(0x00080060, "CS", "US"))
    data = compressed(maker, [jpeg(maker)], JPEG, table=False, **us) if redactor else console()
    (tmp_path / "in").write_bytes(data)
    engine = DeidEngine(rules, pseudonymizer, redactor=redactor)
    assert engine.deidentify(tmp_path / "in", tmp_path / "out").reason is Reason.BURNED_IN
    assert not list((tmp_path / "out").rglob("*.*"))
