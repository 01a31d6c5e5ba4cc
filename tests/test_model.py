"""The shared words: states, reasons, and identifiers that never show themselves."""

from __future__ import annotations

import dataclasses
from datetime import date
from itertools import pairwise

import pytest
from pydantic import ValidationError

from safelight.model import (
    OUTCOMES,
    PROGRESS,
    TRANSITIONS,
    Address,
    InstanceOutcome,
    InstanceResult,
    KnownIdentifiers,
    Practice,
    Reason,
    RequestState,
    StudyRequest,
    outcome_of,
)

CANARY = "CANARYVALUE"
#: Reasons that set a row of a delivery aside, before there is a request.
OF_ROWS = {
    Reason.MISSING_IDENTIFIER,
    Reason.BAD_VALUE,
    Reason.UNKNOWN_PROJECT,
    Reason.UNMATCHED_PERSON,
    Reason.UNMATCHED_PROCEDURE,
    Reason.DUPLICATE_ROW,
}


def test_every_state_has_its_moves() -> None:
    assert set(TRANSITIONS) == set(RequestState)
    assert set(PROGRESS) | set(OUTCOMES) == set(RequestState)
    assert set(PROGRESS) & set(OUTCOMES) == {RequestState.EXPORTED}


def test_progress_goes_forward_one_step_at_a_time() -> None:
    for here, there in pairwise(PROGRESS):
        assert there in TRANSITIONS[here]
    for index, here in enumerate(PROGRESS):
        assert not TRANSITIONS[here] & set(PROGRESS[index + 2 :])


def test_a_patient_may_opt_out_at_any_time() -> None:
    assert all(RequestState.OPTED_OUT in TRANSITIONS[state] for state in RequestState if state != RequestState.OPTED_OUT)


def test_what_left_the_hospital_is_never_asked_for_again() -> None:
    assert TRANSITIONS[RequestState.EXPORTED] == {RequestState.OPTED_OUT}


@pytest.mark.parametrize("reason", sorted(set(Reason) - OF_ROWS))
def test_every_reason_leads_to_an_outcome_that_is_no_success(reason: Reason) -> None:
    outcome = outcome_of(reason)
    assert outcome in OUTCOMES
    assert outcome != RequestState.EXPORTED


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (Reason.BURNED_IN, RequestState.REJECTED),
        (Reason.INCOMPLETE, RequestState.FAILED),
        (Reason.WITHDRAWN, RequestState.OPTED_OUT),
        (Reason.NO_NHS_NUMBER, RequestState.OPTED_OUT),
        (Reason.NOT_IN_ANY_ARCHIVE, RequestState.NOT_FOUND),
        (Reason.RESIDUAL_IDENTIFIER, RequestState.QUARANTINED),
        (Reason.PATIENT_MISMATCH, RequestState.QUARANTINED),
    ],
)
def test_reasons_lead_where_they_should(reason: Reason, outcome: RequestState) -> None:
    assert outcome_of(reason) is outcome


def test_known_identifiers_show_nothing() -> None:
    known = KnownIdentifiers(
        mrn=CANARY,
        surname=CANARY,
        other_names=(CANARY,),
        dob=date(1950, 2, 1),
        address=Address(line1=CANARY, town=CANARY, postcode=CANARY),
        gp=Practice(name=CANARY, practice=CANARY),
    )
    shown = f"{known!r} {known} {known.address!r} {known.gp!r} {[known]}"
    assert CANARY not in shown
    assert "1950" not in shown


def test_a_bad_patient_record_is_refused_without_its_values() -> None:
    with pytest.raises(ValidationError) as caught:
        KnownIdentifiers.model_validate({"mrn": CANARY, "dob": CANARY})
    assert CANARY not in str(caught.value)


def test_a_blank_date_is_no_date() -> None:
    assert KnownIdentifiers.model_validate({"mrn": "1", "dob": ""}).dob is None


def test_requests_and_results_show_no_identifier() -> None:
    request = StudyRequest(CANARY, CANARY, CANARY, CANARY, date(1950, 2, 1), 19500201, CANARY, CANARY, (CANARY,), 7)
    result = InstanceResult(
        InstanceOutcome.WRITTEN, study_instance_uid=CANARY, series_instance_uid=CANARY, sop_instance_uid=CANARY
    )
    assert CANARY not in repr(request) + repr(result)
    assert "1950" not in repr(request)
    assert repr(request) == "StudyRequest(line=7)"
    assert {field.name for field in dataclasses.fields(InstanceResult) if not field.repr} == {
        "study_instance_uid",
        "series_instance_uid",
        "sop_instance_uid",
    }
