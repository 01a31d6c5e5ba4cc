"""The extracts have the form and the oddities of real deliveries."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deployments.demo_hospital import Hospital
from deployments.demo_hospital.casebook import Case
from deployments.demo_hospital.extract import BAD_ROWS
from deployments.demo_hospital.reports import report
from safelight.model import Reason

PRIVATE = {"PERSON_LINKS", "PROCEDURE_OCCURRENCE_LINKS", "NOTE"}
PUBLIC = {"PERSON", "PROCEDURE_OCCURRENCE", "VISIT_OCCURRENCE", "MEASUREMENT", "OBSERVATION", "CONDITION_OCCURRENCE"}


def table(hospital: Hospital, number: int, name: str) -> pa.Table:
    place = (
        hospital.deliveries / f"extract-{number}" / ("private" if name in PRIVATE and name != "PERSON" else "public/omop")
    )
    if number == 1:
        return pq.read_table(place / f"{name}.parquet")
    parts = sorted((place / name.lower()).glob("part-*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts])


def rows(hospital: Hospital, number: int, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table(hospital, number, name).to_pylist()
    return found


def joined(hospital: Hospital, number: int) -> dict[int, dict[str, Any]]:
    """Follow the links as a reader must: procedure to person to hospital number, procedure to accession and UID."""
    mrns = {row["person_id"]: row["PrimaryMrn"] for row in rows(hospital, number, "PERSON_LINKS")}
    procedures = {row["procedure_occurrence_id"]: row for row in rows(hospital, number, "PROCEDURE_OCCURRENCE")}
    found = {}
    for link in rows(hospital, number, "PROCEDURE_OCCURRENCE_LINKS"):
        procedure = procedures.get(link["procedure_occurrence_id"])
        if procedure and procedure["person_id"] in mrns:
            found[int(link["procedure_occurrence_id"])] = {**procedure, **link, "mrn": mrns[procedure["person_id"]]}
    return found


def test_the_first_extract_is_in_single_files_and_the_second_in_batches(hospital: Hospital) -> None:
    first, second = (hospital.deliveries / f"extract-{number}" for number in (1, 2))
    assert {path.stem for path in (first / "private").iterdir()} == PRIVATE
    assert {path.stem for path in (first / "public" / "omop").iterdir()} == PUBLIC
    assert {path.name for path in (second / "private").iterdir()} == {name.lower() for name in PRIVATE}
    assert {path.name for path in (second / "public" / "omop").iterdir()} == {name.lower() for name in PUBLIC}
    assert len(list((second / "private" / "procedure_occurrence_links").glob("part-*.parquet"))) > 1


@pytest.mark.parametrize("number", [1, 2])
def test_the_summary_has_what_the_reference_has(hospital: Hospital, number: int) -> None:
    summary = json.loads((hospital.deliveries / f"extract-{number}" / "extract_summary.json").read_text())
    assert set(summary) == {"datetime", "settings"}
    assert summary["datetime"] == f"2026-{'02-28' if number == 1 else '03-01'} 02:15:0{number}"
    assert summary["settings"] == {"cdm_source_name": "Demo Hospital Extract - OMOP CDM"}


def test_ids_are_integers_in_single_files_and_doubles_in_batches(hospital: Hospital) -> None:
    for number, kind in ((1, pa.int32()), (2, pa.float64())):
        for name in ("PERSON_LINKS", "PROCEDURE_OCCURRENCE", "PERSON", "NOTE"):
            assert table(hospital, number, name).schema.field("person_id").type == kind


def test_columns_without_a_value_are_typed_bool(hospital: Hospital) -> None:
    for number in (1, 2):
        links = table(hospital, number, "PROCEDURE_OCCURRENCE_LINKS")
        assert links.schema.field("FlowsheetValueKey").type == pa.bool_()
        assert links["FlowsheetValueKey"].null_count == links.num_rows


def test_the_columns_are_those_of_the_reference(hospital: Hospital) -> None:
    links = set(table(hospital, 1, "PROCEDURE_OCCURRENCE_LINKS").column_names)
    assert links == {"procedure_occurrence_id", "FlowsheetValueKey", "AccessionNumber", "StudyUid_X"}
    assert {"ImagingKey", "plugin_provenance", "data_source"} <= set(
        table(hospital, 2, "PROCEDURE_OCCURRENCE_LINKS").column_names
    )
    procedures = table(hospital, 1, "PROCEDURE_OCCURRENCE").schema
    assert procedures.field("procedure_date").type == pa.date32()
    assert str(procedures.field("procedure_datetime").type) == "timestamp[us, tz=UTC]"


def test_every_study_can_be_reached_through_the_links(hospital: Hospital) -> None:
    for study in hospital.studies:
        found = joined(hospital, study.extract)
        for procedure in study.procedures:
            row = found[procedure]
            assert row["mrn"] == study.patient.mrn
            assert row["AccessionNumber"] == study.accession
            assert (row["StudyUid_X"] or "") == study.asked_uid
            assert row["procedure_date"] == study.day


def test_one_study_is_asked_for_twice(hospital: Hospital) -> None:
    asked = Counter(row["AccessionNumber"] for row in joined(hospital, 1).values())
    (study,) = (study for study in hospital.studies if study.case is Case.TWO_ROWS)
    assert asked[study.accession] == 2


def test_bad_rows_are_bad_in_the_way_that_is_expected(hospital: Hospital) -> None:
    for number in (1, 2):
        good = joined(hospital, number)
        people = {row["person_id"] for row in rows(hospital, number, "PERSON_LINKS")}
        procedures = {row["procedure_occurrence_id"]: row for row in rows(hospital, number, "PROCEDURE_OCCURRENCE")}
        for identifier, fault, reason in BAD_ROWS[number]:
            match reason:
                case Reason.UNMATCHED_PROCEDURE:
                    assert identifier not in procedures
                case Reason.UNMATCHED_PERSON:
                    assert procedures[identifier]["person_id"] not in people
                case Reason.BAD_VALUE:
                    assert "*" in good[identifier]["AccessionNumber"]
                case _:
                    row = good[identifier]
                    assert row["mrn"] is None or not (row["AccessionNumber"] or row["StudyUid_X"]), fault
    assert sum(hospital.expected_rows.values()) == sum(map(len, BAD_ROWS.values())) + 1


def test_who_is_in_both_extracts_has_the_same_rows_in_both(hospital: Hospital) -> None:
    """Otherwise a second run would write each of them again."""
    for name, key in (("PERSON", "person_id"), ("OBSERVATION", "observation_id")):
        first, second = ({row[key]: row for row in rows(hospital, number, name)} for number in (1, 2))
        shared = set(first) & set(second)
        assert shared
        assert all(first[identifier] == second[identifier] for identifier in shared)


def test_public_files_tempt_whoever_copies_them(hospital: Hospital) -> None:
    people = {patient.person_id: patient for patient in hospital.population.patients}
    for row in rows(hospital, 1, "PERSON"):
        assert row["person_source_value"] == people[row["person_id"]].mrn
    assert any(people[row["person_id"]].given in row["value_as_string"] for row in rows(hospital, 1, "OBSERVATION"))


def test_every_study_has_a_report_that_names_its_patient(hospital: Hospital) -> None:
    notes = {int(row["note_event_id"]): row for number in (1, 2) for row in rows(hospital, number, "NOTE")}
    for study in hospital.studies:
        text = notes[study.procedures[0]]["note_text"]
        patient = study.patient
        # Turkish: capital letters of a dotless i do not lead back to it.
        surnames = (patient.surname.casefold(), patient.surname.upper().casefold())
        assert any(surname in text.casefold() for surname in surnames)
        assert any(one in text for one in (patient.mrn, patient.nhs_number))
        assert study.radiologist.surname.casefold() in text.casefold()
        assert text == report(study, seed=hospital.seed)


def test_reports_differ_in_style(hospital: Hospital) -> None:
    texts = [report(study, seed=hospital.seed) for study in hospital.studies]
    assert len(set(texts)) == len(texts)
    assert any(text == text.upper() for text in texts)
    assert any("\\.br\\" in text for text in texts)
    assert any(" year old " in text for text in texts)
    assert any("NHS No: 999 " in text for text in texts)
    eponyms = ("Kerley", "Circle of Willis", "Murphy", "Meckel", "Crohn", "Swan-Ganz", "Paget", "Hodgkin")
    assert sum(any(eponym in text for text in texts) for eponym in eponyms) >= 6, "words that must survive"


def test_the_csv_cohort_has_two_rows_for_two_series_and_bad_rows(hospital: Hospital) -> None:
    content = hospital.csv_file.read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") == 9
    header, *lines = content.decode().splitlines()
    parsed = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    assert parsed[0]["study_uid"] == parsed[1]["study_uid"]
    assert parsed[0]["series_uid"] != parsed[1]["series_uid"]
    assert Counter(row["project_name"] for row in parsed) == {"demo-hospital": 7, "another-project": 1}
    assert {"NA", ""} <= {row["accession_number"] for row in parsed} | {row["mrn"] for row in parsed}


def test_no_other_file_is_in_a_delivery(hospital: Hospital) -> None:
    kinds = Counter(Path(path).suffix for path in hospital.deliveries.rglob("*") if path.is_file())
    assert set(kinds) == {".parquet", ".json"}
    assert kinds[".json"] == 2


def test_the_labelled_reports_are_labelled_where_the_patient_stands(hospital: Hospital) -> None:
    """Enough of them for a validation, and each label on a text that is in the record or looks like what it says."""
    lines = [json.loads(line) for line in hospital.labelled_reports.read_text(encoding="utf-8").splitlines()]
    assert len(lines) >= 100
    assert len({line["id"] for line in lines}) == len(lines)
    for line in lines:
        there = {span["label"]: line["text"][span["start"] : span["end"]].upper() for span in line["spans"]}
        assert there.get("MRN", line["patient"]["mrn"]) == line["patient"]["mrn"].upper()
        assert there.get("ACCESSION", line["patient"]["accession"]) == line["patient"]["accession"]
        assert all(text.strip() == text != "" for text in there.values())
        assert line["patient"]["mrn"].upper() not in _without(line["text"], line["spans"]).upper()
    labels = {span["label"] for line in lines for span in line["spans"]}
    assert labels >= {"PATIENT_NAME", "CLINICIAN_NAME", "DOB", "NHS_NO", "PHONE"}


def _without(text: str, spans: list[dict[str, Any]]) -> str:
    return "".join(letter for at, letter in enumerate(text) if not any(s["start"] <= at < s["end"] for s in spans))
