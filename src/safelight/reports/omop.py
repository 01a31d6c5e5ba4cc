"""Reports and notes of an OMOP-ES extract: the NOTE table of OMOP CDM 5.4, whole or in batches, streamed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from safelight.errors import ExtractInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

#: What is read of a note; the first two and the text must be there.
COLUMNS: Final = (
    "note_id",
    "person_id",
    "note_event_id",
    "note_date",
    "note_title",
    "note_text",
    "note_type_concept_id",
    "note_class_concept_id",
)
_NEEDED: Final = ("note_id", "person_id", "note_text")
#: Where a delivery keeps its notes; the identifiable ones come first.
_PLACES: Final = (("private", "NOTE.parquet"), ("private", "note"), ("private", "NOTE"), ("public", "omop", "NOTE.parquet"))
_ROWS: Final = 256


@dataclass(frozen=True)
class Note:
    """One report or note, identifiable. ``procedure_occurrence_id`` 0: it belongs to no procedure."""

    note_id: str = field(repr=False)
    person_id: str = field(repr=False)
    procedure_occurrence_id: int = field(repr=False)
    note_date: date | None = field(repr=False)
    title: str = field(repr=False)
    text: str = field(repr=False)
    type_concept_id: int = 0
    class_concept_id: int = 0


def read_notes(extract_folder: Path) -> Iterator[Note]:
    """Yield the notes of one delivery in the order of its files; nothing where it has none. Memory: 256 rows.

    Raises:
        ExtractInvalid: a file that is no Parquet, or lacks a column.
    """
    for path in _files(extract_folder):
        try:
            file = pq.ParquetFile(path)
            names = {name.lower(): name for name in file.schema_arrow.names}
            if missing := [name for name in _NEEDED if name not in names]:
                raise ExtractInvalid(
                    f"{path.name} lacks the columns {', '.join(missing)}.", remedy="Deliver NOTE as OMOP CDM 5.4 has it."
                )
            columns = [names[name] for name in COLUMNS if name in names]
            for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
                for row in batch.to_pylist():
                    yield _note({name.lower(): value for name, value in row.items()})
        except (OSError, ValueError) as error:
            # pyarrow's errors (ArrowInvalid is a ValueError) may quote the file's content.
            raise ExtractInvalid(
                f"{path.name} can't be read ({type(error).__name__}).", remedy="Deliver it again."
            ) from None


def notes_of(batches: Iterable[pa.RecordBatch]) -> Iterator[Note]:
    """Yield the notes of a table that another source gives in batches of ``COLUMNS``. Memory: a batch.

    Raises:
        ExtractInvalid: it lacks a column.
    """
    for batch in batches:
        if missing := [name for name in _NEEDED if name not in batch.schema.names]:
            raise ExtractInvalid(
                f"The source of notes lacks the columns {', '.join(missing)}.", remedy="Give NOTE as OMOP CDM 5.4 has it."
            )
        for row in batch.to_pylist():
            try:
                note = _note(row)
            except (ValueError, OverflowError) as error:
                # Its text quotes the cell.
                raise ExtractInvalid(
                    f"A row of notes has an id that is no number ({type(error).__name__}).", remedy="Correct the source."
                ) from None
            yield note


def _files(folder: Path) -> list[Path]:
    for parts in _PLACES:
        place = folder.joinpath(*parts)
        if place.is_file():
            return [place]
        if place.is_dir() and (batches := sorted(place.glob("*.parquet"))):
            return batches
    return []


def _note(row: dict[str, Any]) -> Note:
    return Note(
        note_id=id_text(row.get("note_id")),
        person_id=id_text(row.get("person_id")),
        procedure_occurrence_id=int(id_text(row.get("note_event_id")) or 0),
        note_date=_date(row.get("note_date")),
        title=str(row.get("note_title") or ""),
        text=str(row.get("note_text") or ""),
        type_concept_id=int(id_text(row.get("note_type_concept_id")) or 0),
        class_concept_id=int(id_text(row.get("note_class_concept_id")) or 0),
    )


def id_text(value: object) -> str:
    """Return an id as text: 4.0, which is how a double column or a file of text holds it, is "4"."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else ""
    text = str(value).strip()
    whole, _, fraction = text.partition(".")
    return whole if whole.isdecimal() and not fraction.strip("0") else text


def _date(value: object) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value)[:10]) if value else None
    except ValueError:
        return None
