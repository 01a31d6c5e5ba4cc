"""The quick look at a file sees what pydicom sees."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from safelight.archive import instance_file
from safelight.archive.header_walk import Unusual, walk
from safelight.archive.instance_file import identify
from tests.archive.studies import Study

STUDY = Study(1)


def quickly(path: Path) -> bool:
    """Whether the walk takes it."""
    try:
        walk(path, ())
    except Unusual:
        return False
    return True


def test_every_file_is_seen_as_pydicom_sees_it() -> None:
    files = sorted((Path(pydicom.data.__file__).parent / "test_files").rglob("*.dcm"))
    for path in files:
        assert identify(path) == instance_file._identify_slowly(path), path.name
    assert sum(map(quickly, files)) > 50


def nested(explicit: bool) -> bytes:
    """STUDY's first instance with sequences of undefined length, two deep, and a private element."""
    data = dcmread(BytesIO(STUDY.file(0, 0)))
    inner, outer = Dataset(), Dataset()
    inner.CodeValue, inner.StudyInstanceUID = "CANARY", "9.9.9"
    outer.ConceptNameCodeSequence = Sequence([inner, inner])
    data.ContentSequence = Sequence([outer, Dataset()])
    for one in (data, outer):
        for element in one:
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
    data.add_new(0x00090010, "LO", "CANARY")
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
    target = BytesIO()
    data.save_as(target, implicit_vr=not explicit, little_endian=True)
    return target.getvalue()


@pytest.mark.parametrize("explicit", [True, False])
def test_wherever_it_is_cut_it_is_not_whole(tmp_path: Path, explicit: bool) -> None:
    whole, path = nested(explicit), tmp_path / "file.dcm"
    path.write_bytes(whole)
    assert quickly(path)
    identity = identify(path)
    assert identity == instance_file._identify_slowly(path)
    assert identity is not None
    assert identity.whole
    assert (identity.study_uid, identity.sop_uid) == (STUDY.uid, STUDY.sop_uid(0, 0))
    for end in [*range(0, len(whole) - 9000, 13), len(whole) - 4000, len(whole) - 1]:
        path.write_bytes(whole[:end])
        cut = identify(path)
        assert cut is None or not cut.whole, end
    path.write_bytes(whole + b"\0")
    longer = identify(path)
    assert longer is None or not longer.whole


def test_what_can_not_be_read_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    assert identify(path) is None
    for content in (b"", b"CANARY" * 100, bytes(128) + b"DICM", bytes(128) + b"DICM" + b"\xff" * 400):
        path.write_bytes(content)
        assert identify(path) is None or not identify(path).whole  # type: ignore[union-attr]
    shutil.rmtree(tmp_path)
    assert identify(path) is None


def test_what_is_odd_in_a_file_is_quoted_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also of one that pydicom has to read: its meta group says a wrong length."""
    content, path = STUDY.file(0, 0).replace(b"ISO_IR 100", b"CANARYSET "), tmp_path / "file.dcm"
    path.write_bytes(content[:140] + bytes(4) + content[144:])
    assert not quickly(path)
    for _ in range(2):
        identity = identify(path)
        assert identity is not None
        assert (identity.sop_uid, identity.character_set) == (STUDY.sop_uid(0, 0), "CANARYSET")
    assert not caplog.records
