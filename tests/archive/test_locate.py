"""Which study a request means."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from safelight.archive.identifier import StudyAnswer
from safelight.archive.locate import is_patient, resolve
from safelight.errors import StudyRejected
from safelight.model import Reason
from tests.archive.conftest import a_request
from tests.archive.studies import Study

STUDY = Study(1)
DAY, OTHER_DAY = STUDY.when, date(2020, 1, 1)
FOUND = StudyAnswer("1.2.1", STUDY.mrn, STUDY.accession, DAY, ("CT",), 5)
LATER = replace(FOUND, study_uid="1.2.2", study_date=OTHER_DAY)
ULTRASOUND = replace(FOUND, study_uid="1.2.3", modalities=("US", "SR"))
STRANGER = replace(FOUND, study_uid="1.2.4", patient_id="CANARYOTHER")
NAMELESS = replace(FOUND, study_uid="1.2.5", patient_id="")


@pytest.mark.parametrize(
    ("answers", "modalities", "expected"),
    [
        ([], (), None),
        ([FOUND], (), FOUND),
        ([LATER], (), LATER),
        ([NAMELESS], (), NAMELESS),
        ([STRANGER, FOUND], (), FOUND),
        ([FOUND, LATER], (), FOUND),
        ([FOUND, ULTRASOUND], ("US", "MR"), ULTRASOUND),
        ([FOUND, ULTRASOUND, LATER, STRANGER], ("CT",), FOUND),
        ([STRANGER], (), Reason.PATIENT_MISMATCH),
        ([STRANGER, replace(STRANGER, study_uid="1.2.6")], (), Reason.PATIENT_MISMATCH),
        ([FOUND, ULTRASOUND], (), Reason.AMBIGUOUS_STUDY),
        ([FOUND, ULTRASOUND], ("MR",), Reason.AMBIGUOUS_STUDY),
        ([FOUND, ULTRASOUND], ("CT", "US"), Reason.AMBIGUOUS_STUDY),
        ([FOUND, NAMELESS], (), Reason.AMBIGUOUS_STUDY),
        ([LATER, replace(LATER, study_uid="1.2.7")], (), Reason.AMBIGUOUS_STUDY),
    ],
)
def test_the_rules(answers: list[StudyAnswer], modalities: tuple[str, ...], expected: StudyAnswer | Reason | None) -> None:
    if isinstance(expected, Reason):
        with pytest.raises(StudyRejected) as caught:
            resolve(a_request(STUDY), answers, modalities=modalities)
        assert caught.value.reason is expected
        assert "CANARY" not in str(caught.value)
    else:
        assert resolve(a_request(STUDY), answers, modalities=modalities) == expected
        assert resolve(a_request(STUDY), answers[::-1], modalities=modalities) == expected


def test_without_a_date_only_the_modality_decides() -> None:
    request = a_request(STUDY, study_date=None)
    assert resolve(request, [FOUND, ULTRASOUND], modalities=("US",)) == ULTRASOUND
    with pytest.raises(StudyRejected):
        resolve(request, [FOUND, LATER])


@pytest.mark.parametrize(
    ("patient_id", "mrn", "same"),
    [
        ("007", "007", True),
        ("007 ", " 007", True),
        ("", "007", True),
        ("7", "007", False),
        ("007a", "007A", False),
        ("E\u0301", "\u00c9", True),
        ("007", "", False),
    ],
)
def test_patients_are_compared_as_they_are_hashed(patient_id: str, mrn: str, same: bool) -> None:
    assert is_patient(patient_id, mrn) is same
