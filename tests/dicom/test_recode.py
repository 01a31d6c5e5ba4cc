"""The slow path: what is not little endian with a header becomes so, and means the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pydicom import dcmread

from safelight.dicom import DeidEngine
from safelight.dicom.recode import MAX_UNKNOWN
from safelight.model import Reason
from safelight.pseudonym import Pseudonymizer
from tests.dicom.encoding import BIG, EXPLICIT, Item, sequence, text
from tests.dicom.hard import Maker, put

REFERENCED = 0x00081140
SOP = "1.2.826.0.1.3680043.9.7433.77"


def referenced(vr: str = "UN", *more: Item) -> Item:
    """One item that research keeps, with something in it that it does not."""
    canary = text(0x00091010, "LO", "CANARY"), sequence(0x00091011, [text(0x00100010, "PN", "CANARY")], undefined=True)
    kept = text(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2"), text(0x00081155, "UI", SOP)
    return sequence(REFERENCED, [*kept, *canary, *more], undefined=True, vr=vr)


def maker() -> Maker:
    return Maker(random.Random("recoded"))


@pytest.mark.parametrize("nested", [False, True])
def test_a_sequence_of_unknown_vr_means_the_same_in_big_endian(
    nested: bool, research: DeidEngine, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    item = referenced()
    if nested:
        item = sequence(0x00082112, [text(0x00081155, "UI", SOP), referenced()], undefined=True)
    written = []
    for syntax in (EXPLICIT, BIG) * 2:
        one = maker()
        source = tmp_path / "in.dcm"
        source.write_bytes(one.file(one.elements(**put(item)), syntax=syntax))
        result = research.deidentify(source, tmp_path / syntax)
        assert result.outcome == "written"
        content = Path(result.path).read_bytes()
        assert b"CANARY" not in content
        data_set = dcmread(result.path)
        outer = data_set.SourceImageSequence[0] if nested else data_set
        (inner,) = outer.ReferencedImageSequence
        assert inner.ReferencedSOPInstanceUID == pseudonymizer.uid(SOP)
        written.append(content)
    assert len(set(written)) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.TRUNCATED),
        (b"CANARYCANARY", Reason.MALFORMED),
        (b"\xfe\xff\x00\xe0" + MAX_UNKNOWN.to_bytes(4, "little") + bytes(MAX_UNKNOWN), Reason.MALFORMED),
    ],
)
def test_one_that_does_not_end_or_is_too_large_is_set_aside(
    body: bytes, reason: Reason, research: DeidEngine, tmp_path: Path
) -> None:
    one = maker()
    whole = one.file(one.elements(), syntax=BIG)
    source = tmp_path / "in.dcm"
    start = whole.index(b"\x00\x20\x00\x0d")
    source.write_bytes(whole[:start] + b"\x00\x19\x10\x10UN\0\0\xff\xff\xff\xff" + body)
    for _ in range(2):
        result = research.deidentify(source, tmp_path / "out")
        assert (result.outcome, result.reason) == ("set_aside", reason)
