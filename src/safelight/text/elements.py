"""The report de-identifier for texts inside other objects: DICOM elements, content items of structured reports, columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from safelight.errors import StudyRejected

if TYPE_CHECKING:
    from safelight.model import KnownIdentifiers
    from safelight.text.deidentifier import TextDeidentifier


class ElementCleaner:
    """Cleans one text and fails closed: ``(text, known, shift_days) -> clean text``.

    Args:
        deidentifier: built once a process.
        dates: as for reports.
    """

    def __init__(self, deidentifier: TextDeidentifier, *, dates: Literal["shift", "redact"] = "shift") -> None:
        self._deidentifier = deidentifier
        self._dates: Literal["shift", "redact"] = dates

    def __call__(self, text: str, known: KnownIdentifiers | None, shift_days: int) -> str:
        """Return the clean text.

        Raises:
            StudyRejected: with the first problem: no patient record, an identifier left, another patient's text, too long.
        """
        clean = self._deidentifier.deidentify(text, known, dates=self._dates, shift_days=shift_days)
        if clean.problems:
            raise StudyRejected(clean.problems[0], "A text could not be cleaned.")
        return clean.text
