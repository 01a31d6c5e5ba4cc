"""``clean-text`` on elements: short texts keep words of a closed vocabulary, long ones go to the report de-identifier."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from safelight.dicom.charset import decode
from safelight.dicom.steps import State
from safelight.dicom.vocabulary import without_old_ages
from safelight.errors import StudyRejected
from safelight.model import KnownIdentifiers

#: Text, what is known of the patient, the date shift in days -> clean text. Raises StudyRejected when it can't be cleaned.
CleanText = Callable[[str, KnownIdentifiers | None, int], str]
#: A text up to this length is a label: its words are checked one by one.
SHORT: Final = 128
#: Labels of the patient in hand that are remembered: those of a series repeat.
REMEMBERED: Final = 1024
#: Digits with separators among them: telephone, record and health service numbers, dates.
_NUMBER = re.compile(r"\d(?:[ ./:-]{0,2}\d)*")
_MOST_DIGITS: Final = 4
_TOKEN = re.compile(r"[^\W_]+|[^\w]|_")
_COMPOUND = re.compile(r"(\d{0,3})([a-z]*)(\d{0,3})")
#: Names of sequences such as ep2d and tfl3d1: listed words between a digit or two.
_RUNS = re.compile(r"[a-z]+|\d")
_MOST_DIGITS_OF_RUNS: Final = 2
_JOINERS: Final = frozenset("-+/&.,:()_*% ")


class TextCleaner:
    """Cleans the texts of one instance at a time.

    Args:
        words: the closed vocabulary, casefolded.
        clean_text: the report de-identifier for longer texts; without it they are removed.
    """

    def __init__(self, words: frozenset[str], clean_text: CleanText | None) -> None:
        self._words = words
        self._clean_text = clean_text
        self._names: frozenset[str] = frozenset()
        self._known: KnownIdentifiers | None = None
        self._labels: dict[str, str] = {}

    @property
    def known(self) -> KnownIdentifiers | None:
        """What is known of the patient whose instance is in hand."""
        return self._known

    @known.setter
    def known(self, known: KnownIdentifiers | None) -> None:
        if known is self._known:
            return
        self._known = known
        self._labels.clear()
        names = (
            (known.given, known.middle, known.surname, known.previous_surname, known.preferred, known.referrer)
            if known
            else ()
        )
        parts = [part for name in (*names, *(known.other_names if known else ())) for part in re.split(r"\W+", name)]
        self._names = frozenset(part.casefold() for part in parts if part)

    def clean(self, raw: bytes, state: State) -> bytes | None:
        """Return the clean text, or None where nothing of it may stay."""
        text = decode(raw, state.charset).strip(" \0")
        if not text:
            return b""
        if len(text) <= SHORT:
            label = self._labels.get(text)
            if label is None:
                if len(self._labels) > REMEMBERED:
                    self._labels.clear()
                values = [self.label(value) for value in text.split("\\")]
                label = self._labels[text] = "\\".join(values) if any(values) else ""
            return label.encode("ascii") or None
        return self._report(text, state)

    def narrative(self, raw: bytes, state: State) -> bytes | None:
        """Return the clean text of a content item of a structured report, in the character set of the instance.

        However short, it goes to the report de-identifier. Where that has not enough to go by, the words of the vocabulary
        are left.
        """
        text = decode(raw, state.charset).strip(" \0")
        clean = self._report(text, state) if text else b""
        return self.clean(raw, state) if clean is None and len(text) <= SHORT else clean

    def _report(self, text: str, state: State) -> bytes | None:
        if self._clean_text is None or state.days is None:
            return None
        try:
            clean = self._clean_text(text, self._known, state.days)
        except StudyRejected:
            return None
        codec = state.charset[0] if state.charset and len(state.charset) == 1 else "ascii"
        return clean.encode(codec, "replace") or None

    def label(self, text: str) -> str:
        """Return the words of the vocabulary and short numbers, as they stood; everything else goes.

        A number of more than four digits goes with its separators, and so does a word that is a name of the patient, and
        an age from 90 on.
        """
        text = without_old_ages(text)
        text = _NUMBER.sub(lambda match: match[0] if sum(map(str.isdigit, match[0])) <= _MOST_DIGITS else " ", text)
        kept: list[str] = []
        for part in _TOKEN.findall(text):
            if part in _JOINERS:
                if kept and not (part == " " and kept[-1] == " "):
                    kept.append(part)
            elif self._allowed(part.casefold()):
                kept.append(part)
            elif not part.isalnum() and kept and kept[-1] != " ":
                # Scanners write abdomen^liver: whatever else stands between words parts them.
                kept.append(" ")
        # What joined a word that went joins nothing.
        return re.sub(r"(?:(?<= )|^)[-+/&.,:()_*%]+(?= |$)", "", "".join(kept)).strip("-/&.,:_* ")

    def _allowed(self, word: str) -> bool:
        if not word.isascii() or word in self._names:
            return False
        if word in self._words:
            return True
        match = _COMPOUND.fullmatch(word)
        if match is None:
            return self._designates(_RUNS.findall(word))
        if not (match[1] or match[3]):
            return False
        return not match[2] or (match[2] in self._words and match[2] not in self._names)

    def _designates(self, runs: list[str]) -> bool:
        words = [run for run in runs if run.isalpha()]
        return (
            len(runs) - len(words) <= _MOST_DIGITS_OF_RUNS
            and max(map(len, words), default=0) > 1
            and all(word in self._words and word not in self._names for word in words)
        )
