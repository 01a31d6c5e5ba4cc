"""A stretch of text that identifies somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What a span may be. The names are those of labelled sets; a placeholder is made from each.
LABELS: Final = (
    "PATIENT_NAME",
    "RELATIVE_NAME",
    "CLINICIAN_NAME",
    "INITIALS",
    "NHS_NO",
    "MRN",
    "ACCESSION",
    "OTHER_ID",
    "GMC",
    "PHONE",
    "BLEEP",
    "EMAIL",
    "URL",
    "ADDRESS",
    "TOWN",
    "POSTCODE",
    "GP_PRACTICE",
    "HOSPITAL",
    "WARD",
    "DOB",
    "DATE",
    "AGE90",
)


@dataclass(frozen=True, order=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive) of a text, what they are, and which rule found them.

    ``score`` decides between overlapping spans: the higher wins, then the longer.
    """

    start: int
    end: int
    label: str
    source: str
    score: float = 1.0


def without_overlaps(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order with every covered character in exactly one of them.

    A span that loses characters to a better one keeps what is left of it, so nothing that any rule found comes back
    into the text.
    """
    chosen: list[Span] = []
    for span in sorted(spans, key=lambda s: (-s.score, s.start - s.end, s.start)):
        pieces = [(span.start, span.end)]
        for other in chosen:
            if other.start < span.end and span.start < other.end:
                pieces = [
                    piece
                    for start, end in pieces
                    for piece in ((start, min(end, other.start)), (max(start, other.end), end))
                    if piece[0] < piece[1]
                ]
            if not pieces:
                break
        chosen.extend(Span(start, end, span.label, span.source, span.score) for start, end in pieces)
    return sorted(chosen)
