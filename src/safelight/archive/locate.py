"""Which study a request means, from what an archive answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from safelight.archive.identifier import StudyAnswer, matching_uid
from safelight.errors import StudyRejected
from safelight.model import Reason, StudyRequest
from safelight.pseudonym import canonical

if TYPE_CHECKING:
    from safelight.link import Request


def resolve(
    request: Request | StudyRequest,
    answers: Sequence[StudyAnswer],
    *,
    modalities: Collection[str] = (),
    modalities_of: Callable[[StudyAnswer], Collection[str]] = lambda answer: answer.modalities,
) -> StudyAnswer | None:
    """Return the one study that a request means; None when there is no answer.

    Rules, in this order: the patient must be the request's wherever an answer names one; of several studies of that
    patient, the date decides, then the modalities that the project allows. ``modalities_of`` looks them up where an answer
    does not say; it is only called then.

    Raises:
        StudyRejected: patient_mismatch, when all answers are other patients'; ambiguous_study, when the rules leave
            more than one or none; bad_value, when the one that is left has no valid UID.
    """
    if not answers:
        return None
    own = [answer for answer in answers if is_patient(answer.patient_id, request.mrn)]
    if not own:
        raise StudyRejected(Reason.PATIENT_MISMATCH)
    if len(own) > 1 and request.study_date is not None:
        own = [answer for answer in own if answer.study_date == request.study_date]
    if len(own) > 1 and modalities:
        own = [answer for answer in own if set(modalities_of(answer)) & set(modalities)]
    if len(own) != 1:
        raise StudyRejected(Reason.AMBIGUOUS_STUDY)
    matching_uid(own[0].study_uid)
    return own[0]


def is_patient(patient_id: str, mrn: str) -> bool:
    """Tell whether a PatientID is the request's, or says nothing. Compared as it is hashed, so leading zeros count."""
    return not patient_id.strip() or canonical(patient_id) == canonical(mrn)
