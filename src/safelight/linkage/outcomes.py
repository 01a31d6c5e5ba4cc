"""Rows of ``request_outcome``: what became of each study that was asked for. Counts and reasons, no identifiers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from safelight.link import Request
from safelight.model import InstanceOutcome, InstanceResult, RequestState
from safelight.pseudonym import Pseudonymizer


def request_key(request: Request, pseudonymizer: Pseudonymizer) -> str:
    """Return the keyed name of a request: from its natural key, in a domain of its own, so that it joins nothing else."""
    parts = [request.project, request.mrn, request.accession_number, request.study_uid, *sorted(request.series_uids)]
    if request.part:
        parts.append(request.part)
    return pseudonymizer.secure_hash("\x1f".join(parts), "request")


def outcome_row(request: Request, instances: Sequence[InstanceResult], pseudonymizer: Pseudonymizer) -> dict[str, Any]:
    """Return the row of one request.

    For a patient who opted out it says that, and nothing else: no pseudonym, no counts.
    """
    gone = request.state is RequestState.OPTED_OUT
    counts = Counter() if gone else Counter(instance.outcome for instance in instances)
    exported = request.state is RequestState.EXPORTED
    return {
        "request_key": request_key(request, pseudonymizer),
        "procedure_occurrence_id": None
        if gone
        else pseudonymizer.secure_hash(str(request.procedure_occurrence_id), "procedure"),
        "image_study_uid": (request.pseudo_study_uid or None) if exported else None,
        "state": request.state.value,
        "reason": request.reason.value if request.reason else None,
        "instances_announced": 0 if gone else request.announced,
        "instances_received": 0 if gone else request.received,
        "instances_written": counts[InstanceOutcome.WRITTEN],
        "instances_set_aside": counts[InstanceOutcome.SET_ASIDE],
    }
