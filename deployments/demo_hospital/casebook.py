"""Which studies the demo hospital has, and what went wrong with them: 60 requests of 40 patients in two extracts.

Every fault is planted on purpose and its expected outcome is known, so that the demo can be checked and not only watched.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deployments.demo_hospital.population import Clinician, Patient, Population

#: First procedure_occurrence_id of the demo's requests.
FIRST_PROCEDURE: Final = 8_800_001


class Case(StrEnum):
    """What is special about a study."""

    ORDINARY = "ordinary"
    NOT_IN_ANY_ARCHIVE = "not_in_any_archive"
    ACCESSION_ONLY = "accession_only"  # the extract has no study UID
    OTHER_UID = "other_uid"  # the extract's study UID is from before a migration; only the accession number is right
    SECONDARY = "secondary"  # only the second archive has it
    FOREIGN_MODALITY = "foreign_modality"
    LOCALISER = "localiser"  # one series is to be filtered, the other is exported
    BURNED_IN = "burned_in"
    SECONDARY_CAPTURE = "secondary_capture"
    OVERLAY = "overlay"  # private elements with names, and an overlay plane with text
    TRUNCATED = "truncated"  # its only instance
    ONE_TRUNCATED = "one_truncated"  # one of several
    NA_ACCESSION = "na_accession"  # its accession number really is "NA"
    TWO_ROWS = "two_rows"  # two procedures, one study
    BYSTANDER = "bystander"  # in the archive, but no extract asks for it: whoever asks too broadly gets it
    NA_BYSTANDER = "na_bystander"  # the same, and its accession number is "NA", too


_C = Case
#: Patient, modality, case, extract (0: none). Who is asked for in both extracts keeps one pseudonym and one date shift.
_STUDIES: Final[tuple[tuple[int, str, Case, int], ...]] = (
    *((patient, "CR", _C.ORDINARY, 1) for patient in (0, 1, 2, 3, 4, 7, 8, 9, 10)),
    (5, "CR", _C.ACCESSION_ONLY, 1),
    (6, "CR", _C.TRUNCATED, 1),
    (11, "CR", _C.NA_ACCESSION, 1),
    *((patient, "DX", _C.ORDINARY, 1) for patient in (16, 17, 18, 19, 20, 21, 22, 23, 24)),
    (12, "DX", _C.BURNED_IN, 1),
    (13, "DX", _C.OTHER_UID, 1),
    (14, "DX", _C.NOT_IN_ANY_ARCHIVE, 1),
    (15, "DX", _C.SECONDARY, 1),
    (0, "DX", _C.ORDINARY, 2),
    (1, "DX", _C.ORDINARY, 2),
    (2, "DX", _C.ORDINARY, 2),
    (25, "CT", _C.LOCALISER, 1),
    (26, "CT", _C.LOCALISER, 1),
    (27, "CT", _C.SECONDARY, 1),
    (28, "CT", _C.ONE_TRUNCATED, 1),
    (29, "CT", _C.TWO_ROWS, 1),
    *((patient, "CT", _C.ORDINARY, 1) for patient in (30, 31, 32, 0, 7)),
    (33, "CT", _C.NOT_IN_ANY_ARCHIVE, 1),
    (3, "CT", _C.ORDINARY, 2),
    (25, "CT", _C.ORDINARY, 2),
    (34, "MR", _C.OVERLAY, 1),
    (35, "MR", _C.LOCALISER, 1),
    *((patient, "MR", _C.ORDINARY, 1) for patient in (36, 37, 38, 39)),
    *((patient, "MR", _C.ORDINARY, 2) for patient in (4, 25, 26, 30)),
    (36, "US", _C.SECONDARY_CAPTURE, 2),
    *((patient, "US", _C.ORDINARY, 2) for patient in (8, 9, 10, 31, 32, 37)),
    (20, "MG", _C.FOREIGN_MODALITY, 2),
    (21, "NM", _C.FOREIGN_MODALITY, 2),
    *((patient, "MR", _C.BYSTANDER, 0) for patient in (5, 13, 33)),
    (11, "MR", _C.NA_BYSTANDER, 0),
)
#: Patients by what the opt-out answer and the patient record know of them.
OPTED_OUT: Final = frozenset({7, 17})
WITHOUT_NHS_NUMBER: Final = frozenset({38})
WITHOUT_RECORD: Final = frozenset({39})
_EXAMS: Final = {
    "CR": ("XR Chest PA", "CHEST"),
    "DX": ("XR Chest AP mobile", "CHEST"),
    "CT": ("CT Thorax abdomen pelvis with contrast", "CHEST"),
    "MR": ("MRI Head", "HEAD"),
    "US": ("US Abdomen", "ABDOMEN"),
    "MG": ("Mammogram bilateral", "BREAST"),
    "NM": ("NM Bone scan whole body", "WHOLEBODY"),
}


@dataclass(frozen=True)
class Study:
    """One study as the hospital's systems have it; ``asked_uid`` and ``procedures`` are what an extract says."""

    number: int
    patient: Patient
    modality: str
    case: Case
    extract: int
    day: date
    time: str
    accession: str
    uid: str
    asked_uid: str
    procedures: tuple[int, ...]
    description: str
    body_part: str
    radiologist: Clinician
    radiographer: Clinician

    @property
    def archive(self) -> str:
        """Which archive holds it: ``primary``, ``secondary``, or neither."""
        return {_C.NOT_IN_ANY_ARCHIVE: "", _C.SECONDARY: "secondary"}.get(self.case, "primary")

    def uid_of(self, *parts: object) -> str:
        """Return the UID of a part of the study (series, instance, ...). The same parts give the same UID."""
        return _uid(self.uid, *parts)


def plan(population: Population, *, seed: int, today: date) -> tuple[Study, ...]:
    """Draw the studies: their days, numbers and UIDs. The same arguments give the same studies."""
    rng = random.Random(f"{seed}:studies")
    procedure = FIRST_PROCEDURE
    studies = []
    for number, (patient, modality, case, extract) in enumerate(_STUDIES):
        rows = 2 if case is _C.TWO_ROWS else min(extract, 1)
        procedures = tuple(range(procedure, procedure + rows))
        procedure += rows
        days_ago = rng.randrange(20, 200) if extract == 2 else rng.randrange(230, 900)
        uid = _uid(seed, "study", number)
        asked = {_C.ACCESSION_ONLY: "", _C.OTHER_UID: _uid(seed, "before the migration", number)}.get(case, uid)
        description, body_part = _EXAMS[modality]
        studies.append(
            Study(
                number=number,
                patient=population.patients[patient],
                modality=modality,
                case=case,
                extract=extract,
                day=today - timedelta(days=days_ago),
                time=f"{rng.randrange(8, 19):02d}{rng.randrange(60):02d}{rng.randrange(60):02d}",
                accession="NA"
                if case in {_C.NA_ACCESSION, _C.NA_BYSTANDER}
                else f"RSG{7_130_048_000 + number * 97 + rng.randrange(90)}",
                uid=uid,
                asked_uid=asked,
                procedures=procedures,
                description=description,
                body_part=body_part,
                radiologist=rng.choice(population.staff),
                radiographer=rng.choice(population.staff),
            )
        )
    return tuple(studies)


def _uid(*parts: object) -> str:
    """Return a UID that looks like a device's: a root, a serial number, a count (at most 64 characters)."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()
    first, second, third = (int(digest[at : at + 11], 16) for at in (0, 11, 22))
    return f"1.3.6.1.4.1.55648.{first}.{second}.{third}"
