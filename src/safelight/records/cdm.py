"""The tables of the OMOP Common Data Model 5.4 that are about a person, and what each column is.

Source: OHDSI, "OMOP CDM v5.4" (field-level specification); the comments are ours. A column's kind decides its Arrow
type and which operations may be used on it. Tables that are about no person (vocabulary, care_site, provider) and
free-text notes (``note``: see the profile's ``reports``) are not here, so that a profile can't list them as records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["id", "concept", "integer", "quasi", "number", "date", "datetime", "text"]


@dataclass(frozen=True)
class Column:
    """One column: its kind and comment, and for an identifier the domain of its pseudonym."""

    name: str
    kind: Kind
    comment: str
    domain: str = ""


@dataclass(frozen=True)
class CdmTable:
    """One table: its comment, the column that is its key, and its columns in the order of the CDM."""

    name: str
    comment: str
    key: str
    columns: dict[str, Column]


#: Domain of each identifier's pseudonym, so that it is one and the same in every table, image and report.
DOMAINS: Final = {
    "person_id": "person",
    "procedure_occurrence_id": "procedure",
    "visit_occurrence_id": "visit",
    "preceding_visit_occurrence_id": "visit",
    "visit_detail_id": "visit-detail",
    "preceding_visit_detail_id": "visit-detail",
    "parent_visit_detail_id": "visit-detail",
    "provider_id": "provider",
    "care_site_id": "care-site",
    "location_id": "location",
    "note_id": "note",
    "observation_period_id": "obs-period",
    "condition_occurrence_id": "condition",
    "drug_exposure_id": "drug",
    "device_exposure_id": "device",
    "measurement_id": "measurement",
    "observation_id": "observation",
    "specimen_id": "specimen",
    "condition_era_id": "condition-era",
    "drug_era_id": "drug-era",
}

_PERSON = "person_id | id | Pseudonym of the person; joins all tables."
_VISIT = """
provider_id | id | Pseudonym of the responsible professional.
visit_occurrence_id | id | Pseudonym of the visit during which it happened.
visit_detail_id | id | Pseudonym of the part of the visit during which it happened.
"""
_UNIT = """
unit_concept_id | concept | Standard concept of the unit.
unit_source_value | text | Unit as the source wrote it.
unit_source_concept_id | concept | Concept of the unit in the source's own vocabulary.
"""

_TABLES: Final[dict[str, tuple[str, str, str]]] = {
    "person": (
        "People of the cohort, one row each.",
        "person_id",
        f"""
{_PERSON}
gender_concept_id | concept | Standard concept of the administrative sex.
year_of_birth | integer | Year of birth.
month_of_birth | quasi | Month of birth, 1 to 12.
day_of_birth | quasi | Day of the month of birth.
birth_datetime | datetime | Date and time of birth (UTC).
race_concept_id | concept | Standard concept of the race.
ethnicity_concept_id | concept | Standard concept of the ethnicity.
location_id | id | Pseudonym of the place of residence.
provider_id | id | Pseudonym of the primary care professional.
care_site_id | id | Pseudonym of the primary care site.
person_source_value | text | The person's identifier in the source.
gender_source_value | text | Sex as the source wrote it.
gender_source_concept_id | concept | Concept of the sex in the source's own vocabulary.
race_source_value | text | Race as the source wrote it.
race_source_concept_id | concept | Concept of the race in the source's own vocabulary.
ethnicity_source_value | text | Ethnicity as the source wrote it.
ethnicity_source_concept_id | concept | Concept of the ethnicity in the source's own vocabulary.
""",
    ),
    "observation_period": (
        "Spans of time in which a person's events would have been recorded.",
        "observation_period_id",
        f"""
observation_period_id | id | Pseudonym of the span.
{_PERSON}
observation_period_start_date | date | First day of the span.
observation_period_end_date | date | Last day of the span.
period_type_concept_id | concept | Where the span was derived from.
""",
    ),
    "visit_occurrence": (
        "Encounters with the health system, one row each.",
        "visit_occurrence_id",
        f"""
visit_occurrence_id | id | Pseudonym of the visit.
{_PERSON}
visit_concept_id | concept | Kind of visit: inpatient, outpatient, emergency.
visit_start_date | date | Day on which the visit began.
visit_start_datetime | datetime | Time at which the visit began (UTC).
visit_end_date | date | Day on which the visit ended.
visit_end_datetime | datetime | Time at which the visit ended (UTC).
visit_type_concept_id | concept | Where the row came from.
provider_id | id | Pseudonym of the responsible professional.
care_site_id | id | Pseudonym of the place of care.
visit_source_value | text | Kind of visit as the source wrote it.
visit_source_concept_id | concept | Concept of the visit in the source's own vocabulary.
admitted_from_concept_id | concept | Where the person was admitted from.
admitted_from_source_value | text | Where the person was admitted from, as the source wrote it.
discharged_to_concept_id | concept | Where the person was discharged to.
discharged_to_source_value | text | Where the person was discharged to, as the source wrote it.
preceding_visit_occurrence_id | id | Pseudonym of the visit before this one.
""",
    ),
    "visit_detail": (
        "Parts of a visit, such as a stay on one ward.",
        "visit_detail_id",
        f"""
visit_detail_id | id | Pseudonym of the part of the visit.
{_PERSON}
visit_detail_concept_id | concept | Kind of care in this part.
visit_detail_start_date | date | Day on which the part began.
visit_detail_start_datetime | datetime | Time at which the part began (UTC).
visit_detail_end_date | date | Day on which the part ended.
visit_detail_end_datetime | datetime | Time at which the part ended (UTC).
visit_detail_type_concept_id | concept | Where the row came from.
provider_id | id | Pseudonym of the responsible professional.
care_site_id | id | Pseudonym of the place of care.
visit_detail_source_value | text | Kind of care as the source wrote it.
visit_detail_source_concept_id | concept | Concept of the care in the source's own vocabulary.
admitted_from_concept_id | concept | Where the person came from.
admitted_from_source_value | text | Where the person came from, as the source wrote it.
discharged_to_concept_id | concept | Where the person went to.
discharged_to_source_value | text | Where the person went to, as the source wrote it.
preceding_visit_detail_id | id | Pseudonym of the part before this one.
parent_visit_detail_id | id | Pseudonym of the part that this one belongs to.
visit_occurrence_id | id | Pseudonym of the visit that this is a part of.
""",
    ),
    "condition_occurrence": (
        "Diagnoses, signs and symptoms that were recorded.",
        "condition_occurrence_id",
        f"""
condition_occurrence_id | id | Pseudonym of the record.
{_PERSON}
condition_concept_id | concept | Standard concept of the condition.
condition_start_date | date | First day of the condition.
condition_start_datetime | datetime | Time at which the condition began (UTC).
condition_end_date | date | Last day of the condition.
condition_end_datetime | datetime | Time at which the condition ended (UTC).
condition_type_concept_id | concept | Where the row came from.
condition_status_concept_id | concept | Status of the diagnosis: admission, preliminary, final.
stop_reason | text | Why the condition is no longer noted.
{_VISIT}
condition_source_value | text | Condition as the source wrote it.
condition_source_concept_id | concept | Concept of the condition in the source's own vocabulary.
condition_status_source_value | text | Status as the source wrote it.
""",
    ),
    "drug_exposure": (
        "Medicines that were prescribed, dispensed or given.",
        "drug_exposure_id",
        f"""
drug_exposure_id | id | Pseudonym of the record.
{_PERSON}
drug_concept_id | concept | Standard concept of the medicine.
drug_exposure_start_date | date | First day of the medicine.
drug_exposure_start_datetime | datetime | Time of the first dose (UTC).
drug_exposure_end_date | date | Last day of the medicine.
drug_exposure_end_datetime | datetime | Time of the last dose (UTC).
verbatim_end_date | date | Last day as the source gave it.
drug_type_concept_id | concept | Where the row came from.
stop_reason | text | Why the medicine was stopped.
refills | integer | Refills after the first prescription.
quantity | number | Amount prescribed or given.
days_supply | integer | Days that the supply was meant for.
sig | text | Directions on the prescription.
route_concept_id | concept | Standard concept of the route.
lot_number | text | Lot number of the medicine.
{_VISIT}
drug_source_value | text | Medicine as the source wrote it.
drug_source_concept_id | concept | Concept of the medicine in the source's own vocabulary.
route_source_value | text | Route as the source wrote it.
dose_unit_source_value | text | Unit of the dose as the source wrote it.
""",
    ),
    "procedure_occurrence": (
        "Procedures that were ordered or done; imaging studies are among them.",
        "procedure_occurrence_id",
        f"""
procedure_occurrence_id | id | Pseudonym of the procedure; joins image_occurrence and note.
{_PERSON}
procedure_concept_id | concept | Standard concept of the procedure.
procedure_date | date | Day of the procedure.
procedure_datetime | datetime | Time of the procedure (UTC).
procedure_end_date | date | Day on which the procedure ended.
procedure_end_datetime | datetime | Time at which the procedure ended (UTC).
procedure_type_concept_id | concept | Where the row came from.
modifier_concept_id | concept | Modifier of the procedure, such as its side.
quantity | number | How often the procedure was done.
{_VISIT}
procedure_source_value | text | Procedure as the source wrote it.
procedure_source_concept_id | concept | Concept of the procedure in the source's own vocabulary.
modifier_source_value | text | Modifier as the source wrote it.
""",
    ),
    "device_exposure": (
        "Devices and supplies that were used on or in a person.",
        "device_exposure_id",
        f"""
device_exposure_id | id | Pseudonym of the record.
{_PERSON}
device_concept_id | concept | Standard concept of the device.
device_exposure_start_date | date | First day of the device.
device_exposure_start_datetime | datetime | Time at which its use began (UTC).
device_exposure_end_date | date | Last day of the device.
device_exposure_end_datetime | datetime | Time at which its use ended (UTC).
device_type_concept_id | concept | Where the row came from.
unique_device_id | text | Unique device identifier.
production_id | text | Production identifier of the device.
quantity | number | Number of devices.
{_VISIT}
device_source_value | text | Device as the source wrote it.
device_source_concept_id | concept | Concept of the device in the source's own vocabulary.
{_UNIT}
""",
    ),
    "measurement": (
        "Results of tests and examinations, one row each.",
        "measurement_id",
        f"""
measurement_id | id | Pseudonym of the result.
{_PERSON}
measurement_concept_id | concept | Standard concept of what was measured.
measurement_date | date | Day of the measurement.
measurement_datetime | datetime | Time of the measurement (UTC).
measurement_type_concept_id | concept | Where the row came from.
operator_concept_id | concept | Operator before the number: less than, at least.
value_as_number | number | The result as a number.
value_as_concept_id | concept | The result as a standard concept.
unit_concept_id | concept | Standard concept of the unit.
range_low | number | Lower end of the normal range.
range_high | number | Upper end of the normal range.
{_VISIT}
measurement_source_value | text | Measurement as the source wrote it.
measurement_source_concept_id | concept | Concept of the measurement in the source's own vocabulary.
unit_source_value | text | Unit as the source wrote it.
unit_source_concept_id | concept | Concept of the unit in the source's own vocabulary.
value_source_value | text | The result as the source wrote it.
""",
    ),
    "observation": (
        "Facts that no other table holds, one row each.",
        "observation_id",
        f"""
observation_id | id | Pseudonym of the record.
{_PERSON}
observation_concept_id | concept | Standard concept of what was observed.
observation_date | date | Day of the observation.
observation_datetime | datetime | Time of the observation (UTC).
observation_type_concept_id | concept | Where the row came from.
value_as_number | number | The observation as a number.
value_as_string | text | The observation as text.
value_as_concept_id | concept | The observation as a standard concept.
qualifier_concept_id | concept | Qualifier of the observation.
unit_concept_id | concept | Standard concept of the unit.
{_VISIT}
observation_source_value | text | Observation as the source wrote it.
observation_source_concept_id | concept | Concept of the observation in the source's own vocabulary.
unit_source_value | text | Unit as the source wrote it.
qualifier_source_value | text | Qualifier as the source wrote it.
value_source_value | text | Value as the source wrote it.
""",
    ),
    "death": (
        "Deaths, at most one row a person.",
        "person_id",
        f"""
{_PERSON}
death_date | date | Day of death.
death_datetime | datetime | Time of death (UTC).
death_type_concept_id | concept | Where the row came from.
cause_concept_id | concept | Standard concept of the cause.
cause_source_value | text | Cause as the source wrote it.
cause_source_concept_id | concept | Concept of the cause in the source's own vocabulary.
""",
    ),
    "specimen": (
        "Samples that were taken from a person.",
        "specimen_id",
        f"""
specimen_id | id | Pseudonym of the sample.
{_PERSON}
specimen_concept_id | concept | Standard concept of the sample.
specimen_type_concept_id | concept | Where the row came from.
specimen_date | date | Day on which the sample was taken.
specimen_datetime | datetime | Time at which the sample was taken (UTC).
quantity | number | Amount of the sample.
unit_concept_id | concept | Standard concept of the unit.
anatomic_site_concept_id | concept | Standard concept of the site it was taken from.
disease_status_concept_id | concept | Standard concept of the disease status.
specimen_source_id | text | The sample's identifier in the source.
specimen_source_value | text | Sample as the source wrote it.
unit_source_value | text | Unit as the source wrote it.
anatomic_site_source_value | text | Site as the source wrote it.
disease_status_source_value | text | Disease status as the source wrote it.
""",
    ),
    "condition_era": (
        "Spans of time in which a person is taken to have had a condition.",
        "condition_era_id",
        f"""
condition_era_id | id | Pseudonym of the span.
{_PERSON}
condition_concept_id | concept | Standard concept of the condition.
condition_era_start_date | date | First day of the span.
condition_era_end_date | date | Last day of the span.
condition_occurrence_count | integer | Records that make up the span.
""",
    ),
    "drug_era": (
        "Spans of time in which a person is taken to have had an ingredient.",
        "drug_era_id",
        f"""
drug_era_id | id | Pseudonym of the span.
{_PERSON}
drug_concept_id | concept | Standard concept of the ingredient.
drug_era_start_date | date | First day of the span.
drug_era_end_date | date | Last day of the span.
drug_exposure_count | integer | Records that make up the span.
gap_days | integer | Days of the span without a record.
""",
    ),
}


def _column(line: str) -> Column:
    name, kind, comment = (part.strip() for part in line.split("|"))
    return Column(name, kind, comment, DOMAINS[name] if kind == "id" else "")  # type: ignore[arg-type]  # a test reads all


#: Every table about a person, by its name in lower case.
CDM: Final[dict[str, CdmTable]] = {
    name: CdmTable(
        name, comment, key, {column.name: column for line in text.splitlines() if line for column in [_column(line)]}
    )
    for name, (comment, key, text) in _TABLES.items()
}
