"""A release from its preparation to the last destination: prepared and verified, decided on, sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from safelight.link import StageCounts
from safelight.release.approval import AUTOMATIC, Decision, exceeded
from safelight.release.export import Export, ExportResult
from safelight.release.pending import Pending
from safelight.release.preparation import prepare
from safelight.release.sending import send


@dataclass
class Prepared:
    """A release that is prepared, or none where there is nothing new; and in words why it needs a person, if it does.

    ``counts`` tells of the requests that preparing did not let through.
    """

    pending: Pending | None
    counts: StageCounts
    reasons: list[str]


def export_project(export: Export) -> ExportResult:
    """Export everything of a project that is verified and may leave. Again without anything new it changes nothing.

    A release that its project does not let go by itself stays prepared; the result says what it waits for.

    Raises:
        TransientError, PermanentError: of the lake, a destination or the database. Requests stay verified.
    """
    prepared = prepare_to_send(export)
    result = send(export)
    return replace(result, counts=_together(prepared.counts, result.counts))


def prepare_to_send(export: Export) -> Prepared:
    """Prepare and verify a release, and let it go where it is within the project's limits."""
    preparation = prepare(export)
    pending, reasons = preparation.pending, list[str]()
    if pending is not None and pending.decision is None:
        reasons = exceeded(export.policy, pending.counts)
        if not reasons:
            decide(export, pending, approved=True, by=AUTOMATIC)
    return Prepared(pending, preparation.counts, reasons)


def decide(export: Export, pending: Pending, *, approved: bool, by: str, reason: str = "") -> None:
    """Write a decision on the prepared release down, there and in the audit trail."""
    pending.decide(Decision(pending.release_id, approved, by, export.clock(), reason))
    event = "release-approved" if approved else "release-refused"
    export.database.audit(event, by, project=export.project, release=pending.release_id, reason=reason)


def _together(one: StageCounts, other: StageCounts) -> StageCounts:
    return StageCounts(
        one.taken + other.taken,
        dict(Counter(one.moved) + Counter(other.moved)),
        dict(Counter(one.reasons) + Counter(other.reasons)),
    )
