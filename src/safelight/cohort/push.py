"""Studies that were sent unasked, as a delivery: each is a request, or set aside where nobody knows its patient."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from safelight.cohort.delivery import Delivery, ExtractInfo
from safelight.link import SetAsideRow
from safelight.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from safelight.model import KnownIdentifiers, StudyRequest

SOURCE: Final = "push"


def patients_of(requests: Iterable[StudyRequest], record: Iterable[KnownIdentifiers]) -> dict[str, KnownIdentifiers]:
    """Return MRN -> patient of those requests, from the patient record, which is streamed."""
    wanted = {request.mrn for request in requests}
    return {patient.mrn: patient for patient in record if patient.mrn in wanted}


def pushed_delivery(
    requests: Sequence[StudyRequest], patients: Mapping[str, KnownIdentifiers], *, project: str, generated: datetime
) -> Delivery:
    """Return the delivery. Whoever is not in the patient record is set aside: what identifies them is not known.

    Args:
        requests: at least one; the ``line`` of a row set aside is its place among them, from 1.
        patients: from ``patients_of``.
        project: slug.
        generated: when the studies were complete.
    """
    known = [replace(one, person_id=patients[one.mrn].person_id) for one in requests if one.mrn in patients]
    aside = [
        SetAsideRow(line, SOURCE, Reason.NO_PATIENT_RECORD)
        for line, one in enumerate(requests, start=1)
        if one.mrn not in patients
    ]
    # The same studies again, after a kill, are the same delivery.
    rows = sorted("\0".join((one.mrn, one.study_uid, *one.series_uids, one.part)) for one in requests)
    digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    info = ExtractInfo(project, f"{SOURCE}-{digest[:12]}", digest, generated, SOURCE, SOURCE)
    return Delivery(info, tuple(known), tuple(aside))
