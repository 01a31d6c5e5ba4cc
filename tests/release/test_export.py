"""Export of verified requests: everything arrives once, and the accounts balance."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from safelight.errors import DestinationRefused, DestinationUnavailable, IntegrityError, StorageFull, StorageUnwritable
from safelight.model import Reason, RequestState
from safelight.release.batch import export_project
from safelight.release.destination import OutputFile, SendResult
from safelight.release.dicomweb import DicomwebDestination
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from safelight.release.manifest import read_manifest
from safelight.release.schemas import TABLES, TableSchema
from tests.release.disk import file_size_limit
from tests.release.hospital import CANARY, LEASE, NOW, PROJECT, PSEUDONYMIZER, Hospital, tree
from tests.services.orthanc import Orthanc


def versions(lake: Lake, *tables: str) -> dict[str, int]:
    names = (*TABLES, *tables)
    return {name: found.version() for name in names if (found := lake.open(PROJECT, name))}


def test_everything_verified_leaves_once_and_the_second_run_changes_nothing(
    hospital: Hospital, lake: Lake, orthanc: Orthanc, tmp_path: Path
) -> None:
    hospital.verify([1, 2, 3])
    hospital.ask([4])
    places = [
        FolderDestination(tmp_path / "dicom"),
        DicomwebDestination(orthanc.dicomweb_url, (orthanc.username, orthanc.password)),
    ]
    result = export_project(hospital.export(lake, places))
    assert (result.instances, result.counts.taken, dict(result.counts.moved)) == (6, 3, {"exported": 3})
    assert hospital.states() == {"exported": 3, "requested": 1}

    images = lake.read(PROJECT, "dicom_instance").to_pylist()
    assert set(orthanc.instances()) == {row["SOPInstanceUID"] for row in images}
    for row in lake.read(PROJECT, "image_occurrence").to_pylist():
        assert row["instances"] == 2
        assert len(list((tmp_path / "dicom" / row["local_path"]).glob("*.dcm"))) == 2
        answer = orthanc.session.get(row["wadors_uri"] + "/instances", timeout=10)
        assert len(answer.json()) == 2
    outcomes = lake.read(PROJECT, "request_outcome").to_pylist()
    assert sorted((row["state"], row["instances_written"], row["instances_set_aside"]) for row in outcomes) == [
        ("exported", 2, 1),
        ("exported", 2, 1),
        ("exported", 2, 1),
        ("requested", 0, 0),
    ]

    before = (versions(lake), tree(tmp_path / "dicom"), tree(tmp_path / "manifests"), orthanc.instances())
    again = export_project(hospital.export(lake, places))
    assert (again.release_id, again.instances, again.counts.taken) == (None, 0, 0)
    assert (versions(lake), tree(tmp_path / "dicom"), tree(tmp_path / "manifests"), orthanc.instances()) == before


def test_the_manifest_names_every_file_with_its_digest(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1, 2])
    result = export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    (path,) = (tmp_path / "manifests").glob("*.json")
    manifest = read_manifest(path.read_bytes())
    assert path.stem == manifest["release_id"] == result.release_id
    assert {entry["path"]: entry["sha256"] for entry in manifest["files"]} == tree(tmp_path / "dicom" / PROJECT)
    (row,) = lake.read(PROJECT, "release").to_pylist()
    assert row["release_id"] == result.release_id
    assert json.loads(row["manifest"])["counts"] == manifest["counts"]
    assert hospital.database.releases(PROJECT)[0].manifest_sha256 == row["manifest_sha256"]


def test_a_new_study_makes_a_second_release_of_itself_alone(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    places = [FolderDestination(tmp_path / "dicom")]
    hospital.verify([1])
    first = export_project(hospital.export(lake, places))
    hospital.verify([2])
    second = export_project(hospital.export(lake, places))
    assert first.release_id != second.release_id
    assert second.instances == 2
    assert lake.read(PROJECT, "dicom_instance").num_rows == 4
    assert lake.read(PROJECT, "release").num_rows == 2


def test_a_lost_output_file_sends_its_request_back_and_not_the_others(
    hospital: Hospital, lake: Lake, tmp_path: Path
) -> None:
    hospital.verify([1, 2])
    next(iter(sorted(hospital.work.rglob("*.dcm")))).unlink()
    result = export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    assert dict(result.counts.moved) == {"exported": 1, "retrieved": 1}
    assert hospital.states() == {"exported": 1, "retrieved": 1}


def test_a_refused_instance_is_told_and_the_rest_leaves(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1, 2])
    target = FolderDestination(tmp_path / "dicom")
    first = sorted(hospital.work.rglob("*.dcm"))[0]
    study = first.parent.name
    series = next(
        item.pseudo_series_instance_uid
        for request in hospital.database.find(PROJECT, [RequestState.VERIFIED])
        for item in hospital.database.instances(request.id)
        if item.pseudo_sop_instance_uid == first.stem
    )
    other = tmp_path / "dicom" / PROJECT / study / series / first.name
    other.parent.mkdir(parents=True)
    other.write_bytes(b"something else")
    result = export_project(hospital.export(lake, [target]))
    assert result.refused == {"folder": 1}
    assert other.read_bytes() == b"something else"
    assert dict(result.counts.moved) == {"exported": 2}
    assert lake.read(PROJECT, "dicom_instance").num_rows == 3
    (path,) = (tmp_path / "manifests").glob("*.json")
    assert [item["sop_instance_uid"] for item in read_manifest(path.read_bytes())["refused"]] == [first.stem]


def test_a_request_of_which_all_is_refused_fails_with_that_reason(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1])
    export_project(hospital.export(lake, [FolderDestination(tmp_path / "other")]))
    for path in (tmp_path / "other").rglob("*.dcm"):
        path.write_bytes(b"another")
    (tmp_path / "again").mkdir()
    again = Hospital(tmp_path / "again", f"sqlite:///{tmp_path / 'again.db'}")
    again.verify([1])
    result = export_project(again.export(Lake(str(tmp_path / "lake2")), [FolderDestination(tmp_path / "other")]))
    assert dict(result.counts.moved) == {"failed": 1}
    assert dict(result.counts.reasons) == {Reason.DESTINATION_REFUSED.value: 1}
    assert result.release_id is None
    again.database.close()


def test_a_patient_who_opts_out_before_the_export_does_not_leave(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1, 2])
    extract = hospital.database.register_extract(PROJECT, name="x", sha256="1" * 64, generated=NOW, source="test")
    out = {f"{CANARY}-1": Reason.NOT_ON_OPT_OUT_LIST}
    hospital.database.add_requests(extract, [], pseudonymizer=PSEUDONYMIZER, opted_out=out)
    result = export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    assert dict(result.counts.moved) == {"exported": 1}
    gone = [row for row in lake.read(PROJECT, "request_outcome").to_pylist() if row["state"] == "opted_out"]
    assert [(row["procedure_occurrence_id"], row["image_study_uid"], row["instances_written"]) for row in gone] == [
        (None, None, 0)
    ]


def test_an_unwritable_lake_stops_the_export_before_anything_is_sent(hospital: Hospital, tmp_path: Path) -> None:
    hospital.verify([1])
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageUnwritable, match="lake"):
        export_project(hospital.export(Lake(str(tmp_path / "file" / "lake")), [FolderDestination(tmp_path / "dicom")]))
    assert not list((tmp_path / "dicom").rglob("*.dcm"))
    assert hospital.states() == {"verified": 1}
    export_project(hospital.export(Lake(str(tmp_path / "lake")), [FolderDestination(tmp_path / "dicom")]))
    assert hospital.states() == {"exported": 1}


def test_no_identifier_is_in_any_byte_that_leaves(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1, 2])
    export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    for name in ("image_occurrence", "dicom_instance", "request_outcome", "release"):
        assert CANARY not in str(lake.read(PROJECT, name).to_pylist())
    for folder in ("lake", "dicom", "manifests"):
        for path in (tmp_path / folder).rglob("*"):
            assert CANARY not in str(path)
            assert not path.is_file() or CANARY.encode() not in path.read_bytes()
    assert any(CANARY.encode() in path.read_bytes() for path in tmp_path.glob("link.db*"))


def test_requests_that_a_killed_export_holds_are_waited_for(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1])
    hospital.database.claim(PROJECT, [RequestState.VERIFIED], worker="killed", limit=1, lease=LEASE)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        hospital.time += LEASE / 3

    result = export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")], sleep=sleep))
    assert dict(result.counts.moved) == {"exported": 1}
    assert len(slept) == 3


def test_a_server_that_goes_away_leaves_everything_to_be_sent_later(
    start_orthanc: Callable[..., Orthanc], hospital: Hospital, lake: Lake, tmp_path: Path
) -> None:
    orthanc = start_orthanc(tmp_path / "orthanc")

    class Leaving(DicomwebDestination):
        """The server is there when it is asked, and gone when it is sent to."""

        def check(self, project: str) -> None:
            super().check(project)
            orthanc.kill()

    login = (orthanc.username, orthanc.password)
    hospital.verify([1, 2])
    folder = FolderDestination(tmp_path / "dicom")
    with pytest.raises(DestinationUnavailable):
        export_project(hospital.export(lake, [folder, Leaving(orthanc.dicomweb_url, login, attempts=2, wait=(0.01, 0.02))]))
    assert hospital.states() == {"verified": 2}
    assert hospital.database.leased(PROJECT, [RequestState.VERIFIED]) == 0
    assert lake.read(PROJECT, "dicom_instance").num_rows == lake.read(PROJECT, "release").num_rows == 0
    orthanc.start()
    result = export_project(hospital.export(lake, [folder, DicomwebDestination(orthanc.dicomweb_url, login)]))
    assert dict(result.counts.moved) == {"exported": 2}
    assert set(orthanc.instances()) == set(lake.read(PROJECT, "dicom_instance").column("SOPInstanceUID").to_pylist())


def test_a_destination_that_refuses_stops_the_export_and_nothing_is_lost(
    hospital: Hospital, lake: Lake, orthanc: Orthanc, tmp_path: Path
) -> None:
    hospital.verify([1])
    with pytest.raises(DestinationRefused, match="credentials"):
        export_project(hospital.export(lake, [DicomwebDestination(orthanc.dicomweb_url, ("orthanc", "wrong"))]))
    assert hospital.states() == {"verified": 1}
    assert not (tmp_path / "manifests").exists()


def test_it_is_the_same_on_postgresql(postgresql_url: str, lake: Lake, tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, postgresql_url)
    hospital.verify([1, 2])
    places = [FolderDestination(tmp_path / "dicom")]
    assert export_project(hospital.export(lake, places)).instances == 4
    before = versions(lake)
    assert export_project(hospital.export(lake, places)).release_id is None
    assert (hospital.states(), versions(lake)) == ({"exported": 2}, before)
    hospital.database.close()


def test_new_record_rows_alone_make_a_release(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    places = [FolderDestination(tmp_path / "dicom")]
    fields = [pa.field("person_id", pa.string(), nullable=False, metadata={"comment": "Pseudonym."})]
    people = TableSchema("person", "People.", "person_id", pa.schema(fields))
    lake.write(PROJECT, people, [[{"person_id": "a"}]])
    hospital.ask([])
    settings = {"record_tables": ["person"]}
    first = export_project(hospital.export(lake, places, **settings))
    assert (first.instances, first.counts.taken) == (0, 0)
    assert first.release_id
    assert export_project(hospital.export(lake, places, **settings)).release_id is None
    lake.write(PROJECT, people, [[{"person_id": "b"}]])
    assert export_project(hospital.export(lake, places, **settings)).release_id not in (None, first.release_id)
    words = lake.read(PROJECT, "data_dictionary").to_pylist()
    assert {row["table_name"] for row in words} == {*TABLES, "person"}


def test_two_destinations_need_two_names(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1])
    with pytest.raises(IntegrityError, match="same name"):
        export_project(hospital.export(lake, [FolderDestination(tmp_path / "a"), FolderDestination(tmp_path / "b")]))


def test_a_lease_that_ran_out_while_sending_is_taken_up_again(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    class Slow(FolderDestination):
        """Takes longer than a lease."""

        def send(self, project: str, files: Sequence[OutputFile]) -> SendResult:
            hospital.time += 2 * LEASE
            return super().send(project, files)

    hospital.verify([1, 2])
    result = export_project(hospital.export(lake, [Slow(tmp_path / "dicom")]))
    assert (result.counts.taken, dict(result.counts.moved)) == (2, {"exported": 2})


def test_progress_is_told(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    hospital.verify([1, 2])
    export_project(
        hospital.export(lake, [FolderDestination(tmp_path / "d")], on_progress=lambda *counts: told.append(counts))
    )
    assert told[-1] == (2, 4)


def test_a_destination_without_room_is_told_and_the_export_completes_when_there_is(
    hospital: Hospital, lake: Lake, tmp_path: Path
) -> None:
    hospital.verify([1], instances=1, rows=64)
    hospital.verify([2], instances=1, rows=900)
    places = [FolderDestination(tmp_path / "dicom")]
    with file_size_limit(1_000_000), pytest.raises(StorageFull, match="No room is left for the DICOM folder"):
        export_project(hospital.export(lake, places))
    assert hospital.states() == {"verified": 2}
    assert len(list((tmp_path / "dicom").rglob("*.dcm"))) <= 1
    assert not list((tmp_path / "dicom").rglob("*.part"))
    assert dict(export_project(hospital.export(lake, places)).counts.moved) == {"exported": 2}
    assert len(list((tmp_path / "dicom").rglob("*.dcm"))) == 2


@pytest.mark.parametrize("part", ["dicom", "manifests", "work/.export-journal"])
def test_a_place_that_can_not_be_written_is_told_and_the_export_completes_when_it_can(
    hospital: Hospital, lake: Lake, tmp_path: Path, part: str
) -> None:
    hospital.verify([1])
    blocked = tmp_path / part
    if part.startswith("work"):
        blocked.mkdir()  # a folder in place of the file
    else:
        blocked.write_text("a file in place of the folder")
    with pytest.raises(StorageUnwritable) as caught:
        export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    assert caught.value.remedy
    assert str(tmp_path) not in str(caught.value)
    assert hospital.states() == {"verified": 1}
    assert lake.open(PROJECT, "release") is None or lake.read(PROJECT, "release").num_rows == 0
    blocked.rmdir() if blocked.is_dir() else blocked.unlink()
    assert dict(export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")])).counts.moved) == {
        "exported": 1
    }
