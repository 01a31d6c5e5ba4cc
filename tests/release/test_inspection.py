"""What leaves is looked at as bytes: a planted identifier stops its study, in any place and encoding, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pydicom
import pytest
from pydicom.dataset import Dataset

from safelight.errors import IntegrityError
from safelight.model import KnownIdentifiers, Reason
from safelight.release.batch import export_project
from safelight.release.export import StagedTable
from safelight.release.folder import FolderDestination
from safelight.release.inspection import log_words
from safelight.release.lake import Lake
from safelight.release.preparation import prepare
from safelight.release.schemas import TABLES
from safelight.staging import write_staged
from tests.release.hospital import CANARY, NOW, PROJECT, PSEUDONYMIZER, Hospital

#: Patient 2; the file that is changed is patient 1's.
OTHER = KnownIdentifiers(mrn=f"{CANARY}-2", given="Oluwaseun", surname="Brightwater", nhs_number="401 023 2137")


def element(keyword: str, value: Any) -> Callable[[pydicom.Dataset], None]:
    return lambda data: setattr(data, keyword, value)


def private(value: bytes, vr: str = "UN") -> Callable[[pydicom.Dataset], None]:
    return lambda data: data.private_block(0x0029, "VENDOR", create=True).add_new(0x10, vr, value)


def nested(data: pydicom.Dataset) -> None:
    inner, outer = Dataset(), Dataset()
    inner.TextValue = "BRIGHTWATER^OLUWASEUN"
    outer.ContentSequence = [inner]
    data.ContentSequence = [outer]


def behind_pixels(data: pydicom.Dataset) -> None:
    data.add_new(0xFFFCFFFC, "OB", b"Oluwaseun Brightwater ")


def local(data: pydicom.Dataset) -> None:
    data.SpecificCharacterSet = "ISO_IR 100"
    data.ImageComments = "Brightwäter, Oluwaseun"


PLACES: dict[str, Callable[[pydicom.Dataset], None]] = {
    "his own number": element("ImageComments", f"{CANARY}-1"),
    "another's number": element("ImageComments", f"x {CANARY}-2 y"),
    "another's name": element("RequestingPhysician", "Brightwater^Oluwaseun"),
    "another's NHS number": element("ProtocolName", "4010232137"),
    "an unknown NHS number": element("ProtocolName", "943 476 5919"),
    "his own study date": element("AcquisitionDate", "20200203"),
    "his own accession number": element("AccessionNumber", f"{CANARY}ACC1"),
    "another's study": element("FrameOfReferenceUID", "1.2.3.20000.2"),
    "a UID of no known root": element("FrameOfReferenceUID", "1.3.12.2.1107.5.1"),
    "a sequence in a sequence": nested,
    "a local character set": local,
    "a private element": private(b"..Oluwaseun Brightwater.."),
    "UTF-16, little-endian": private("Oluwaseun Brightwater".encode("utf-16-le")),
    "UTF-16, big-endian": private("Oluwaseun Brightwater".encode("utf-16-be")),
    "UTF-16 in the middle of bytes": private(b"\x01\x9f\x03" + "Oluwaseun Brightwater".encode("utf-16-le") + b"AB\xff"),
    "UTF-8": private("Olúwáseun Brightwater".encode()),
    "behind the pixel data": behind_pixels,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_planted_identifier_stops_its_study_and_no_other(
    hospital: Hospital, lake: Lake, tmp_path: Path, place: str
) -> None:
    hospital.verify([1, 2], instances=1)
    hospital.database.put_patients(PROJECT, [KnownIdentifiers(mrn=f"{CANARY}-1"), OTHER])
    path = hospital.work / PSEUDONYMIZER.uid("1.2.3.1") / f"{PSEUDONYMIZER.uid('1.2.3.1.1.1')}.dcm"
    data = pydicom.dcmread(path)
    PLACES[place](data)
    data.save_as(path)
    result = export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    assert dict(result.counts.moved) == {"quarantined": 1, "exported": 1}
    assert dict(result.counts.reasons) == {Reason.RESIDUAL_IDENTIFIER.value: 1}
    assert not list((tmp_path / "dicom").rglob(path.name))
    assert lake.read(PROJECT, "dicom_instance").num_rows == 1


def test_what_is_in_order_is_not_stopped_by_the_pixels(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1, 2], instances=1)
    hospital.database.put_patients(PROJECT, [OTHER])
    for path in hospital.work.rglob("*.dcm"):
        data = pydicom.dcmread(path)
        data.PixelData = b"Oluwaseun Brightwater ".ljust(len(data.PixelData), b"\0")
        data.save_as(path)
    assert export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")])).instances == 2


def notes(path: Path, *texts: str) -> StagedTable:
    """A staged file of notes: the n-th is about the n-th patient's procedure."""
    rows = [
        {
            "note_id": PSEUDONYMIZER.secure_hash(str(number), "note"),
            "person_id": PSEUDONYMIZER.secure_hash(str(number), "person"),
            "procedure_occurrence_id": PSEUDONYMIZER.secure_hash(str(1000 + number), "procedure"),
            "note_date": None,
            "note_title": None,
            "note_text": text,
            "extract_datetime": NOW,
        }
        for number, text in enumerate(texts, start=1)
    ]
    schema = TABLES["note"].columns
    write_staged(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    return StagedTable("note", "notes/first", path)


def test_a_note_that_names_somebody_stays_and_stops_its_study(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1, 2, 3], instances=1)
    born = KnownIdentifiers(mrn=f"{CANARY}-3", dob=datetime(1956, 3, 12, tzinfo=UTC).date())
    hospital.database.put_patients(PROJECT, [OTHER, born])
    # A study's date, as that of patient 2, may be another's that was shifted.
    texts = ("Compared with Brightwater, Oluwaseun.", "No mass. Seen 03/02/2020.", "Born 12.3.56.")
    staged = notes(tmp_path / "notes.parquet", *texts)
    places, settings = [FolderDestination(tmp_path / "dicom")], {"tables": [staged]}
    result = export_project(hospital.export(lake, places, **settings))
    assert dict(result.counts.moved) == {"quarantined": 2, "exported": 1}
    assert lake.read(PROJECT, "note").column("note_text").to_pylist() == [texts[1]]
    (path,) = (tmp_path / "manifests").glob("*.json")
    assert '"rows_withheld": 2' in path.read_text()
    assert export_project(hospital.export(lake, places, **settings)).release_id is None
    assert lake.read(PROJECT, "note").num_rows == 1


def test_rows_of_people_who_opted_out_since_stay(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1, 2], instances=1)
    staged = notes(tmp_path / "notes.parquet", "No mass.", "No fracture.")
    extract = hospital.database.register_extract(PROJECT, name="x", sha256="1" * 64, generated=NOW, source="test")
    out = {f"{CANARY}-1": Reason.NOT_ON_OPT_OUT_LIST}
    hospital.database.add_requests(extract, [], pseudonymizer=PSEUDONYMIZER, opted_out=out)
    export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")], tables=[staged]))
    assert lake.read(PROJECT, "note").column("note_text").to_pylist() == ["No fracture."]


def test_a_birthday_in_a_column_of_births_stays(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1], instances=1)
    hospital.database.put_patients(
        PROJECT, [KnownIdentifiers(mrn=f"{CANARY}-1", dob=datetime(1956, 3, 12, tzinfo=UTC).date())]
    )
    kinds = {"person_id": pa.string(), "birth_datetime": pa.timestamp("us", "UTC"), "seen": pa.date32()}
    fields = [pa.field(name, kind, metadata={"comment": "."}, nullable=name != "person_id") for name, kind in kinds.items()]
    schema = pa.schema(fields, metadata={"comment": "People.", "key": "person_id"})
    born = datetime(1956, 3, 12, tzinfo=UTC)
    person = PSEUDONYMIZER.secure_hash("1", "person")
    rows = [
        {"person_id": person, "birth_datetime": born, "seen": None},
        {"person_id": "b", "birth_datetime": born, "seen": born.date()},
    ]
    write_staged(tmp_path / "person.parquet", schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    staged = StagedTable("person", "records/first/person", tmp_path / "person.parquet")
    export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")], tables=[staged], record_tables=["person"]))
    assert lake.read(PROJECT, "person").column("person_id").to_pylist() == ["b"]


def test_a_table_whose_description_names_somebody_is_refused(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.ask([1])
    field = pa.field("k", pa.string(), nullable=False, metadata={"comment": f"As for {CANARY}-1."})
    schema = pa.schema([field], metadata={"comment": "A table.", "key": "k"})
    write_staged(tmp_path / "t.parquet", schema, [])
    with pytest.raises(IntegrityError, match="description of table 'measurement'"):
        prepare(
            hospital.export(lake, [], tables=[StagedTable("measurement", "records/a/measurement", tmp_path / "t.parquet")])
        )


def test_the_log_of_a_table_is_looked_at(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    """What delta-rs writes into a log holds the smallest and largest value of each column."""
    hospital.verify([1], instances=1)
    hospital.database.put_patients(PROJECT, [OTHER])
    export = hospital.export(lake, [FolderDestination(tmp_path / "dicom")])
    row = dict.fromkeys(TABLES["note"].columns.names) | {"note_id": "n", "person_id": "p", "extract_datetime": NOW}
    lake.write(PROJECT, "note", [[{**row, "note_title": "Brightwater, Oluwaseun"}]])
    found = lake.open(PROJECT, "note")
    assert found is not None
    assert export.verifier().words(log_words(found)) == {"NAME"}
    with pytest.raises(IntegrityError, match="log of table 'note'"):
        export_project(export)
    assert not list((tmp_path / "manifests").glob("*.json"))
    assert hospital.states() == {"verified": 1}
