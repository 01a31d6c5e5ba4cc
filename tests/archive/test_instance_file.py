"""The quick look at a file sees what pydicom sees."""

from __future__ import annotations

import shutil
import tracemalloc
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

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


def deflated(path: Path) -> bool:
    """Whether pydicom would inflate it, and so is not asked."""
    try:
        return bool(read_file_meta_info(path).TransferSyntaxUID == DeflatedExplicitVRLittleEndian)
    except (InvalidDicomError, AttributeError):
        return False


def test_every_file_is_seen_as_pydicom_sees_it() -> None:
    files = sorted((Path(pydicom.data.__file__).parent / "test_files").rglob("*.dcm"))
    for path in files:
        if not deflated(path):
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


def as_deflated(content: bytes) -> bytes:
    """A file whose data set is Explicit VR Little Endian, deflated."""
    data = dcmread(BytesIO(content))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    target = BytesIO()
    data.save_as(target)
    return target.getvalue()


def test_a_deflated_file_is_seen_as_it_was_before(tmp_path: Path) -> None:
    content, path = nested(explicit=True), tmp_path / "file.dcm"
    path.write_bytes(content)
    before = identify(path)
    assert before is not None
    whole = as_deflated(content)
    path.write_bytes(whole)
    assert identify(path) == replace(before, size=len(whole))
    start = 144 + int.from_bytes(whole[140:144], "little")
    for end in [*range(0, len(whole) - 1, 7), len(whole) - 2]:
        path.write_bytes(whole[:end])
        cut = identify(path)
        assert cut is None or not cut.whole, end
    for damaged in (whole[:140] + bytes(4) + whole[144:], whole[:start] + b"CANARY" + whole[start:]):
        path.write_bytes(damaged)
        assert identify(path) is None


@pytest.mark.parametrize("megabytes", [15, 300])
def test_a_deflated_file_is_inflated_piece_by_piece(tmp_path: Path, megabytes: int) -> None:
    """Whose it is can be told, however large it is: de-identification sets it aside under its own reason."""
    content, path = as_deflated(STUDY.file(0, 0)), tmp_path / "file.dcm"
    start = 144 + int.from_bytes(content[140:144], "little")
    data = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    squeeze, piece = zlib.compressobj(wbits=-zlib.MAX_WBITS), bytes(1 << 20)
    data = data[: data.index(b"\xe0\x7f\x10\0")] + b"\xe0\x7f\x10\0OW\0\0" + (megabytes << 20).to_bytes(4, "little")
    pieces = [squeeze.compress(data), *(squeeze.compress(piece) for _ in range(megabytes)), squeeze.flush()]
    path.write_bytes(content[:start] + b"".join(pieces))
    tracemalloc.start()
    identity = identify(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert identity is not None
    assert (identity.whole, identity.sop_uid, identity.study_uid) == (True, STUDY.sop_uid(0, 0), STUDY.uid)
    assert peak < 12 << 20


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
