"""How well a de-identification did on labelled texts: what leaked, what was lost, with intervals.

Each word of a labelled text is followed into the output (longest common subsequence of words), so a surname that leaks is
told from the same word in "Baker's cyst", and a kept term from one that was eaten.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOKEN: Final = re.compile(r"\[[A-Z0-9_+]+\]|[^\W_]+|[^\w\s]|_")
#: Labels that identify somebody by themselves (names, numbers, contact, full birth date); the others narrow down.
DIRECT: Final = frozenset(
    """PATIENT_NAME RELATIVE_NAME CLINICIAN_NAME NHS_NO MRN ACCESSION OTHER_ID GMC PHONE EMAIL ADDRESS POSTCODE DOB
    URL""".split()  # noqa: SIM905  one a line would fill a page
)


def wilson(share: float, n: float, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's score interval of a share of ``n`` trials (Wilson 1927); n may be an effective number."""
    if n <= 0:
        return 0.0, 1.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass
class Rate:
    """Successes of trials, with a Wilson score interval of 95 % (Wilson 1927)."""

    hits: int = 0
    total: int = 0

    def add(self, hit: bool) -> None:
        """Count one trial."""
        self.hits += hit
        self.total += 1

    def interval(self) -> tuple[float, float]:
        """Return lower and upper bound, as shares; (0, 1) where nothing was tried."""
        return wilson(self.hits / self.total if self.total else 0.0, self.total)

    def as_json(self) -> dict[str, float | int | None]:
        """Return hits, total, per cent and interval in per cent."""
        low, high = self.interval()
        percent = round(100 * self.hits / self.total, 2) if self.total else None
        return {
            "hits": self.hits,
            "total": self.total,
            "percent": percent,
            "low": round(100 * low, 2),
            "high": round(100 * high, 2),
        }


@dataclass
class Score:
    """What was measured. ``missed`` names documents and labels, never texts."""

    documents: int = 0
    quarantined: int = 0
    direct: Rate = field(default_factory=Rate)
    everything: Rate = field(default_factory=Rate)
    terms: Rate = field(default_factory=Rate)
    words: Rate = field(default_factory=Rate)
    clean_documents: Rate = field(default_factory=Rate)
    labels: dict[str, Rate] = field(default_factory=dict)
    kinds: dict[str, Rate] = field(default_factory=dict)
    missed: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return all figures; recall is the share of labelled identifiers that did not leak."""
        return {
            "documents": self.documents,
            "quarantined": self.quarantined,
            "recall_direct": self.direct.as_json(),
            "recall_all": self.everything.as_json(),
            "terms_kept": self.terms.as_json(),
            "words_kept": self.words.as_json(),
            "documents_without_leak": self.clean_documents.as_json(),
            "labels": {label: rate.as_json() for label, rate in sorted(self.labels.items())},
            "terms": {kind: rate.as_json() for kind, rate in sorted(self.kinds.items())},
            "missed": self.missed,
        }


def survivors(before: str, after: str) -> list[tuple[int, int, bool]]:
    """Return start, end of each word of ``before`` and whether it stands, in order, in ``after``."""
    one, two = list(_TOKEN.finditer(before)), list(_TOKEN.finditer(after))
    matcher = SequenceMatcher(None, [m.group() for m in one], [m.group() for m in two], autojunk=False)
    kept = [False] * len(one)
    for block in matcher.get_matching_blocks():
        for index in range(block.a, block.a + block.size):
            kept[index] = True
    return [(m.start(), m.end(), k) for m, k in zip(one, kept, strict=True)]


def score(outputs: Mapping[str, Mapping[str, Any]], labelled: Iterable[Mapping[str, Any]]) -> Score:
    """Compare outputs (by id) with labelled texts. A quarantined or missing document leaks nothing and keeps nothing."""
    result = Score()
    for document in labelled:
        result.documents += 1
        output = outputs.get(str(document["id"]))
        if output is None or output.get("status") == "quarantined":
            result.quarantined += 1
            for span in document["spans"]:
                _count(result, span["label"], True)
            result.clean_documents.add(True)
            continue
        _score_one(result, document, str(output["text"]))
    return result


def _count(result: Score, label: str, removed: bool) -> None:
    if label in DIRECT:
        result.direct.add(removed)
    result.everything.add(removed)
    result.labels.setdefault(label, Rate()).add(removed)


def _score_one(result: Score, document: Mapping[str, Any], after: str) -> None:
    before = document["text"]
    words = survivors(before, after)
    leaks: Counter[str] = Counter()
    labelled: set[int] = set()
    for span in document["spans"]:
        inside = [(s, e, kept) for s, e, kept in words if s < span["end"] and span["start"] < e and before[s:e].isalnum()]
        labelled.update(range(span["start"], span["end"]))
        if span["label"] in {"DATE", "DOB"}:
            # A shifted date may share its month or century with the true one: it leaked when all of it stands.
            removed = not all(kept for _, _, kept in inside)
        else:
            removed = not any(_telling(before, inside, span["label"]))
        _count(result, span["label"], removed)
        if not removed:
            leaks[span["label"]] += 1
    for term in document.get("keep", ()):
        kept_all = all(kept for s, e, kept in words if s < term["end"] and term["start"] < e)
        result.terms.add(kept_all)
        result.kinds.setdefault(term.get("kind", ""), Rate()).add(kept_all)
    for start, end, kept in words:
        if start not in labelled and before[start:end].isalpha():
            result.words.add(kept)
    result.clean_documents.add(not leaks)
    if leaks:
        result.missed.append({"id": document["id"], "labels": dict(leaks)})


def _telling(before: str, inside: list[tuple[int, int, bool]], label: str) -> list[bool]:
    """Return which words of a span were kept, of those whose survival is a leak.

    Of a name, each of two letters or more; of a number, its longest part: the year in it is met again in the next date.
    """
    if any(c.isdigit() for s, e, _ in inside for c in before[s:e]) and label != "ADDRESS":
        longest = max((e - s for s, e, _ in inside), default=0)
        return [kept for s, e, kept in inside if e - s == longest]
    return [kept for s, e, kept in inside if e - s > 1] or [kept for _, _, kept in inside]
