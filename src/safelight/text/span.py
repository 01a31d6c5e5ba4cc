"""A stretch of text that identifies somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

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


_PEOPLE: Final = frozenset({"PATIENT_NAME", "RELATIVE_NAME", "CLINICIAN_NAME", "INITIALS"})


def without_overlaps(spans: Collection[Span], text: str) -> list[Span]:
    """Return spans in order with every covered word in exactly one of them.

    Names that overlap become one. A span that loses characters to a better one keeps the words that are left of it, so
    nothing that any rule found comes back into the text.
    """
    chosen: list[Span] = []
    taken = bytearray(len(text))
    for span in sorted(_joined(spans), key=lambda s: (-s.score, s.start - s.end, s.start)):
        start = taken.find(0, span.start, span.end)
        while start >= 0:
            end = taken.find(1, start, span.end)
            end = span.end if end < 0 else end
            taken[start:end] = b"\1" * (end - start)
            shown = text[start:end]
            first, last = start + len(shown) - len(shown.lstrip(_EDGES)), end - len(shown) + len(shown.rstrip(_EDGES))
            if first < last and any(c.isalnum() for c in text[first:last]):
                chosen.append(Span(first, last, span.label, span.source, span.score))
            start = taken.find(0, end, span.end)
    return sorted(chosen)


#: Never the first or last character of what is removed.
_EDGES: Final = " \t\r\n,;:|^/"


def _joined(spans: Collection[Span]) -> list[Span]:
    """Return the spans with overlapping names made one, called what the better of them is called."""
    people = sorted(span for span in spans if span.label in _PEOPLE)
    joined: list[Span] = []
    for span in people:
        last = joined[-1] if joined else None
        if last is not None and span.start < last.end:
            best = max(last, span, key=lambda s: (s.score, s.end - s.start))
            # "her son Max Long" is no mention of the patient Long.
            relative = next((s for s in (last, span) if s.source == "people:family"), None)
            if (
                relative is not None
                and best.source in {"known", "known:word"}
                and relative.start < best.start
                and relative.end >= best.end
            ):
                best = Span(best.start, best.end, relative.label, relative.source, best.score)
            joined[-1] = Span(last.start, max(last.end, span.end), best.label, best.source, best.score)
        else:
            joined.append(span)
    return [*joined, *(span for span in spans if span.label not in _PEOPLE)]
