"""Looks for what is known of a patient in text and in bytes: the check that runs on everything that was made.

It answers "is it still there", so it finds an identifier in every usual form, and takes no everyday word for a name: a
patient called Long is looked for as a full name or behind a title, never as ``long``. Rules that may err on the other
side, and see a whole report, are those of the recognisers.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from safelight.text import forms
from safelight.text.folding import fold, fold_word
from safelight.text.span import Span
from safelight.text.vocabulary import Vocabulary, standard_vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from safelight.model import KnownIdentifiers

#: Removed before bytes are searched. NUL makes UTF-16 readable; the others stand inside numbers and names.
_SKIPPED: Final = b"\0 \t\r\n.,-/'^()=_"
_LOWER: Final = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
_TITLE: Final = re.compile(rf"{forms.TITLES}[\s^]{{1,2}}")
#: Bytes are decoded a window at a time; no written form is as long as the overlap.
_WINDOW: Final = 8192
_OVERLAP: Final = 1024
#: Device makers and the like, met in images, that are also surnames: never a name by themselves.
_MAKERS: Final = frozenset(
    ["philips", "siemens", "marconi", "picker", "carestream", "fischer", "hitachi", "canon", "kodak", "varian"]
)


def name_parts(known: KnownIdentifiers) -> list[tuple[str, str]]:
    """Return ``(given, surname)`` pairs by which the patient may be called; either may be empty."""
    given = [value for value in (known.given, known.preferred) if value.strip()]
    given += [f"{value} {known.middle}" for value in given[:1] if known.middle.strip()]
    surnames = [value for value in (known.surname, known.previous_surname) if value.strip()]
    pairs = [(first, last) for first in (given or [""]) for last in (surnames or [""])]
    for other in known.other_names:
        words = other.split()
        pairs.append((" ".join(words[:-1]), words[-1]) if len(words) > 1 else ("", other))
    return [pair for pair in pairs if any(pair)]


class IdentifierMatcher:
    """Finds the identifiers of one patient, or of a few.

    Building costs about 4 ms a patient; ``find`` is linear, about 0.5 ms a kilobyte; ``find_bytes`` reads clean
    bytes at about 100 MB/s.

    Args:
        known: whom to look for.
        vocabulary: what is an everyday word; the packaged one by default.
    """

    def __init__(self, known: Iterable[KnownIdentifiers], *, vocabulary: Vocabulary | None = None) -> None:
        self._vocabulary = vocabulary or standard_vocabulary()
        patterns: dict[str, dict[str, None]] = {}
        needles: dict[bytes, None] = {}
        for patient in known:
            for label, pattern, words in self._forms(patient):
                patterns.setdefault(label, {})[pattern] = None
                needles.update(dict.fromkeys(_needles(words)))
        self._needles = [needle for needle in needles if not any(other != needle and other in needle for other in needles)]
        self._pattern = _together(patterns) if patterns else None

    def _forms(self, known: KnownIdentifiers) -> Iterator[tuple[str, str, str]]:
        """Yield label, pattern, and a text without which the pattern can't match."""
        for given, surname in name_parts(known):
            yield from self._name(given, surname)
        if known.middle.strip() and known.surname.strip():
            yield from self._name(known.middle, known.surname)
        for person in (known.gp.name, known.referrer):
            words = [word for word in person.split() if not re.fullmatch(forms.TITLES, fold_word(word))]
            if len(words) > 1:
                for label, pattern, needle in self._name(" ".join(words[:-1]), words[-1], alone=False):
                    yield label.replace("PATIENT", "CLINICIAN"), pattern, needle
        numbers = [("NHS_NO", known.nhs_number), ("MRN", known.mrn), ("ACCESSION", known.accession)]
        numbers += [("OTHER_ID", value) for value in (known.person_id, *known.other_ids)]
        for label, value in numbers:
            if pattern_ := forms.number(value):
                yield label, pattern_, value.lstrip("0 ")
            if core := forms.number_core(value):
                yield label, core, max(re.findall(r"\d+", value), key=len).lstrip("0")
        for label, value, pattern_ in (
            ("OTHER_ID", known.study_uid, forms.uid(known.study_uid)),
            ("PHONE", known.phone, forms.telephone(known.phone)),
            ("POSTCODE", known.address.postcode, forms.postcode(known.address.postcode)),
            ("ADDRESS", known.address.line1, forms.address(known.address.line1)),
        ):
            if pattern_:
                words_ = forms.words_of(value)
                needle = "".join(words_) if label in {"OTHER_ID", "POSTCODE"} else max(words_, key=len)
                yield label, pattern_, needle if label != "PHONE" else re.sub(r"\D", "", value)[-6:]
        if known.dob:
            for needle in forms.birth_date_needles(known.dob):
                yield "DOB", forms.birth_date(known.dob), needle

    def _name(self, given: str, surname: str, *, alone: bool = True) -> Iterator[tuple[str, str, str]]:
        for first in forms.name_variants(given):
            for last in forms.name_variants(surname):
                one, two = forms.name(first), forms.name(last)
                if one and two:
                    gap = r"[\s,.^\-_]{1,3}"
                    middle = rf"(?:[^\W\d_]+\.?{gap})?"
                    yield "PATIENT_NAME", forms.whole(f"{one}{gap}{middle}{two}|{two}{gap}{one}|{two}{one}|{one}{two}"), last
                if two and len(two) > 1:
                    yield (
                        "PATIENT_NAME",
                        forms.whole(
                            rf"{forms.TITLES}[\s^]{{1,2}}(?:{one[0]}[.\s]{{1,2}})?{two}"
                            if one and one[0].isalpha()
                            else rf"{forms.TITLES}[\s^]{{1,2}}{two}"
                        ),
                        last,
                    )
        if not alone:
            return
        for value in (given, surname):
            for variant in forms.name_variants(value):
                if self.is_telling(variant):
                    yield "PATIENT_NAME", forms.whole(forms.name(variant)), variant
            if len(forms.words_of(value)) > 1:
                for word in forms.words_of(value):
                    if len(word) > 3 and self.is_telling(word):
                        yield "PATIENT_NAME", forms.whole(re.escape(word)), word

    def is_telling(self, name: str) -> bool:
        """Tell whether a name says, alone, who is meant: three letters or more and no everyday word."""
        words = forms.words_of(name)
        return len("".join(words)) > 2 and not all(
            word in _MAKERS or self._vocabulary.is_common(word) or len(word) < 3 for word in words
        )

    def find(self, text: str) -> list[Span]:
        """Return where identifiers stand in the text, in order, without overlaps."""
        if self._pattern is None or not text:
            return []
        folded = fold(text)
        spans = []
        for match in self._pattern.finditer(folded.text):
            title = _TITLE.match(folded.text, match.start())
            start = title.end() if title and title.end() < match.end() else match.start()
            source = "known:titled" if start > match.start() else "known"
            label = (match.lastgroup or "").rstrip("_")
            spans.append(Span(*folded.original(start, match.end()), label, source))
        return spans

    def find_bytes(self, data: bytes) -> list[str]:
        """Return the labels of identifiers that the bytes hold in UTF-8, Latin-1 or UTF-16, sorted; never a value.

        Sorts out clean bytes by plain search; only where one is met are they decoded. In samples of an image, letters and
        digits meet by chance: give those bytes without their pixel data.
        """
        found: set[str] = set()
        if self._has_needle(data):
            for start in range(0, len(data), _WINDOW - _OVERLAP):
                window = data[start : start + _WINDOW]
                if self._has_needle(window):
                    found |= self._labels(window, first=start == 0, last=start + _WINDOW >= len(data))
        return sorted(found)

    def _has_needle(self, data: bytes) -> bool:
        compact = data.translate(_LOWER, _SKIPPED)
        return any(needle in compact for needle in self._needles)

    def _labels(self, window: bytes, *, first: bool, last: bool) -> set[str]:
        """Return the labels found in a window. What touches a cut edge is whole in the next window, or part of a word."""
        labels: set[str] = set()
        for view in _views(window):
            low, high = (0 if first else 1), len(view) - (0 if last else 1)
            labels.update(span.label for span in self.find(view) if low <= span.start and span.end <= high)
        return labels


def _together(patterns: Mapping[str, Iterable[str]]) -> re.Pattern[str]:
    """Return one pattern whose groups are the labels. What begins at a word's start is tried only there, to save time."""
    at_start: list[str] = []
    elsewhere: list[str] = []
    for label, forms_ in patterns.items():
        starting = [form[len(forms.WORD_START) :] for form in forms_ if _starts_word(form)]
        others = [form for form in forms_ if not _starts_word(form)]
        if starting:
            at_start.append(f"(?P<{label}>{'|'.join(starting)})")
        if others:
            elsewhere.append(f"(?P<{label}_>{'|'.join(others)})")
    groups = [f"{forms.WORD_START}(?:{'|'.join(at_start)})"] if at_start else []
    return re.compile("|".join([*groups, *elsewhere]))


def _starts_word(form: str) -> bool:
    return form.startswith(forms.WORD_START)


def _needles(value: str) -> Iterator[bytes]:
    """Yield the compact bytes without which no encoding of the value can be in the data."""
    # Quotes and dashes have many encodings: the longest word of a name is enough to look closer.
    value = (
        max(re.findall(r"[^\W_]+", value), key=len) if any(c.isalpha() for c in value) and "'" in fold_word(value) else value
    )
    spellings = {value, value.lower(), value.upper(), value.title(), fold_word(value)}
    for text in spellings | {unicodedata.normalize("NFD", spelling) for spelling in spellings}:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
            try:
                needle = text.encode(encoding).translate(_LOWER, _SKIPPED)
            except UnicodeEncodeError:
                continue
            if needle:
                yield needle


def _views(data: bytes) -> Iterator[str]:
    """Yield the data as text in each encoding that it may have."""
    yield data.decode("latin-1")
    # The next element of a little-endian data set begins with its group number, which may look like a letter or digit.
    yield re.sub(rb"[\x00-\x7f]\x00", b"  ", data).decode("latin-1")
    yield data.decode("utf-8", "replace")
    for encoding in ("utf-16-le", "utf-16-be"):
        for start in (0, 1):
            # Binary data around a text decodes to letters of other scripts, which would lengthen its first or last word.
            yield re.sub(r"[^\0-\u036f\u1e00-\u20ff]", " ", data[start:].decode(encoding, "replace"))
