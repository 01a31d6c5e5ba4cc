"""One delivery into the link database: opt-outs out, pseudonyms in, every row accounted for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safelight.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safelight.cohort.delivery import Delivery
    from safelight.cohort.opt_out import OptOutAnswer
    from safelight.link import LinkDatabase
    from safelight.model import KnownIdentifiers
    from safelight.pseudonym import Pseudonymizer


@dataclass(frozen=True)
class IngestReport:
    """What became of the rows of one delivery: ``rows`` is the sum of new, known and set-aside rows.

    In a CSV file, ``other_projects`` rows come on top: they are those projects' to read.
    """

    rows: int
    new: int
    known: int
    opted_out: int
    patients: int
    without_record: int
    other_projects: int = 0
    set_aside: dict[str, int] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return the counts by name, for the orchestrator."""
        return {
            "requests": self.new,
            "known requests": self.known,
            "opted out": self.opted_out,
            "patients without record": self.without_record,
            **({"rows of other projects": self.other_projects} if self.other_projects else {}),
            **{f"rows set aside ({reason})": count for reason, count in self.set_aside.items()},
        }


def ingest(
    delivery: Delivery,
    *,
    database: LinkDatabase,
    pseudonymizer: Pseudonymizer,
    patients: Iterable[KnownIdentifiers],
    opt_out: OptOutAnswer | None,
) -> IngestReport:
    """Enter a delivery's requests. Done twice, the second time changes nothing but what opt-outs changed.

    Whoever is not on the opt-out answer is excluded, and so is whoever has no NHS number to look up. The record of
    an excluded patient is not stored. Memory: one identifier a patient of the delivery, not of the hospital.

    Args:
        delivery: the delivery, read and checked.
        database: the link database.
        pseudonymizer: the project's pseudonyms.
        patients: the patient record, streamed; those who are not in the delivery pass by.
        opt_out: who may be used; None where the approval exempts the project.
    """
    requests = tuple(delivery.requests)
    wanted = {request.mrn for request in requests}
    person_of = {request.mrn: request.person_id for request in requests}
    excluded: dict[str, Reason] = {} if opt_out is None else dict.fromkeys(wanted, Reason.NO_NHS_NUMBER)
    allowed: list[KnownIdentifiers] = []
    found: set[str] = set()
    for patient in patients:
        if patient.mrn not in wanted or patient.mrn in found:
            continue
        found.add(patient.mrn)
        if opt_out is not None:
            if not patient.nhs_number:
                continue
            if not opt_out.allowed(patient.nhs_number):
                excluded[patient.mrn] = Reason.NOT_ON_OPT_OUT_LIST
                continue
            del excluded[patient.mrn]
        allowed.append(patient.model_copy(update={"person_id": person_of[patient.mrn] or patient.person_id}))

    extract = database.register_extract(
        delivery.info.project,
        name=delivery.info.name,
        sha256=delivery.info.sha256,
        generated=delivery.info.generated,
        source=delivery.info.source,
    )
    database.put_patients(delivery.info.project, allowed)
    added = database.add_requests(extract, requests, pseudonymizer=pseudonymizer, opted_out=excluded)
    database.record_set_asides(extract, delivery.set_aside)
    if opt_out is not None:
        database.record_opt_out_check(
            extract,
            answer_sha256=opt_out.sha256,
            answered_at=opt_out.answered_at,
            allowed=len(wanted) - len(excluded),
            excluded=len(excluded),
        )
    aside = Counter(row.reason.value for row in delivery.set_aside)
    return IngestReport(
        rows=len(requests) + len(delivery.set_aside),
        new=added.new,
        known=added.known,
        opted_out=added.opted_out,
        patients=len(wanted),
        without_record=len(wanted - found),
        other_projects=delivery.other_projects,
        set_aside=dict(sorted(aside.items())),
    )
