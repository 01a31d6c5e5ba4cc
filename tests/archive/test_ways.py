"""C-MOVE, C-GET and DICOMweb: a study is the same in the cache whichever way it came."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pynetdicom import ALL_TRANSFER_SYNTAXES

from safelight.archive import StorageReceiver
from safelight.archive.contexts import roles, storage_contexts
from safelight.archive.intake import Intake
from safelight.archive.multipart import Cut, MultipartReader, boundary_of
from safelight.errors import ConfigurationError
from safelight.model import RequestState
from tests.archive.conftest import Reached, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive
from tests.archive.studies import Study
from tests.services.orthanc import Orthanc, Peer

STUDY = Study(1)
PRIVATE = "1.2.826.0.1.3680043.9.7433.99.1"
Start = Callable[..., StorageReceiver]


def mixed_study() -> list[bytes]:
    """STUDY with a private SOP class, and two instances that are compressed, lossless and lossy."""
    data = dcmread(BytesIO(STUDY.file(0, 0)))
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = PRIVATE
    files = [written(data), *STUDY.files()[1:]]
    for name, sop_uid in (
        ("MR_small_RLE.dcm", f"{STUDY.series_uid(1)}.901"),
        ("JPEG2000.dcm", f"{STUDY.series_uid(1)}.902"),
    ):
        data = dcmread(str(get_testdata_file(name)))
        data.remove_private_tags()
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = sop_uid
        data.StudyInstanceUID, data.SeriesInstanceUID, data.PatientID = STUDY.uid, STUDY.series_uid(1), STUDY.mrn
        files.append(written(data))
    return files


def written(data: Dataset) -> bytes:
    target = BytesIO()
    data.save_as(target)
    return target.getvalue()


def cached(stage: Stage) -> dict[str, tuple[str, str, Any]]:
    """What the cache has of STUDY: SOP instance -> file, transfer syntax and pixels."""
    found = {}
    for path in stage.cache.paths(STUDY.uid):
        data = dcmread(path)
        assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID
        found[str(data.SOPInstanceUID)] = (
            str(path.relative_to(stage.cache.folder)),
            str(data.file_meta.TransferSyntaxUID),
            (data.SOPClassUID, data.PatientID, data.SeriesInstanceUID, data.PixelData),
        )
    return found


def test_a_study_is_the_same_whichever_way_it_came(orthanc: Orthanc, stage: Stage, start_receiver: Start) -> None:
    orthanc.upload(mixed_study())
    receiver = start_receiver(orthanc)
    results = []
    for number, retrieve in enumerate(("c-move", "c-get", "dicomweb")):
        stage.enter(a_request(STUDY, accession_number=f"CANARY{number}"))
        counts = stage.run(receiver, an_archive(Reached(orthanc, retrieve)))
        assert dict(counts.moved) == {"retrieved": 1}
        results.append(cached(stage))
        stage.database.cache_drop(STUDY.uid)
        for path in stage.cache.study_folder(STUDY.uid).iterdir():
            path.unlink()
    assert len(results[0]) == len(STUDY.sop_uids) + 2
    assert {syntax for _, syntax, _ in results[0].values()} == {
        "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.91",
    }  # fmt: skip
    assert results[0] == results[1] == results[2]


def test_the_rest_may_come_another_way(orthanc: Orthanc, stage: Stage, start_receiver: Start) -> None:
    orthanc.upload(STUDY.files())
    receiver = start_receiver(orthanc)
    longer = replace(STUDY, series=(3, 4, 2))
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(Reached(orthanc, "c-move")))
    before = {path: path.stat().st_mtime_ns for path in stage.cache.paths(STUDY.uid)}
    orthanc.upload(longer.files())
    for number, retrieve in enumerate(("c-get", "dicomweb")):
        stage.enter(a_request(STUDY, study_uid="", procedure_occurrence_id=number + 100))
        stage.run(receiver, an_archive(Reached(orthanc, retrieve)))
    assert {one.state for one in stage.requests()} == {RequestState.RETRIEVED}
    assert sorted(cached(stage)) == sorted(longer.sop_uids)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("retrieve", ["c-get", "dicomweb"])
def test_without_a_receiver(orthanc: Orthanc, stage: Stage, retrieve: str) -> None:
    """Nothing listens: an intake is all that it takes."""
    orthanc.upload(STUDY.files())
    stage.enter(a_request(STUDY))
    intake = Intake(stage.cache.spool)
    assert dict(stage.run(intake, an_archive(Reached(orthanc, retrieve))).moved) == {"retrieved": 1}
    intake.close()


def test_a_move_needs_a_receiver(orthanc: Orthanc, stage: Stage) -> None:
    orthanc.upload(STUDY.files())
    stage.enter(a_request(STUDY))
    with pytest.raises(ConfigurationError, match="receiver"):
        stage.run(Intake(stage.cache.spool), an_archive(orthanc))
    assert stage.claim() == [stage.only().id]


def test_an_archive_that_does_not_name_sop_classes(receiver_peer: Peer, stage: Stage) -> None:
    """Then a C-GET negotiates all that are known."""
    archive = HostileArchive([STUDY], receiver_peer, "c-get")
    archive.answered["IMAGE"] = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    archive.start()
    intake = Intake(stage.cache.spool)
    try:
        assert {one.sop_class_uid for one in an_archive(archive).find_instances(STUDY.uid)} == {""}
        stage.enter(a_request(STUDY))
        assert dict(stage.run(intake, an_archive(archive)).moved) == {"retrieved": 1}
    finally:
        archive.stop()
        intake.close()


@pytest.mark.parametrize("classes", [0, 1, 3, 20, 125, 200])
def test_what_a_c_get_negotiates(classes: int) -> None:
    wanted = [f"1.2.3.{number}" for number in range(1, classes + 1)]
    contexts = storage_contexts(wanted)
    assert len(contexts) <= 125
    offered = {str(one.abstract_syntax) for one in contexts}
    assert len(offered) == min(classes, 125) or not classes
    assert {str(one.sop_class_uid) for one in roles(contexts)} == offered
    one_class = [one for one in contexts if str(one.abstract_syntax) == sorted(offered)[0]]
    syntaxes = [str(uid) for one in one_class for uid in one.transfer_syntax]
    assert len(syntaxes) == len(set(syntaxes)) == len(set(map(str, ALL_TRANSFER_SYNTAXES)))
    if 1 <= classes <= 3:
        assert [len(one.transfer_syntax) for one in one_class[:8]] == [1] * 8


@pytest.mark.parametrize("retrieve", ["c-move", "c-get", "dicomweb"])
def test_memory_is_flat(orthanc: Orthanc, stage: Stage, start_receiver: Start, retrieve: str) -> None:
    large = Study(9, series=(1,), kilobytes=48 * 1024)
    orthanc.upload(large.files())
    receiver = start_receiver(orthanc)
    archive = an_archive(Reached(orthanc, retrieve))
    stage.enter(a_request(large))
    tracemalloc.start()
    try:
        counts = stage.run(receiver, archive)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert dict(counts.moved) == {"retrieved": 1}
    assert peak < 12 << 20


# -- multipart bodies


def parts(body: bytes, size: int, boundary: bytes = b"b") -> list[bytes]:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return [b"".join(part) for part in MultipartReader(pieces, boundary)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_multipart_in_pieces_of_any_size(size: int) -> None:
    contents = [b"", b"\r\n", b"--b", b"\r\n--", b"\r\n--c\r\n\r\n", bytes(range(256)), b"\r\n\r\n-b--"]
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n" for content in contents)
    for before, after in ((b"", b""), (b"preamble\r\n", b"\r\nepilogue")):
        assert parts(before + body + b"--b--" + after, size) == contents
    for end in range(1, len(body), 5):
        with pytest.raises(Cut):
            parts(body[:end], size)


def test_a_part_that_is_not_taken_is_skipped() -> None:
    body = b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--"
    assert [next(iter(part)) for part in MultipartReader([body], b"b")] == [b"one", b"two"]


def test_boundaries() -> None:
    assert boundary_of('multipart/related; type="application/dicom"; boundary="a b"') == b"a b"
    assert boundary_of("multipart/related; boundary=ab") == b"ab"
    assert boundary_of("application/dicom") == boundary_of("") == boundary_of("multipart/related") == b""
