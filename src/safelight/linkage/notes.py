"""Rows of ``note``: de-identified reports under the keys and dates of record and images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from safelight.model import Reason
from safelight.operation import shift_date
from safelight.pseudonym import Pseudonymizer


@dataclass(frozen=True)
class DeidentifiedNote:
    """A note as the report de-identifier gave it out, under the ids of the source. Title and text are clean."""

    note_id: str = field(repr=False)
    person_id: str = field(repr=False)
    procedure_occurrence_id: str = field(repr=False)
    note_date: date | None = field(repr=False)
    title: str = field(repr=False)
    text: str = field(repr=False)


def note_rows(
    notes: Iterable[DeidentifiedNote],
    pseudonymizer: Pseudonymizer,
    *,
    mrn_of: Callable[[str], str | None],
    generated: datetime,
    set_aside: Counter[Reason],
    size: int = 1_000,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows in lists of at most ``size``; streams.

    Args:
        notes: released notes only.
        pseudonymizer: of the project.
        mrn_of: the MRN of a person of the cohort, or None; the MRN is the scope of the date shift.
        generated: when the delivery was generated, aware.
        set_aside: takes the count of notes of people outside the cohort.
        size: rows in a list.
    """
    rows: list[dict[str, Any]] = []
    for note in notes:
        mrn = mrn_of(note.person_id)
        if not mrn:
            set_aside[Reason.UNMATCHED_PERSON] += 1
            continue
        shifted = shift_date(note.note_date, pseudonymizer.date_shift(mrn.strip())) if note.note_date else None
        rows.append(
            {
                "note_id": pseudonymizer.secure_hash(note.note_id, "note"),
                "person_id": pseudonymizer.secure_hash(note.person_id, "person"),
                "procedure_occurrence_id": pseudonymizer.secure_hash(note.procedure_occurrence_id, "procedure")
                if note.procedure_occurrence_id
                else None,
                "note_date": shifted,
                "note_title": note.title or None,
                "note_text": note.text,
                "extract_datetime": generated,
            }
        )
        if len(rows) == size:
            yield rows
            rows = []
    if rows:
        yield rows
