"""Notes are read from both layouts of a delivery, streamed, with ids as text."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safelight.errors import ExtractInvalid
from safelight.reports.omop import notes_of, read_notes

ROWS = [
    {
        "note_id": 1.0,
        "person_id": 4.0,
        "note_event_id": 11.0,
        "note_date": date(2024, 1, 2),
        "note_title": "CT",
        "note_text": "One",
    },
    {"note_id": 2.0, "person_id": 5.0, "note_event_id": None, "note_date": None, "note_title": None, "note_text": None},
    {
        "note_id": 3.0,
        "person_id": 4.0,
        "note_event_id": 12.0,
        "note_date": date(2024, 1, 3),
        "note_title": "MR",
        "note_text": "Two",
    },
]


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize("place", ["private/NOTE.parquet", "public/omop/NOTE.parquet"])
def test_one_file(place: str, tmp_path: Path) -> None:
    write(tmp_path / place, ROWS)
    notes = list(read_notes(tmp_path))
    assert [(n.note_id, n.person_id, n.procedure_occurrence_id, n.text) for n in notes] == [
        ("1", "4", 11, "One"),
        ("2", "5", 0, ""),
        ("3", "4", 12, "Two"),
    ]
    assert [n.note_date for n in notes] == [date(2024, 1, 2), None, date(2024, 1, 3)]


def test_batches_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path / "private/note/part-00002.parquet", ROWS[2:])
    write(tmp_path / "private/note/part-00001.parquet", ROWS[:2])
    assert [note.note_id for note in read_notes(tmp_path)] == ["1", "2", "3"]


def test_the_private_file_wins(tmp_path: Path) -> None:
    write(tmp_path / "private/NOTE.parquet", ROWS[:1])
    write(tmp_path / "public/omop/NOTE.parquet", ROWS)
    assert [note.note_id for note in read_notes(tmp_path)] == ["1"]


def test_no_file_is_no_notes(tmp_path: Path) -> None:
    assert list(read_notes(tmp_path)) == []


def test_dates_with_times_and_ids_as_text(tmp_path: Path) -> None:
    rows = [{"NOTE_ID": "a1", "PERSON_ID": " 007 ", "NOTE_TEXT": "x", "NOTE_DATE": datetime(2024, 1, 2, 3)}]  # noqa: DTZ001
    write(tmp_path / "private/NOTE.parquet", rows)
    (note,) = read_notes(tmp_path)
    assert (note.note_id, note.person_id, note.note_date) == ("a1", "007", date(2024, 1, 2))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write(tmp_path / "private/NOTE.parquet", [{"note_id": 1, "person_id": 2}])
    with pytest.raises(ExtractInvalid, match="note_text"):
        list(read_notes(tmp_path))


def test_a_broken_file_is_refused_without_quoting_it(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private/NOTE.parquet").write_bytes(b"PAR1 CANARY SMITH PAR1")
    with pytest.raises(ExtractInvalid) as caught:
        list(read_notes(tmp_path))
    assert "CANARY" not in str(caught.value)


def test_no_text_is_shown(tmp_path: Path) -> None:
    write(tmp_path / "private/NOTE.parquet", ROWS)
    assert "One" not in repr(next(read_notes(tmp_path)))


def test_notes_of_another_source_are_the_same_notes(tmp_path: Path) -> None:
    write(tmp_path / "private" / "NOTE.parquet", ROWS)
    batches = pa.Table.from_pylist(ROWS).to_batches()
    assert list(notes_of(batches)) == list(read_notes(tmp_path))
    # A file of text has the same cells as text.
    as_text = [{name: None if value is None else str(value) for name, value in row.items()} for row in ROWS]
    assert list(notes_of(pa.Table.from_pylist(as_text).to_batches())) == list(read_notes(tmp_path))


def test_another_source_that_is_wrong_is_refused_without_its_content() -> None:
    for rows, words in (
        ([{"note_id": 1, "person_id": 4}], "lacks the columns note_text"),
        ([{**ROWS[0], "note_event_id": "CANARY"}], "no number"),
    ):
        with pytest.raises(ExtractInvalid, match=words) as caught:
            list(notes_of(pa.Table.from_pylist(rows).to_batches()))
        assert "CANARY" not in str(caught.value)
