"""What must become of each request of the project ``demo-hospital``, so that a run can be checked and not only watched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deployments.demo_hospital.casebook import Case
from safelight.model import Reason, RequestState

if TYPE_CHECKING:
    from deployments.demo_hospital.casebook import Study


@dataclass(frozen=True)
class Expected:
    """What must become of a request. ``set_aside`` counts its instances that are left out, by reason."""

    state: RequestState
    reason: Reason | None = None
    set_aside: dict[Reason, int] = field(default_factory=dict)


def expected_of(study: Study, *, filtered: int) -> Expected:
    """Say what must become of a study. ``filtered``: how many of its instances are in a localiser series."""
    patient = study.patient
    if not patient.recorded or not patient.numbered:
        return Expected(RequestState.OPTED_OUT, Reason.NO_NHS_NUMBER)
    if not patient.opted_in:
        return Expected(RequestState.OPTED_OUT, Reason.NOT_ON_OPT_OUT_LIST)
    ends = {
        Case.NOT_IN_ANY_ARCHIVE: (RequestState.NOT_FOUND, Reason.NOT_IN_ANY_ARCHIVE),
        Case.FOREIGN_MODALITY: (RequestState.REJECTED, Reason.MODALITY_NOT_ALLOWED),
        Case.BURNED_IN: (RequestState.REJECTED, Reason.BURNED_IN),
        Case.SECONDARY_CAPTURE: (RequestState.REJECTED, Reason.BURNED_IN),
        # Its length field is true, or no archive could have indexed it; its pixels are too few for its rows and columns.
        Case.TRUNCATED: (RequestState.QUARANTINED, Reason.PIXEL_DATA),
    }
    if study.modality == "US":
        # Whatever its header says: consoles write names into the frame, so the demo's profile withholds ultrasound.
        ends[Case.ORDINARY] = (RequestState.REJECTED, Reason.BURNED_IN)
    if study.case in ends:
        state, reason = ends[study.case]
        return Expected(state, reason, {} if state is RequestState.NOT_FOUND else {reason: 1})
    aside = {
        Case.LOCALISER: {Reason.SERIES_FILTERED: filtered},
        Case.ONE_TRUNCATED: {Reason.PIXEL_DATA: 1},
    }
    return Expected(RequestState.EXPORTED, None, aside.get(study.case, {}))
