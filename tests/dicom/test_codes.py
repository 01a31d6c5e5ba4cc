"""Versions of coding schemes: those that schemes have stay, what else can be typed there does not."""

from __future__ import annotations

import random
from pathlib import Path

import pydicom
import pytest

from safelight.dicom import DeidEngine
from tests.dicom.encoding import sequence, text
from tests.dicom.hard import Maker, put


@pytest.mark.parametrize(
    ("scheme", "version", "stays"),
    [
        ("DCM", "01", True),
        ("SCT", "1.2", True),
        ("SCT", "3.0.1", True),
        ("SCT", "20170131", True),
        ("SCT", "20220901", True),
        ("SCT", "1947.03.13.71234", False),
        ("SCT", "19470313", False),
        ("SCT", "19470131", False),
        ("SCT", "20070313", False),
        ("DCM", "20170131", False),
        ("SCT", "13.03.47", False),
        ("SCT", "13.03.1947", False),
        ("SCT", "8822441", False),
        ("SCT", "1_2_3_4_5", False),
    ],
)
def test_only_a_version_stays_in_its_place(
    scheme: str, version: str, stays: bool, research: DeidEngine, tmp_path: Path
) -> None:
    value = {"SCT": "77477000", "DCM": "121071"}[scheme]
    entry = [text(0x00080100, "SH", value), text(0x00080102, "SH", scheme), text(0x00080103, "SH", version)]
    procedure = sequence(0x00081032, [*entry, text(0x00080104, "LO", "CT")])
    (tmp_path / "in").write_bytes(Maker(random.Random("version")).ct(**put(procedure)))
    for folder in ("once", "twice"):
        path = Path(research.deidentify(tmp_path / "in", tmp_path / folder).path)
        (code,) = pydicom.dcmread(path).ProcedureCodeSequence
        assert code.CodeValue == value
        assert code.get("CodingSchemeVersion") == (version if stays else None)
        assert stays or version.encode() not in path.read_bytes()
