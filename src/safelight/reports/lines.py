"""JSON lines in and out: ``{id, text, study_date?, patient}`` -> ``{id, text, status, reason?, counts}``."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from safelight.errors import ExtractInvalid
from safelight.model import KnownIdentifiers, Reason
from safelight.reports.workers import Job, Setup, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from safelight.pseudonym import Pseudonymizer


@dataclass
class Tally:
    """What became of a file's lines. ``documents == released + quarantined``."""

    documents: int = 0
    released: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, line: dict[str, Any]) -> None:
        """Count one output line."""
        self.documents += 1
        if line["status"] == "released":
            self.released += 1
        else:
            self.quarantined += 1
            self.reasons[line["reason"]] = self.reasons.get(line["reason"], 0) + 1
        for label, count in line["counts"].items():
            self.counts[label] = self.counts.get(label, 0) + count


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file, one by one. A byte order mark in front is passed over.

    Raises:
        ExtractInvalid: unreadable, or a line that is no object with ``id`` and ``text``; names the line, never its content.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                value = _parsed(line)
                if not isinstance(value, dict) or not _is_id(value.get("id")) or not isinstance(value.get("text"), str):
                    raise ExtractInvalid(
                        f"{path.name}:{number}: not a JSON object with 'id' and 'text'.",
                        remedy='Each line is one report: {"id": "...", "text": "...", "patient": {...}}.',
                    )
                yield value
    except UnicodeDecodeError:
        raise ExtractInvalid(f"{path.name} is not UTF-8.", remedy="Convert it, for instance with iconv.") from None
    except OSError as error:
        raise ExtractInvalid(f"{path.name} can't be read ({type(error).__name__}).", remedy="Check the path.") from None


def read_outputs(path: Path) -> dict[str, dict[str, Any]]:
    """Return what de-identification wrote, by id.

    Raises:
        ExtractInvalid: unreadable, or an id that comes twice.
    """
    return {str(line["id"]): line for line in _without_repeats(path)}


def read_labelled(path: Path) -> Iterator[dict[str, Any]]:
    """Yield labelled texts.

    Raises:
        ExtractInvalid: unreadable, an id that comes twice, a line without spans that fit its text, or with a patient that
            is none.
    """
    for number, line in enumerate(_without_repeats(path), 1):
        marks = [(mark, len(line["text"])) for key in ("spans", "keep") for mark in line.get(key) or ()]
        if not isinstance(line.get("spans"), list) or not all(_is_mark(mark, length) for mark, length in marks):
            raise ExtractInvalid(
                f"{path.name}: document {number} has no usable spans.",
                remedy='Each labelled line has "spans": [{"start": 0, "end": 4, "label": "PATIENT_NAME"}], '
                "in characters of its text.",
            )
        if not all(isinstance(span.get("label"), str) for span in line["spans"]):
            raise ExtractInvalid(f"{path.name}: a span has no label.", remedy='For instance "label": "PATIENT_NAME".')
        if line.get("patient") and patient_of(line["patient"]) is None:
            raise ExtractInvalid(
                f"{path.name}: the patient of document {number} is not one.",
                remedy='For instance "patient": {"mrn": "...", "surname": "...", "dob": "YYYY-MM-DD"}.',
            )
        yield line


def _without_repeats(path: Path) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for line in read_lines(path):
        if str(line["id"]) in seen:
            raise ExtractInvalid(
                f"{path.name}: an id comes twice, after {len(seen)} others.", remedy="Give each text an id of its own."
            )
        seen.add(str(line["id"]))
        yield line


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return None


def _is_id(value: object) -> bool:
    return (isinstance(value, str) and value.isprintable()) or (isinstance(value, int) and not isinstance(value, bool))


def _is_mark(value: object, length: int) -> bool:
    if not isinstance(value, dict):
        return False
    start, end = value.get("start"), value.get("end")
    return isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= length


def deidentify_lines(
    path: Path, *, setup: Setup, pseudonymizer: Pseudonymizer, fingerprint: str, workers: int = 1
) -> Iterator[dict[str, Any]]:
    """Yield an output object for each input line, in order. A quarantined one has an empty text. Streams."""
    ids: deque[Any] = deque()

    def jobs() -> Iterator[Job]:
        for line in read_lines(path):
            known = patient_of(line.get("patient"))
            ids.append(line["id"])
            mrn = known.mrn.strip() if known else ""
            study_date = _date(line.get("study_date")) or (known.study_date if known else None)
            yield Job(line["text"], known if mrn else None, pseudonymizer.date_shift(mrn or str(line["id"])), study_date)

    for clean in run(jobs(), setup=setup, workers=workers):
        out: dict[str, Any] = {"id": ids.popleft(), "text": "" if clean.problems else clean.text}
        out["status"] = "quarantined" if clean.problems else "released"
        if clean.problems:
            out["reason"] = Reason(clean.problems[0]).value
        yield out | {"counts": clean.counts, "fingerprint": fingerprint}


def patient_of(value: object) -> KnownIdentifiers | None:
    """Return what a line says of its patient; None where it says nothing, or nothing that can be used."""
    if not isinstance(value, dict) or not value:
        return None
    try:
        return KnownIdentifiers.model_validate(value)
    except ValidationError:
        return None


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10]) if value else None
    except ValueError:
        return None
