"""OMOP-ES extracts, as the hospital's extraction system delivers them: one in single files, one in batches.

Identifiers are in ``private/``; ``public/omop`` is what the record stage reads. The oddities are those of real deliveries:
identifiers that arrive as doubles, columns without a value typed ``bool``, rows that nothing can be done with.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from deployments.demo_hospital.reports import report
from safelight.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date
    from pathlib import Path

    from deployments.demo_hospital.casebook import Study
    from deployments.demo_hospital.population import Patient

Row = dict[str, Any]
#: The OMOP concepts of the demo (Athena vocabulary): gender, procedures by modality, measurements, observations.
_GENDERS: Final = {"F": 8532, "M": 8507}
_PROCEDURES: Final = {
    "CR": 4163872,
    "DX": 4163872,
    "CT": 4058335,
    "MR": 4082979,
    "US": 4261497,
    "MG": 4324693,
    "NM": 4205086,
}
_MEASUREMENTS: Final = (
    (3020460, "CRP", 1, 180, "mg/L"),
    (3016723, "Creatinine", 45, 160, "umol/L"),
    (3000963, "Hb", 80, 165, "g/L"),
)
_OBSERVATIONS: Final = ((4144272, "Never smoked"), (4310250, "Ex-smoker"), (4298794, "Smoker"))
_CONDITIONS: Final = ((255848, "Pneumonia"), (4001336, "Abnormal weight loss"), (255573, "COPD"))
_PART_ROWS: Final = 12
#: Rows that can't become a request, by extract: what is wrong, and the reason that is expected for it.
BAD_ROWS: Final[dict[int, tuple[tuple[int, str, Reason], ...]]] = {
    1: (
        (8_890_001, "no identifier", Reason.MISSING_IDENTIFIER),
        (8_890_002, "wild card", Reason.BAD_VALUE),
        (8_890_003, "unknown person", Reason.UNMATCHED_PERSON),
    ),
    2: (
        (8_890_004, "unknown procedure", Reason.UNMATCHED_PROCEDURE),
        (8_890_005, "no hospital number", Reason.MISSING_IDENTIFIER),
    ),
}
_NOBODY: Final = 59_900


def write_extract(folder: Path, studies: Sequence[Study], *, number: int, seed: int, today: date) -> None:
    """Write one delivery: number 1 in single files, number 2 in batches."""
    batched = number == 2
    people = {study.patient.person_id: study.patient for study in studies}
    patients = [people[person] for person in sorted(people)]
    procedures = [_procedure(study, at, batched) for study in studies for at in range(len(study.procedures))]
    links = [_link(study, at, batched) for study in studies for at in range(len(study.procedures))]
    person_links = [_person_link(patient, batched) for patient in patients]
    for identifier, fault, _ in BAD_ROWS[number]:
        _spoil(procedures, links, person_links, identifier, fault)
    private = {
        "PERSON_LINKS": person_links,
        "PROCEDURE_OCCURRENCE_LINKS": links,
        "NOTE": [_note(study, report(study, seed=seed)) for study in studies],
    }
    public = {
        "PERSON": [_person(patient) for patient in patients],
        "PROCEDURE_OCCURRENCE": procedures,
        "VISIT_OCCURRENCE": [_visit(study) for study in studies],
        "MEASUREMENT": [row for study in studies for row in _measurements(study, seed)],
        "OBSERVATION": [_observation(patient, seed, today) for patient in patients],
        "CONDITION_OCCURRENCE": [_condition(study, seed) for study in studies],
    }
    for tables, place in ((private, folder / "private"), (public, folder / "public" / "omop")):
        for name, rows in tables.items():
            _write(place, name, _table(rows, batched=batched), batched=batched)
    summary = {
        "datetime": f"{today - timedelta(days=3 - number)} 02:15:0{number}",
        "settings": {"cdm_source_name": "Demo Hospital Extract - OMOP CDM"},
    }
    (folder / "extract_summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _write(place: Path, name: str, table: pa.Table, *, batched: bool) -> None:
    if not batched:
        place.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, place / f"{name}.parquet")
        return
    parts = place / name.lower()
    parts.mkdir(parents=True, exist_ok=True)
    for part, start in enumerate(range(0, table.num_rows, _PART_ROWS)):
        pq.write_table(table.slice(start, _PART_ROWS), parts / f"part-{part}.parquet")


def _table(rows: Iterable[Row], *, batched: bool) -> pa.Table:
    """Type the columns as deliveries do: in batches ids are doubles; a column without any value is ``bool``."""
    table = pa.Table.from_pylist(list(rows))
    columns = []
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_null(field.type):
            column = column.cast(pa.bool_())
        elif pa.types.is_integer(field.type):
            column = column.cast(pa.float64() if batched else pa.int32())
        columns.append(column)
    return pa.table(columns, names=table.column_names)


def _person_link(patient: Patient, batched: bool) -> Row:
    row: Row = {
        "person_id": patient.person_id,
        "PatientDurableKey": patient.person_id + 700_000,
        "PrimaryMrn": patient.mrn,
        "PlaceOfServiceKey": None if batched else 31,
        "AddressKey": patient.person_id + 910_000,
    }
    return row | ({"plugin_provenance": "person", "data_source": "epic"} if batched else {})


def _link(study: Study, at: int, batched: bool) -> Row:
    row: Row = {
        "procedure_occurrence_id": study.procedures[at],
        "FlowsheetValueKey": None,
        "AccessionNumber": study.accession,
        "StudyUid_X": study.asked_uid or None,
    }
    if not batched:
        return row
    return row | {
        "ImagingKey": study.procedures[at] + 40,
        "ImageCode": "IMG1",
        "PregnancyEpicId": None,
        "plugin_provenance": "imaging",
        "data_source": "epic",
    }


def _procedure(study: Study, at: int, batched: bool) -> Row:
    moment = datetime.combine(study.day, time.fromisoformat(f"{study.time[:2]}:{study.time[2:4]}:{study.time[4:]}"), UTC)
    row: Row = {
        "procedure_occurrence_id": study.procedures[at],
        "person_id": study.patient.person_id,
        "procedure_concept_id": _PROCEDURES[study.modality],
        "procedure_date": study.day,
        "procedure_datetime": moment,
        "procedure_type_concept_id": 32817,
        "procedure_end_date": study.day,
        "procedure_end_datetime": moment + timedelta(minutes=20),
        "modifier_concept_id": 0,
        "quantity": 1.0,
        "visit_occurrence_id": _visit_id(study),
        "procedure_source_value": None if batched else f"{study.description} [{study.accession}]",
        "procedure_source_concept_id": 0,
        "modifier_source_value": None,
    }
    return row | ({"provider_id": 7_000 + study.number, "visit_detail_id": None} if batched else {})


def _spoil(procedures: list[Row], links: list[Row], person_links: list[Row], identifier: int, fault: str) -> None:
    """Add a row, copied from the last good one, that has one fault."""
    procedure = procedures[-1] | {"procedure_occurrence_id": identifier}
    link = links[-1] | {"procedure_occurrence_id": identifier, "StudyUid_X": None, "AccessionNumber": f"RSG{identifier}3"}
    if fault == "no identifier":
        link["AccessionNumber"] = None
    elif fault == "wild card":
        link["AccessionNumber"] = "RSG713*"
    elif fault == "unknown person":
        procedure["person_id"] = _NOBODY
    elif fault == "no hospital number":
        procedure["person_id"] = _NOBODY + 1
        person_links.append(person_links[-1] | {"person_id": _NOBODY + 1, "PrimaryMrn": None})
    if fault != "unknown procedure":
        procedures.append(procedure)
    links.append(link)


def _person(patient: Patient) -> Row:
    return {
        "person_id": patient.person_id,
        "gender_concept_id": _GENDERS[patient.sex],
        "year_of_birth": patient.dob.year,
        "month_of_birth": patient.dob.month,
        "day_of_birth": patient.dob.day,
        "birth_datetime": datetime.combine(patient.dob, time(), UTC),
        "race_concept_id": 0,
        "ethnicity_concept_id": 0,
        "location_id": patient.person_id + 100,
        "provider_id": None,
        "care_site_id": 31,
        # Public files should not have this; a column allow-list must not depend on it.
        "person_source_value": patient.mrn,
        "gender_source_value": patient.sex,
    }


def _visit_id(study: Study) -> int:
    return 3_300_000 + study.number


def _visit(study: Study) -> Row:
    return {
        "visit_occurrence_id": _visit_id(study),
        "person_id": study.patient.person_id,
        "visit_concept_id": 9202,
        "visit_start_date": study.day,
        "visit_end_date": study.day + timedelta(days=study.number % 4),
        "visit_type_concept_id": 32817,
        "visit_source_value": f"ADM{study.accession[-6:]}7",
    }


def _measurements(study: Study, seed: int) -> list[Row]:
    rng = random.Random(f"{seed}:measurements:{study.number}")
    return [
        {
            "measurement_id": 4_400_000 + study.number * 10 + at,
            "person_id": study.patient.person_id,
            "measurement_concept_id": concept,
            "measurement_date": study.day - timedelta(days=at),
            "measurement_datetime": datetime.combine(study.day - timedelta(days=at), time(7, 30), UTC),
            "measurement_type_concept_id": 32817,
            "value_as_number": float(rng.randrange(low, high)),
            "unit_source_value": unit,
            "visit_occurrence_id": _visit_id(study),
            "measurement_source_value": f"{name} for {study.patient.mrn}",
        }
        for at, (concept, name, low, high, unit) in enumerate(_MEASUREMENTS)
    ]


def _observation(patient: Patient, seed: int, today: date) -> Row:
    # By patient, not by extract: who is in both deliveries has the same row in both.
    rng = random.Random(f"{seed}:observation:{patient.person_id}")
    concept, text = rng.choice(_OBSERVATIONS)
    return {
        "observation_id": patient.person_id + 5_500_000,
        "person_id": patient.person_id,
        "observation_concept_id": concept,
        "observation_date": today - timedelta(days=rng.randrange(200, 1500)),
        "observation_type_concept_id": 32817,
        "value_as_string": f"{text}, says {patient.given}",
        "observation_source_value": text,
    }


def _condition(study: Study, seed: int) -> Row:
    rng = random.Random(f"{seed}:condition:{study.number}")
    concept, text = rng.choice(_CONDITIONS)
    return {
        "condition_occurrence_id": 6_600_000 + study.number,
        "person_id": study.patient.person_id,
        "condition_concept_id": concept,
        "condition_start_date": study.day - timedelta(days=rng.randrange(1, 30)),
        "condition_type_concept_id": 32817,
        "visit_occurrence_id": _visit_id(study),
        "condition_source_value": text,
    }


def _note(study: Study, text: str) -> Row:
    return {
        "note_id": 9_900_000 + study.number,
        "person_id": study.patient.person_id,
        "note_event_id": study.procedures[0],
        "note_date": study.day,
        "note_datetime": datetime.combine(study.day, time(17, 5), UTC),
        "note_type_concept_id": 32834,
        "note_class_concept_id": 44814641,
        "note_title": f"{study.description} report",
        "note_text": text,
        "encoding_concept_id": 32678,
        "language_concept_id": 4180186,
        "provider_id": 7_000 + study.number,
        "visit_occurrence_id": _visit_id(study),
        "note_source_value": study.accession,
    }
