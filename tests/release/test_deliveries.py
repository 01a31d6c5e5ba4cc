"""What the export promises of every kind of destination, and of tables that leave as files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safelight.errors import SafelightError
from safelight.release.batch import export_project
from safelight.release.folder import FolderDestination, FolderStore
from safelight.release.lake import Lake
from safelight.release.manifest import read_manifest
from safelight.release.parquet import ParquetDelivery
from safelight.release.schemas import TableSchema
from safelight.release.verification import verify_delivery
from tests.release.hospital import CANARY, LEASE, NOW, PROJECT, Hospital
from tests.release.places import PLACES, Place
from tests.release.reach import build, store_of


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return PLACES[request.param](request, tmp_path)


def manifests(hospital: Hospital) -> list[dict[str, Any]]:
    found = [read_manifest(path.read_bytes()) for path in (hospital.folder / "manifests").glob("*.json")]
    return sorted(found, key=lambda manifest: str(manifest["release_id"]))


def test_nothing_is_at_a_destination_that_no_manifest_names(place: Place, hospital: Hospital, lake: Lake) -> None:
    hospital.verify([1, 2])
    for _ in range(2):
        export_project(hospital.export(lake, [place.target]))
        (manifest,) = manifests(hospital)
        files = {Path(entry["path"]).stem: entry for entry in manifest["files"]}
        assert set(place.content()) == set(files)
        assert {tuple(entry["destinations"]) for entry in files.values()} == {(place.target.name,)}
        for path in hospital.work.rglob("*.dcm"):
            assert files[path.stem]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
            assert place.content()[path.stem] == place.expected(path)


def test_one_that_can_not_be_reached_keeps_everything_from_leaving(
    place: Place, hospital: Hospital, lake: Lake, tmp_path: Path
) -> None:
    hospital.verify([1])
    with pytest.raises(SafelightError):
        export_project(hospital.export(lake, [FolderDestination(tmp_path / "other"), build(place.kind, place.wrong)]))
    assert not list((tmp_path / "other").rglob("*.dcm"))
    assert manifests(hospital) == []
    assert hospital.states() == {"verified": 1}


PEOPLE = TableSchema(
    "person",
    "People.",
    "person_id",
    pa.schema([pa.field("person_id", pa.string(), nullable=False, metadata={"comment": "Pseudonym."})]),
)


def test_tables_leave_as_files_beside_dicom_and_the_manifest_names_them(
    request: pytest.FixtureRequest, hospital: Hospital, lake: Lake, tmp_path: Path
) -> None:
    ftps = PLACES["ftps"](request, tmp_path)
    tables = [ParquetDelivery(FolderStore(tmp_path / "haven")), ParquetDelivery(store_of("ftps", ftps.settings))]
    lake.write(PROJECT, PEOPLE, [[{"person_id": "a"}]])
    for numbers in ([1, 2], [3]):
        hospital.verify(numbers)
        export_project(hospital.export(lake, [ftps.target], record_tables=["person"], parquet=tables))
    found = manifests(hospital)
    assert len(found) == 2
    names = [f"omop/public/omop/{name}.parquet" for name in ("NOTE", "PERSON")] + ["radiology/IMAGE_LINKER.parquet"]
    for manifest in found:
        for place in ("folder", "ftps"):
            entries = [entry for entry in manifest["parquet"] if entry["destination"] == place]
            assert [entry["path"].partition("/parquet/")[2] for entry in entries] == names
    digests = [{entry["sha256"] for entry in manifest["parquet"]} for manifest in found]
    assert [len(each) for each in digests] == [3, 3]  # the same bytes at both places
    assert len(digests[0] & digests[1]) == 2  # the linker has grown, the others have not
    folder = tmp_path / "haven" / PROJECT / f"{NOW:%Y-%m-%dt%H-%M-%S}" / "parquet"
    linker = pq.read_table(folder / "radiology" / "IMAGE_LINKER.parquet")
    assert linker.column_names == ["procedure_occurrence_id", "pseudo_study_uid"]
    images = lake.read(PROJECT, "image_occurrence").to_pylist()
    wanted = {(row["procedure_occurrence_id"], row["image_study_uid"]) for row in images}
    assert {tuple(row.values()) for row in linker.to_pylist()} == wanted
    assert len(wanted) == 3
    for path in (tmp_path / "haven").rglob("*"):
        assert CANARY not in str(path)
        assert path.is_dir() or CANARY.encode() not in path.read_bytes()


def test_tables_that_can_not_leave_keep_the_release_from_leaving(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1])
    (tmp_path / "file").write_text("no folder")
    wrong = hospital.export(
        lake, [FolderDestination(tmp_path / "dicom")], parquet=[ParquetDelivery(FolderStore(tmp_path / "file"))]
    )
    with pytest.raises(SafelightError, match="can't be written"):
        export_project(wrong)
    assert not list((tmp_path / "dicom").rglob("*.dcm"))
    right = replace(wrong, parquet=[ParquetDelivery(FolderStore(tmp_path / "haven"))])
    assert export_project(right).release_id
    assert hospital.states() == {"exported": 1}


def test_a_folder_with_tables_is_checked_against_its_manifests(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    root = tmp_path / "haven"
    tables = ParquetDelivery(FolderStore(root, name="haven"))
    for numbers in ([1], [2]):
        hospital.verify(numbers)
        hospital.time += LEASE
        export_project(hospital.export(lake, [FolderDestination(root, name="haven")], parquet=[tables]))
    found = manifests(hospital)
    assert verify_delivery(found, root / PROJECT, destination="haven").good
    assert verify_delivery(found[::-1], root / PROJECT, destination="haven").intact == 4 + 2
    (linker,) = root.rglob("IMAGE_LINKER.parquet")
    linker.write_bytes(linker.read_bytes() + b"!")
    assert verify_delivery(found, root / PROJECT, destination="haven").changed == (str(linker.relative_to(root / PROJECT)),)
