"""Rows that link images, notes, record and requests: by pseudonym only, and saying what the files say."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pydicom
import pytest

from safelight.errors import IntegrityError
from safelight.link import Request
from safelight.linkage.images import image_rows
from safelight.linkage.outcomes import outcome_row, request_key
from safelight.model import InstanceOutcome, InstanceResult, Reason, RequestState
from safelight.release.conform import conform
from safelight.release.schemas import TABLES
from tests.release.hospital import CANARY, PSEUDONYMIZER, output_file, output_files

P = PSEUDONYMIZER
REQUEST = Request(
    id=7,
    project="trial",
    state=RequestState.EXPORTED,
    reason=None,
    attempts=0,
    mrn=f"{CANARY}MRN",
    accession_number=f"{CANARY}ACC",
    study_uid="1.2.3",
    series_uids=("1.2.3.9", "1.2.3.8"),
    study_date=date(2020, 1, 1),
    procedure_occurrence_id=1001,
    person_id="4",
    participant_id=CANARY,
    nhs_number=CANARY,
    archive="main",
    located_study_uid="1.2.3",
    announced=5,
    received=4,
    pseudo_study_uid="2.25.1",
    pseudo_patient_id="x",
    extract_id=1,
)
RESULTS = [InstanceResult(InstanceOutcome.WRITTEN)] * 3 + [InstanceResult(InstanceOutcome.SET_ASIDE, Reason.BURNED_IN)]


def test_a_study_gives_a_row_a_series_and_a_row_an_instance(tmp_path: Path) -> None:
    files = [*output_files(tmp_path, count=2), output_file(tmp_path, "2.25.1", "2.25.1.1", "2.25.1.1.7")]
    where = {"2.25.1.1": {"local_path": "trial/2.25.1/2.25.1.1"}, "2.25.1.2": {"wadors_uri": "https://x/studies"}}
    rows = image_rows([file.path for file in files], REQUEST, P, locations=where)
    assert conform(rows.image_occurrence, TABLES["image_occurrence"]).num_rows == 2
    assert conform(rows.dicom_instance, TABLES["dicom_instance"]).num_rows == 3
    assert [(row["image_series_uid"], row["instances"]) for row in rows.image_occurrence] == [
        ("2.25.1.1", 1),
        ("2.25.1.2", 2),
    ]
    first = rows.image_occurrence[1]
    assert (first["person_id"], first["procedure_occurrence_id"]) == (
        P.secure_hash("4", "person"),
        P.secure_hash("1001", "procedure"),
    )
    assert (first["modality"], first["anatomic_site"], first["image_occurrence_date"]) == ("CT", "CHEST", date(2020, 6, 14))
    assert (first["wadors_uri"], first["local_path"]) == ("https://x/studies", None)
    assert CANARY not in str(rows)


def test_people_of_a_cohort_without_person_ids_are_told_apart(tmp_path: Path) -> None:
    (file,) = output_files(tmp_path, count=1)
    people = {
        image_rows([file.path], replace(REQUEST, person_id="", pseudo_patient_id=pseudonym), P).image_occurrence[0][
            "person_id"
        ]
        for pseudonym in ("one", "two")
    }
    assert people == {"one", "two"}


def test_an_instance_row_says_what_the_file_says(tmp_path: Path) -> None:
    (file,) = output_files(tmp_path, count=1, rows=32)
    (row,) = image_rows([file.path], REQUEST, P).dicom_instance
    assert row["sha256"] == hashlib.sha256(file.path.read_bytes()).hexdigest()
    assert row["bytes"] == file.path.stat().st_size
    assert (row["Rows"], row["Columns"], row["BitsStored"], row["NumberOfFrames"]) == (32, 32, 12, None)
    assert (row["PixelSpacingRow"], row["PixelSpacingColumn"], row["SliceThickness"], row["KVP"]) == (0.7, 0.8, 1.5, 120.0)
    assert row["ImageType"] == "ORIGINAL\\PRIMARY\\AXIAL"
    assert row["TransferSyntaxUID"] == "1.2.840.10008.1.2.1"


def test_a_file_with_next_to_nothing_in_it_gives_empty_cells(tmp_path: Path) -> None:
    (file,) = output_files(tmp_path, count=1)
    data = pydicom.dcmread(file.path)
    needed = {"SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID"}
    for element in list(data):
        if element.keyword not in needed:
            del data[element.tag]
    data.save_as(file.path, enforce_file_format=True)
    rows = image_rows([file.path], REQUEST, P)
    assert conform(rows.dicom_instance, TABLES["dicom_instance"]).column("Modality").to_pylist() == [None]
    assert conform(rows.image_occurrence, TABLES["image_occurrence"]).num_rows == 1


@pytest.mark.parametrize("content", [b"", b"CANARY7 is not DICOM", b"\0" * 128 + b"DICM" + b"\1" * 50])
def test_a_file_that_can_not_be_read_stops_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        image_rows([path], REQUEST, P)
    assert CANARY not in str(caught.value)


def test_two_studies_are_not_one_request(tmp_path: Path) -> None:
    files = output_files(tmp_path, count=1) + output_files(tmp_path, count=1, study="2.25.5")
    with pytest.raises(IntegrityError, match="more than one study"):
        image_rows([file.path for file in files], REQUEST, P)


def test_an_outcome_counts_and_names_nobody() -> None:
    row = outcome_row(REQUEST, RESULTS, P)
    conform([row], TABLES["request_outcome"])
    counts = {name: value for name, value in row.items() if name.startswith("instances_")}
    assert counts == {"instances_announced": 5, "instances_received": 4, "instances_written": 3, "instances_set_aside": 1}
    assert CANARY not in str(row)
    assert REQUEST.study_uid not in row.values()


@pytest.mark.parametrize("state", list(RequestState))
def test_every_state_has_its_row(state: RequestState) -> None:
    reason = Reason.BURNED_IN if state is RequestState.REJECTED else None
    row = outcome_row(replace(REQUEST, state=state, reason=reason), RESULTS, P)
    conform([row], TABLES["request_outcome"])
    assert row["state"] == state.value
    assert row["reason"] == (reason.value if reason else None)
    assert (row["image_study_uid"] is not None) == (state is RequestState.EXPORTED)
    assert (row["procedure_occurrence_id"] is None) == (state is RequestState.OPTED_OUT)


def test_the_key_of_a_request_tells_requests_apart_and_joins_nothing() -> None:
    keys = {
        request_key(replace(REQUEST, **change), P)
        for change in (
            {},
            {"mrn": "a"},
            {"accession_number": "a"},
            {"study_uid": "1.9"},
            {"series_uids": ()},
            {"project": "b"},
        )
    }
    assert len(keys) == 6
    assert request_key(replace(REQUEST, series_uids=tuple(reversed(REQUEST.series_uids))), P) == request_key(REQUEST, P)
    assert request_key(REQUEST, P) not in (P.secure_hash(REQUEST.mrn, "patient"), P.secure_hash("1001", "procedure"))
