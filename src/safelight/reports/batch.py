"""De-identifies the notes of a delivery with the patients' records, pseudonyms and date shifts of one project."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from safelight.model import Reason
from safelight.operation import shift_date
from safelight.reports.workers import Job, Setup, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date

    from safelight.model import KnownIdentifiers
    from safelight.pseudonym import Pseudonymizer
    from safelight.reports.omop import Note
    from safelight.text.deidentifier import CleanText


class NoteStatus(StrEnum):
    """What became of a note."""

    RELEASED = "released"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class NoteResult:
    """One note after de-identification. ``text`` and ``title`` are empty where it was quarantined.

    ``pseudo_note_id`` (domain ``note``), ``pseudo_person_id`` (``person``) and ``pseudo_procedure_id`` (``procedure``;
    empty without a procedure) are the project's. ``note_id`` and ``procedure_occurrence_id`` are the delivery's and stay
    in the hospital.
    """

    status: NoteStatus
    reason: Reason | None
    text: str = field(repr=False)
    title: str = field(repr=False)
    counts: dict[str, int]
    note_date: date | None
    pseudo_note_id: str
    pseudo_person_id: str
    pseudo_procedure_id: str
    fingerprint: str
    note_id: str = field(default="", repr=False)
    procedure_occurrence_id: int = field(default=0, repr=False)
    type_concept_id: int = 0
    class_concept_id: int = 0


def deidentify_notes(
    notes: Iterable[Note],
    *,
    setup: Setup,
    pseudonymizer: Pseudonymizer,
    known: Callable[[str], KnownIdentifiers | None],
    fingerprint: str = "",
    workers: int = 1,
    shift_scope: Callable[[Note, KnownIdentifiers], str] | None = None,
) -> Iterator[NoteResult]:
    """Yield a result for each note, in order; as many as there are notes. Streams.

    Args:
        notes: identifiable notes.
        setup: how texts are treated; its fingerprint should be the validated one.
        pseudonymizer: the project's.
        known: the patient record by person_id; None: not on record, and the note is quarantined.
        fingerprint: stamped on each result.
        workers: processes.
        shift_scope: the id that the date shift is of; by default the patient's MRN, as for images.
    """
    waiting: deque[tuple[Note, int]] = deque()

    def jobs() -> Iterator[Job]:
        for note in notes:
            patient = known(note.person_id)
            scope = ""
            if patient is not None:
                scope = shift_scope(note, patient) if shift_scope else patient.mrn.strip()
            shift = pseudonymizer.date_shift(scope or f"person:{note.person_id}")
            # A record without an MRN can't give the images' shift: dates would disagree, so it counts as no record.
            waiting.append((note, shift))
            # The title is a text like any other.
            for text in (note.title, note.text):
                yield Job(text, patient if scope else None, shift, note.note_date)

    cleaned = run(jobs(), setup=setup, workers=workers)
    for title in cleaned:
        text = next(cleaned)
        note, shift = waiting.popleft()
        yield _result(note, title, text, shift, pseudonymizer, fingerprint)


def scope_by_study(studies: Mapping[int, str]) -> Callable[[Note, KnownIdentifiers], str]:
    """Return the shift scope of projects whose dates move study by study, as those of their images.

    Args:
        studies: Study Instance UID by ``procedure_occurrence_id``. A note of no study moves with its patient, as record
            rows do.
    """

    def scope(note: Note, patient: KnownIdentifiers) -> str:
        mrn = patient.mrn.strip()
        return (mrn and studies.get(note.procedure_occurrence_id, "").strip()) or mrn

    return scope


def _result(
    note: Note, title: CleanText, text: CleanText, shift: int, pseudonymizer: Pseudonymizer, fingerprint: str
) -> NoteResult:
    reason = next(iter((*text.problems, *title.problems)), None)
    released = reason is None
    return NoteResult(
        status=NoteStatus.RELEASED if released else NoteStatus.QUARANTINED,
        reason=reason,
        text=text.text if released else "",
        title=title.text if released else "",
        counts=dict(sorted((Counter(title.counts) + Counter(text.counts)).items())),
        note_date=shift_date(note.note_date, shift) if note.note_date else None,
        pseudo_note_id=pseudonymizer.secure_hash(note.note_id, "note"),
        pseudo_person_id=pseudonymizer.secure_hash(note.person_id, "person"),
        pseudo_procedure_id=(
            pseudonymizer.secure_hash(str(note.procedure_occurrence_id), "procedure") if note.procedure_occurrence_id else ""
        ),
        fingerprint=fingerprint,
        note_id=note.note_id,
        procedure_occurrence_id=note.procedure_occurrence_id,
        type_concept_id=note.type_concept_id,
        class_concept_id=note.class_concept_id,
    )
