"""The gate: no report leaves before its de-identification was measured, with exactly this configuration."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from safelight.errors import ConfigurationError
from safelight.model import KnownIdentifiers
from safelight.reports.lines import patient_of, read_labelled
from safelight.reports.policy import Thresholds
from safelight.reports.scoring import score
from safelight.reports.workers import Job, Setup, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

#: Dates of the labelled texts are moved by this; any shift measures the same.
_SHIFT_DAYS = -101


class ValidationRecord(BaseModel):
    """One measurement: what was measured, with which configuration, what came of it, and who answers for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    set_sha256: str
    configuration: str
    who: str
    at: AwareDatetime
    thresholds: Thresholds
    figures: dict[str, Any]
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every threshold was reached."""
        return not self.failures

    def save(self, folder: Path) -> Path:
        """Write it to ``<configuration>-<set>.json``: a second measurement of the same replaces the first."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.configuration[:16]}-{self.set_sha256[:16]}.json"
        part = path.with_suffix(".part")
        part.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        part.replace(path)
        return path


def validate(
    labelled: Path, *, setup: Setup, who: str, at: datetime, thresholds: Thresholds | None = None, workers: int = 1
) -> ValidationRecord:
    """De-identify a labelled set and measure the result.

    Args:
        labelled: JSON lines: ``{id, text, patient, spans: [{start, end, label}], keep?: [{start, end, kind}]}``.
        setup: the configuration to measure.
        who: the person or service that answers for it; no patient's name.
        at: when.
        thresholds: what must be reached.
        workers: processes.

    Raises:
        ExtractInvalid: see ``read_labelled``.
    """
    thresholds = thresholds or Thresholds()
    documents = list(read_labelled(labelled))
    outputs = {
        str(document["id"]): {"text": clean.text, "status": "quarantined" if clean.problems else "released"}
        for document, clean in zip(documents, run(_jobs(documents), setup=setup, workers=workers), strict=True)
    }
    figures = score(outputs, documents).as_json()
    return ValidationRecord(
        set_sha256=hashlib.sha256(labelled.read_bytes()).hexdigest(),
        configuration=setup.fingerprint(),
        who=who,
        at=at,
        thresholds=thresholds,
        figures=figures,
        failures=tuple(_failures(figures, thresholds)),
    )


def _jobs(documents: Sequence[Mapping[str, Any]]) -> Iterator[Job]:
    for document in documents:
        known = patient_of(document.get("patient")) or KnownIdentifiers()
        yield Job(document["text"], known, _SHIFT_DAYS, known.study_date)


def _failures(figures: Mapping[str, Any], thresholds: Thresholds) -> Iterator[str]:
    for name in ("recall_direct", "recall_all", "terms_kept", "words_kept"):
        reached, wanted = figures[name]["percent"], getattr(thresholds, name)
        if reached is None or reached < wanted:
            yield f"{name} is {reached if reached is not None else 'not measured'}; {wanted} is wanted"
    documents = figures["documents"]
    if documents < thresholds.documents:
        yield f"{documents} labelled texts; {thresholds.documents} are wanted"
    if documents and 100 * figures["quarantined"] / documents > thresholds.quarantined:
        yield f"{figures['quarantined']} of {documents} texts were quarantined; {thresholds.quarantined} % are allowed"


def require_validation(folder: Path, *, configuration: str, thresholds: Thresholds) -> ValidationRecord:
    """Return the newest record of exactly this configuration. All of its records must reach the thresholds.

    Args:
        folder: of records.
        configuration: fingerprint of the configuration.
        thresholds: the project's, which decide now, whatever they were when it was measured.

    Raises:
        ConfigurationError: there is none, or one that does not pass; says what is missing.
    """
    records = sorted(measured(folder, configuration), key=lambda record: record.at)
    if not records:
        raise ConfigurationError(
            "Report de-identification was not validated with this configuration.",
            remedy="Run the flow report_validation (or 'safelight reports validate') on a labelled set, and try again.",
        )
    for record in records:
        if failures := list(_failures(record.figures, thresholds)):
            raise ConfigurationError(
                f"The validation of this configuration on set {record.set_sha256[:16]} did not pass: {'; '.join(failures)}.",
                remedy="Improve the site's lists, or take a bad set and its record away, and validate again.",
            )
    return records[-1]


def measured(folder: Path, configuration: str) -> list[ValidationRecord]:
    """Return all records of exactly this configuration, passed or not."""
    return [record for record in _records(folder) if record.configuration == configuration]


def _records(folder: Path) -> Iterator[ValidationRecord]:
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            yield ValidationRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError):
            # A damaged record allows nothing; the gate says what to do when no other one does.
            continue
