"""Clean notes into the work folder, and a list of those that were quarantined, by pseudonym and reason."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from safelight.reports.batch import NoteResult, NoteStatus
from safelight.staging import write_staged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

#: Columns of the lake's ``note`` table.
NOTE_COLUMNS: Final = pa.schema(
    [
        pa.field("note_id", pa.string(), nullable=False),
        pa.field("person_id", pa.string(), nullable=False),
        pa.field("procedure_occurrence_id", pa.string()),
        pa.field("note_date", pa.date32()),
        pa.field("note_title", pa.string()),
        pa.field("note_text", pa.string()),
        pa.field("extract_datetime", pa.timestamp("us", "UTC"), nullable=False),
    ]
)
_ROWS: Final = 1_000
_CONFIGURATION: Final = b"safelight.configuration"


@dataclass
class StagedNotes:
    """What became of the notes of a delivery: ``read == released + sum(quarantined.values())``."""

    read: int = 0
    released: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)


def stage_notes(results: Iterable[NoteResult], path: Path, *, generated: datetime, configuration: str) -> StagedNotes:
    """Write the released notes to ``path`` and the others, without text, beside it. Streams.

    Args:
        results: of one delivery.
        path: the Parquet file; ``<name>.quarantined.jsonl`` stands beside it.
        generated: when the delivery was generated, aware.
        configuration: fingerprint of what de-identified them; travels with the file, for the gate of the export.
    """
    counts = StagedNotes()
    aside: list[dict[str, Any]] = []

    def batches() -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        for result in results:
            counts.read += 1
            if result.status is not NoteStatus.RELEASED or result.reason is not None:
                reason = result.reason.value if result.reason else "internal_error"
                counts.quarantined[reason] += 1
                aside.append({"note_id": result.pseudo_note_id, "reason": reason, "fingerprint": result.fingerprint})
                continue
            counts.released += 1
            rows.append(
                {
                    "note_id": result.pseudo_note_id,
                    "person_id": result.pseudo_person_id,
                    "procedure_occurrence_id": result.pseudo_procedure_id or None,
                    "note_date": result.note_date,
                    "note_title": result.title or None,
                    "note_text": result.text,
                    "extract_datetime": generated,
                }
            )
            if len(rows) == _ROWS:
                yield pa.RecordBatch.from_pylist(rows, schema=NOTE_COLUMNS)
                rows = []
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema=NOTE_COLUMNS)

    write_staged(path, NOTE_COLUMNS.with_metadata({_CONFIGURATION: configuration.encode()}), batches())
    listed = "".join(json.dumps(item, sort_keys=True) + "\n" for item in aside)
    path.with_suffix(".quarantined.jsonl").write_text(listed, encoding="ascii")
    return counts


def configuration_of(schema: pa.Schema) -> str:
    """Return the fingerprint of what de-identified the notes of a staged file; empty where it does not say."""
    return str((schema.metadata or {}).get(_CONFIGURATION, b""), "utf-8")
