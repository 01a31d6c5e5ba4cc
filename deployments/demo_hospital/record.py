"""What the hospital has besides images: the patient record, its site, the opt-out answer, a cohort as CSV."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from deployments.demo_hospital.casebook import Case, Study
from deployments.demo_hospital.reports import labelled_report

if TYPE_CHECKING:
    from pathlib import Path

    from deployments.demo_hospital.population import Population

_COLUMNS: Final = (
    "procedure_id",
    "mrn",
    "accession_number",
    "project_name",
    "extract_generated_timestamp",
    "study_date",
    "study_uid",
    "participant_id",
    "series_uid",
)


def write_record(folder: Path, population: Population, today: date) -> None:
    """Write the patient record, the site, and the opt-out answer: a number a line, trailing comma, LF (NHS MESH)."""
    recorded = [patient for patient in population.patients if patient.recorded]
    lines = [json.dumps(patient.record(), ensure_ascii=False) for patient in recorded]
    (folder / "record" / "patients.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    site = json.dumps(population.site(), ensure_ascii=False, indent=1)
    (folder / "record" / "site.json").write_text(site + "\n", encoding="utf-8")
    allowed = sorted(patient.nhs_number for patient in population.patients if patient.opted_in)
    answer = folder / "opt-out" / f"opt-out-{today:%Y%m%d}.dat"
    answer.write_text("".join(f"{number},\n" for number in allowed), encoding="ascii")


def write_labelled_reports(path: Path, studies: tuple[Study, ...], *, seed: int) -> None:
    """Write the labelled set on which the report de-identification is measured: each study's report in three ways."""
    known = [study for study in studies if study.patient.recorded and study.accession != "NA"]
    with path.open("w", encoding="utf-8") as file:
        for turn in range(1, 4):
            for study in known:
                labelled = labelled_report(study, seed=seed, variant=study.number + turn)
                file.write(json.dumps(labelled, ensure_ascii=False) + "\n")


def write_csv(path: Path, studies: tuple[Study, ...], *, project: str, today: date) -> None:
    """Write a cohort as CSV: two series of one study, bad rows, a row of another project, CRLF as spreadsheets write it."""

    def row(study: Study, **changes: str) -> dict[str, str]:
        usual = (
            str(study.procedures[0]),
            study.patient.mrn,
            study.accession,
            project,
            f"{today - timedelta(days=1)}T02:15:00Z",
            study.day.isoformat(),
            study.uid,
            "",
            "",
        )
        return dict(zip(_COLUMNS, usual, strict=True)) | changes

    two = next(study for study in studies if study.case is Case.LOCALISER)
    first, second, third = studies[:3]
    rows = [
        row(two, series_uid=two.uid_of("series", 1)),
        row(two, series_uid=two.uid_of("series", 2)),
        row(first),
        row(second, study_date="31/02/2024"),
        row(third, procedure_id="12a"),
        row(first, mrn=""),
        row(second, accession_number="NA", study_uid="", study_date=second.day.isoformat()),
        row(third, project_name="another-project"),
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
