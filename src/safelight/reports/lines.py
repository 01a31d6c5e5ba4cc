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
    """Yield the objects of a JSON lines file, one by one.

    Raises:
        ExtractInvalid: unreadable, or a line that is no object with ``id`` and ``text``; names the line, never its content.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except json.JSONDecodeError:
                    value = None
                if not isinstance(value, dict) or "id" not in value or not isinstance(value.get("text"), str):
                    raise ExtractInvalid(
                        f"{path.name}:{number}: not a JSON object with 'id' and 'text'.", remedy="Each line is one report."
                    )
                yield value
    except (OSError, UnicodeDecodeError) as error:
        raise ExtractInvalid(f"{path.name} can't be read ({type(error).__name__}).", remedy="It must be UTF-8.") from None


def deidentify_lines(
    path: Path, *, setup: Setup, pseudonymizer: Pseudonymizer, fingerprint: str, workers: int = 1
) -> Iterator[dict[str, Any]]:
    """Yield an output object for each input line, in order. A quarantined one has an empty text. Streams."""
    ids: deque[Any] = deque()

    def jobs() -> Iterator[Job]:
        for line in read_lines(path):
            known = _patient(line.get("patient"))
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


def _patient(value: object) -> KnownIdentifiers | None:
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
