"""De-identifies one text: finds, removes or shifts, and checks the result. Fails closed.

Order: markup is read; all recognisers run in Presidio's engine; names found are looked for again; dates are shifted or
removed; then the output is searched for the patient's identifiers as if it came from somebody else.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry

from safelight.model import KnownIdentifiers, Reason
from safelight.text.dates import find_dates
from safelight.text.document import Document
from safelight.text.identity import is_of_another
from safelight.text.known import KnownPerson
from safelight.text.lexicon import standard_lexicon
from safelight.text.markup import View, view
from safelight.text.ner import load_models
from safelight.text.placeholders import Placeholders
from safelight.text.places import Places
from safelight.text.recognisers import (
    LANGUAGE,
    Artifacts,
    Engine,
    ModelRecognizer,
    NoContext,
    known_recognizer,
    standing_recognizers,
)
from safelight.text.span import Span, without_overlaps
from safelight.text.staff import Staff
from safelight.text.sweep import find_again

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from safelight.text.dates import Written
    from safelight.text.lexicon import Lexicon
    from safelight.text.site import Site

#: Recorded with every document; raised when a rule changes what comes out.
RULES_VERSION: Final = "2"


@dataclass(frozen=True)
class CleanText:
    """A text after de-identification. ``problems`` non-empty: a person has to look before it goes anywhere."""

    text: str = field(repr=False)
    counts: dict[str, int]
    problems: tuple[Reason, ...] = ()
    spans: tuple[Span, ...] = field(default=(), repr=False)


class TextDeidentifier:
    """Removes what identifies people from texts of one hospital. Built once a process (about a second), then reused.

    Args:
        site: the hospital's own knowledge.
        ner: language models to ask, by name; empty: rules only.
        max_characters: a longer text is a problem and is not searched.
    """

    def __init__(self, site: Site, *, ner: Sequence[str] = ("spacy",), max_characters: int = 100_000) -> None:
        # Presidio logs each start; it is of no use here and must never log a text.
        logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
        self._site = site
        self._lexicon = standard_lexicon().with_site(site.values("words"), site.values("phrases"))
        self._models = load_models(ner)
        self._max_characters = max_characters
        # The texts of one patient come together: title and report, the elements of one image.
        self._person = lru_cache(maxsize=4)(lambda known: KnownPerson(known, self._lexicon.vocabulary))
        self._engine = Engine(self._lexicon)
        self._asked = ModelRecognizer(self._models)
        registry = RecognizerRegistry(
            recognizers=standing_recognizers(site, Places(site), Staff(site, self._lexicon.vocabulary)),
            supported_languages=[LANGUAGE],
        )
        self._analyzer = AnalyzerEngine(
            registry=registry,
            nlp_engine=self._engine,
            supported_languages=[LANGUAGE],
            context_aware_enhancer=NoContext(),
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of everything that decides the output: rules, lists, site and models."""
        parts = (
            RULES_VERSION,
            self._lexicon.fingerprint(),
            self._site.fingerprint(),
            *(m.fingerprint for m in self._models),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def deidentify(
        self,
        text: str,
        known: KnownIdentifiers | None,
        *,
        dates: Literal["shift", "redact"],
        shift_days: int,
        study_date: date | None = None,
    ) -> CleanText:
        """Return the text without identifiers, what was removed, and what is wrong with it.

        Args:
            text: as the system gave it.
            known: the patient's record; None is a problem, but the text is still cleaned as well as it can be.
            dates: ``shift`` by ``shift_days`` in the written format, or ``redact``.
            shift_days: the patient's shift, the same as for images and records.
            study_date: helps with years of two digits and days without a year; by default the record's.
        """
        if len(text) > self._max_characters:
            return CleanText("", {}, (Reason.TEXT_TOO_LONG,))
        if _unreadable(text):
            return CleanText("", {}, (Reason.TEXT_UNREADABLE,))
        problems = [] if known is not None else [Reason.NO_PATIENT_RECORD]
        known = known or KnownIdentifiers()
        study_date = study_date or known.study_date
        shown = view(text)
        person = self._person(known)
        artifacts = self._engine.process_text(shown.text, LANGUAGE)
        if is_of_another(artifacts.document, known):
            problems.append(Reason.PATIENT_MISMATCH)
        found = self._find(artifacts, person)
        written = list(find_dates(artifacts.document.low, study_date=study_date))
        spans = without_overlaps([*found, *_dated(written, found, known, artifacts.document)], shown.text)
        by_place = {(date_.start, date_.end): date_ for date_ in written}
        clean, kept = _replace(shown, spans, by_place, shift_days if dates == "shift" else None)
        counts = Counter(span.label for span in spans)
        if self._left(person, clean, kept, self._lexicon):
            problems.append(Reason.RESIDUAL_IDENTIFIER)
        return CleanText(clean, dict(sorted(counts.items())), tuple(problems), tuple(spans))

    def _find(self, artifacts: Artifacts, person: KnownPerson) -> list[Span]:
        document: Document = artifacts.document
        results = self._analyzer.analyze(
            document.text,
            LANGUAGE,
            nlp_artifacts=artifacts,
            ad_hoc_recognizers=[known_recognizer(person)],
            score_threshold=0.0,
        )
        found = [
            Span(r.start, r.end, r.entity_type, (r.recognition_metadata or {}).get("source", "presidio"), r.score)
            for r in results
        ]
        found += find_again(document, found)
        found += self._asked.suggest(document, found)
        return [*found, *find_again(document, found)]

    @staticmethod
    def _left(person: KnownPerson, clean: str, kept: set[str], lexicon: Lexicon) -> bool:
        """Tell whether the output still holds an identifier. Shifted dates may by chance read like a date of birth."""
        left = [span for span in person.matcher.find(clean) if clean[span.start : span.end] not in kept]
        if not left:
            return False
        document = Document(clean, lexicon)
        return any(not (span.label.endswith("NAME") and document.is_protected(span.start, span.end)) for span in left)


#: Half of a character, which no file can hold.
_HALF: Final = re.compile("[\ud800-\udfff]")


def _unreadable(text: str) -> bool:
    """Tell whether a text is mostly not text: control characters, or replacement characters of a wrong decoding."""
    odd = sum(1 for c in text if (c < " " and c not in "\t\n\r\f\v\x1c\x1d\x1e\0") or c == "\ufffd" or "\x7f" <= c < "\xa0")
    # Text that is shown backwards is not what it says.
    return odd > max(8, len(text) // 50) or "\u202d" in text or "\u202e" in text or _HALF.search(text) is not None


def _dated(written: list[Written], found: list[Span], known: KnownIdentifiers, document: Document) -> list[Span]:
    """Return spans for dates; one inside an identifier stays the identifier's."""
    spans = []
    for one in written:
        inside = any(
            s.start <= one.start and one.end <= s.end and (s.start, s.end) != (one.start, one.end) and s.score >= 0.9
            for s in found
        )
        if inside or any(document.is_protected(*span) for name, span in one.parts.items() if name == "month"):
            continue
        birth = one.is_birth or (known.dob is not None and one.value == known.dob and not one.whole_month)
        spans.append(Span(one.start, one.end, "DOB" if birth else "DATE", "date", 1.1 if not birth else 1.2))
    return spans


def _replace(
    shown: View, spans: list[Span], dates: dict[tuple[int, int], Written], shift: int | None
) -> tuple[str, set[str]]:
    """Return the output, and the texts in it that were written by us."""
    placeholders = Placeholders()
    pieces: list[str] = []
    ours: set[str] = set()
    position = 0
    previous: Span | None = None
    for span in spans:
        start, end = shown.in_raw(span)
        gap = shown.raw[position:start]
        if (
            previous is not None
            and previous.label == span.label
            and not gap.strip(" '-^")
            and "\n" not in gap
            and span.label not in {"DATE", "AGE90"}
        ):
            # Two halves of one thing: one placeholder, and nothing between them.
            position, previous = max(end, position), span
            continue
        pieces.append(gap)
        written = shown.text[span.start : span.end]
        replacement = None
        if span.label == "DATE" and shift is not None and (one := dates.get((span.start, span.end))):
            replacement = one.moved(shown.text, shift)
            if replacement == written:
                replacement = None
        if span.label == "AGE90":
            replacement = "[AGE_OVER_89]"
        if replacement is None:
            replacement = "[DATE]" if span.label == "DATE" else placeholders.of(span.label, written)
        ours.add(replacement)
        pieces.append(replacement)
        position, previous = max(end, position), span
    pieces.append(shown.raw[position:])
    return "".join(pieces), ours
