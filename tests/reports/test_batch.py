"""Notes of a delivery: one result each, the project's pseudonyms and shift, nothing lost and nothing let through."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from safelight.model import KnownIdentifiers, Reason
from safelight.operation import shift_date
from safelight.pseudonym import Pseudonymizer
from safelight.reports.batch import NoteResult, NoteStatus, deidentify_notes, scope_by_study
from safelight.reports.omop import Note
from safelight.reports.workers import Job, Setup, run


def notes_of(documents: list[dict[str, Any]]) -> Iterator[Note]:
    for number, document in enumerate(documents, 1):
        yield Note(
            note_id=str(number),
            person_id=document["id"],
            procedure_occurrence_id=number % 2 * number,
            note_date=date.fromisoformat(document["patient"]["study_date"]),
            title=f"CT for {document['patient']['given']}",
            text=document["text"],
        )


@pytest.fixture(scope="module")
def results(documents: list[dict[str, Any]], setup: Setup, pseudonymizer: Pseudonymizer) -> list[NoteResult]:
    """All documents as notes; the patient of the last is not on record."""
    known = {d["id"]: KnownIdentifiers.model_validate(d["patient"]) for d in documents[:-1]}
    return list(
        deidentify_notes(notes_of(documents), setup=setup, pseudonymizer=pseudonymizer, known=known.get, fingerprint="f")
    )


def test_every_note_has_one_result_in_order(documents: list[dict[str, Any]], results: list[NoteResult]) -> None:
    assert [result.note_id for result in results] == [str(number) for number in range(1, len(documents) + 1)]
    assert {result.fingerprint for result in results} == {"f"}


def test_without_a_record_nothing_of_the_text_is_handed_on(results: list[NoteResult]) -> None:
    last = results[-1]
    assert (last.status, last.reason, last.text, last.title) == (NoteStatus.QUARANTINED, Reason.NO_PATIENT_RECORD, "", "")


def test_most_are_released_and_hold_no_known_name(documents: list[dict[str, Any]], results: list[NoteResult]) -> None:
    released = [(d, r) for d, r in zip(documents, results, strict=True) if r.status is NoteStatus.RELEASED]
    assert len(released) >= 0.95 * len(documents)
    for document, result in released:
        assert document["patient"]["mrn"] not in result.text
        assert document["patient"]["given"] not in result.title
        assert result.title.startswith("CT for [")
        assert result.text


def test_ids_and_dates_are_the_projects(
    documents: list[dict[str, Any]], results: list[NoteResult], pseudonymizer: Pseudonymizer
) -> None:
    for number, (document, result) in enumerate(zip(documents[:-1], results[:-1], strict=True), 1):
        assert result.pseudo_note_id == pseudonymizer.secure_hash(str(number), "note")
        assert result.pseudo_person_id == pseudonymizer.secure_hash(document["id"], "person")
        assert result.pseudo_procedure_id == (pseudonymizer.secure_hash(str(number), "procedure") if number % 2 else "")
        shift = pseudonymizer.date_shift(document["patient"]["mrn"])
        assert result.note_date == shift_date(date.fromisoformat(document["patient"]["study_date"]), shift)


def test_twice_is_the_same(documents: list[dict[str, Any]], setup: Setup, pseudonymizer: Pseudonymizer) -> None:
    known = {d["id"]: KnownIdentifiers.model_validate(d["patient"]) for d in documents}
    runs = [
        list(deidentify_notes(notes_of(documents[:8]), setup=setup, pseudonymizer=pseudonymizer, known=known.get))
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_a_report_moves_with_its_study_where_the_project_says_so(setup: Setup, pseudonymizer: Pseudonymizer) -> None:
    """Scope ``study`` (DESIGN 4): the engine's scope id is the Study Instance UID; here and there one shift."""
    uid, day, known = "1.2.826.0.1.3680043.8.498.7", date(2024, 3, 5), KnownIdentifiers(mrn="NGH123456")
    notes = [Note(str(n), "4", procedure, day, "", "Scan of 05/03/2024.") for n, procedure in enumerate((7, 8, 0))]
    results = deidentify_notes(
        notes,
        setup=setup,
        pseudonymizer=pseudonymizer,
        known=lambda _: known,
        shift_scope=scope_by_study({7: uid}),
    )
    by_study, by_patient = (shift_date(day, pseudonymizer.date_shift(scope)) for scope in (uid, known.mrn))
    assert by_study != by_patient
    assert [(r.note_date, r.text) for r in results] == [
        (moved, f"Scan of {moved:%d/%m/%Y}.") for moved in (by_study, by_patient, by_patient)
    ]


def test_a_record_without_an_mrn_counts_as_none(setup: Setup, pseudonymizer: Pseudonymizer) -> None:
    note = Note("1", "4", 0, None, "", "Jane was seen.")
    (result,) = deidentify_notes(
        [note], setup=setup, pseudonymizer=pseudonymizer, known=lambda _: KnownIdentifiers(given="Jane")
    )
    assert result.reason is Reason.NO_PATIENT_RECORD


def jobs_of(documents: list[dict[str, Any]]) -> Iterator[Job]:
    for document in documents:
        yield Job(document["text"], KnownIdentifiers.model_validate(document["patient"]), -77)


def test_two_processes_give_what_one_gives_and_read_only_a_little_ahead(
    documents: list[dict[str, Any]], setup: Setup
) -> None:
    taken = 0

    def endless() -> Iterator[Job]:
        nonlocal taken
        for job in cycle(list(jobs_of(documents))):
            taken += 1
            yield job

    results = run(endless(), setup=setup, workers=2)
    assert list(islice(results, len(documents))) == list(run(jobs_of(documents), setup=setup))
    assert taken < len(documents) + 150
    results.close()


def test_a_text_that_breaks_a_rule_is_quarantined_and_the_batch_goes_on(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(text: str) -> str:
        if "poison" in text:
            raise ValueError("CANARY")
        return text

    monkeypatch.setattr("safelight.text.markup.visible", broken)
    known = KnownIdentifiers(mrn="NGH123456")
    results = list(run([Job("poison", known, 5), Job("Normal.", known, 5)], setup=setup))
    assert [(r.text, r.problems) for r in results] == [("", (Reason.INTERNAL_ERROR,)), ("Normal.", ())]


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from safelight.model import KnownIdentifiers\n"
        "from safelight.reports.workers import Job, Setup, run\n"
        "from safelight.text.site import Site\n"
        "def jobs():\n"
        "    while True:\n"
        "        yield Job('Normal.', KnownIdentifiers(mrn='NGH123456'), 5)\n"
        "if __name__ == '__main__':\n"
        "    for number, _ in enumerate(run(jobs(), setup=Setup(Site(), ner=()), workers=2)):\n"
        "        if number == 0:\n"
        "            import multiprocessing\n"
        "            print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
    )
    (tmp_path / "program.py").write_text(program)
    with subprocess.Popen([sys.executable, tmp_path / "program.py"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(workers) == 2
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < until
        time.sleep(0.05)
