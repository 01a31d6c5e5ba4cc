"""The patient's own identifiers in a report: also initials, short forms and slips of the pen, and everyday words as names.

It sees the whole text, so it may go further than the matcher, which answers for a text that was already cleaned.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from safelight.text import forms
from safelight.text.folding import fold_word
from safelight.text.lexicon import alternatives, read_lines
from safelight.text.matcher import IdentifierMatcher, name_parts
from safelight.text.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.model import KnownIdentifiers
    from safelight.text.document import Document, Word
    from safelight.text.vocabulary import Vocabulary

#: What a patient does or has done to them: in front of it, a capitalised everyday word is the patient's name.
_PATIENT_VERB: Final = re.compile(rf"(?:[ \t]{{1,3}}|\n)(?:{alternatives('patient_verbs.txt')})(?![^\W_])")
_SHORT_FORMS: Final = {
    name: forms_.split() for name, _, forms_ in (line.partition(": ") for line in read_lines("short_forms.txt"))
}
#: Of these, what only a person does: enough behind an everyday given name where capitals say nothing.
DECIDES: Final = re.compile(
    r"(?:[ \t]{1,3}|\n)(?:prefers?|settled|attended|complain(?:s|ed)|denie[sd]"
    r"|declined|refused|tolerated|consented|lives|rang)(?![^\W_])"
)


_SPACED: Final = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .\-_]){3,24}[^\W\d_](?![^\W_])")
#: A slip of a reader of print: ``K0walczyk``, ``Wi1son``.
_WITH_DIGITS: Final = re.compile(r"(?<![^\W_])(?=[^\W\d_]{0,24}[0158])(?=[^\W_]{0,24}[^\W\d_])[^\W_]{4,25}(?![^\W_])")
_LOOK_ALIKE: Final = (str.maketrans("0158", "olsb"), str.maketrans("0158", "oisb"))
_GROWN: Final = re.compile(r"(?<![^\W_])[^\W\d_]{1,25}[a-z\u00df-\u00ff][A-Z\u00c0-\u00de\u0100-\u017f][^\W_]{2,25}")
_PART: Final = re.compile(r"[A-Z\u00c0-\u00de\u0100-\u017f][a-z\u00df-\u017f'\-]{2,25}")


class KnownPerson:
    """Finds one patient's identifiers in a whole text.

    Args:
        known: what is known.
        vocabulary: what is an everyday word.
    """

    def __init__(self, known: KnownIdentifiers, vocabulary: Vocabulary) -> None:
        self.matcher = IdentifierMatcher([known], vocabulary=vocabulary)
        pairs = name_parts(known)
        self._given = _words(given for given, _ in pairs) | _words([known.middle])
        self._surnames = _words(surname for _, surname in pairs)
        self.names = self._given | self._surnames
        self._first = {fold_word(given).split()[0] for given, _ in pairs if given.strip()}
        self._short = {short for name in self._first for short in _SHORT_FORMS.get(name, ())}
        self._initials = {word[0] for word in self._given}
        self._town = re.compile(forms.whole(forms.name(known.address.town))) if len(known.address.town) > 2 else None
        self._practice = (
            re.compile(forms.whole(forms.name(known.gp.practice).replace(r"[\s\-'^.]{0,3}", r"[\s\-'^.&]{0,5}")))
            if len(known.gp.practice) > 4
            else None
        )
        self._hospital = re.compile(forms.whole(forms.name(known.hospital))) if len(known.hospital) > 4 else None
        self._others = _words([known.gp.name, known.referrer])

    def find(self, document: Document) -> Iterator[Span]:
        """Yield where the patient is named or numbered."""
        for span in self.matcher.find(document.text):
            if span.label.endswith("NAME") and document.is_protected(span.start, span.end) and not _is_full(document, span):
                continue
            yield self._widened(document, Span(span.start, span.end, span.label, "known", 1.0))
        for label, pattern in (("TOWN", self._town), ("GP_PRACTICE", self._practice), ("HOSPITAL", self._hospital)):
            if pattern is not None:
                for match in pattern.finditer(document.low):
                    if label != "TOWN" or document.caseless or document.text[match.start()].isupper():
                        yield Span(*match.span(), label, "known", 0.95)
        yield from self._disguised(document)
        for word in document.words:
            if self._is_name(document, word):
                yield self._widened(document, Span(word.start, word.end, "PATIENT_NAME", "known:word", 0.95))

    def _is_name(self, document: Document, word: Word) -> bool:
        low = word.low
        if word.length < 3 and low not in self.names:
            return False
        if document.is_protected(word.start, word.end):
            return False
        lexicon = document.lexicon
        if low in self.names:
            if not lexicon.vocabulary.is_common(low) and word.length > 2:
                return True
            if self._after_own_initial(document, word):
                return True
            if document.caseless:
                return low in self._first and bool(DECIDES.match(document.low, word.end))
            if not word.capital:
                return False
            if document.starts_sentence(word):
                return bool(_PATIENT_VERB.match(document.low, word.end))
            return not document.line_is_upper(word.start)
        if low in self._short or any(len(low) > 2 and name.startswith(low) and len(name) > len(low) for name in self._first):
            if not word.capital and not document.caseless:
                return False
            if lexicon.is_foreign(low) or not lexicon.is_word(low):
                return True
            verb = DECIDES if document.caseless else _PATIENT_VERB
            return bool(verb.match(document.low, word.end))
        if word.length >= 4 and (word.capital or document.caseless) and not lexicon.is_word(low):
            return any(len(name) >= 4 and one_edit(low, name) for name in self.names)
        return False

    def _disguised(self, document: Document) -> Iterator[Span]:
        """Yield names with blanks between their letters, digits for letters, or grown together with a word."""
        for match in _SPACED.finditer(document.low):
            if re.sub(r"[\W_]", "", match.group()) in self.names:
                yield Span(*match.span(), "PATIENT_NAME", "known:spaced", 0.95)
        for match in _WITH_DIGITS.finditer(document.low):
            if any(match.group().translate(letters) in self.names for letters in _LOOK_ALIKE):
                yield Span(*match.span(), "PATIENT_NAME", "known:digits", 0.95)
        for match in _GROWN.finditer(document.text):
            for part in _PART.finditer(document.text, *match.span()):
                low = document.low[slice(*part.span())]
                if len(low) > 4 and low in self.names:
                    yield Span(*part.span(), "PATIENT_NAME", "known:grown", 0.95)

    def _after_own_initial(self, document: Document, word: Word) -> bool:
        """Tell whether the patient's own initial stands in front: ``E. MAY``, ``B Foot``."""
        if word.low not in self._surnames:
            return False
        before = re.compile(r"(?<![^\W_])([a-z])(\.?)[ \t]?$").search(document.low, max(0, word.start - 3), word.start)
        if before is None or before.group(1) not in self._initials:
            return False
        return bool(before.group(2)) or (word.capital and not document.caseless)

    def _widened(self, document: Document, span: Span) -> Span:
        """Take an initial in front of or behind a name along: ``O McGuinness``, ``Foley A``."""
        if span.label != "PATIENT_NAME":
            return span
        low, text = document.low, document.text
        before = re.compile(r"(?<![^\W_])([a-z])[. ]{1,2}(?:([a-z])[. ]{1,2})?$").search(
            low, max(0, span.start - 6), span.start
        )
        if before and before.group(1) in self._initials and (text[before.start()].isupper() or document.all_lower):
            return Span(before.start(), span.end, span.label, span.source, span.score)
        after = re.compile(r",?[ \t^]([a-z])(?![^\W_'])").match(low, span.end)
        if after and after.group(1) in self._initials and text[after.start(1)].isupper() and not document.caseless:
            return Span(span.start, after.end(1), span.label, span.source, span.score)
        return span


def _is_full(document: Document, span: Span) -> bool:
    """Tell whether more than one name, or a title, says that a person is meant."""
    return span.source == "known:titled" or len(document.words_between(span.start, span.end)) > 1


def _words(values: object) -> set[str]:
    found: set[str] = set()
    for value in values:  # type: ignore[attr-defined]
        for variant in forms.name_variants(value):
            folded = fold_word(variant)
            found.update(
                word for word in re.findall(r"[^\W\d_]+(?:['\-][^\W\d_]+)*", folded) if not re.fullmatch(forms.TITLES, word)
            )
            found.update(word for word in forms.words_of(variant) if len(word) > 3)
    return found


def one_edit(one: str, two: str) -> bool:
    """Tell whether two words differ by one letter more, less, other, or two swapped. Constant memory, linear time."""
    if one == two or abs(len(one) - len(two)) > 1:
        return False
    index = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    rest_one, rest_two = one[index:], two[index:]
    if len(one) == len(two):
        return rest_one[1:] == rest_two[1:] or (rest_one[:2] == rest_two[1::-1] and rest_one[2:] == rest_two[2:])
    return rest_one[1:] == rest_two if len(one) > len(two) else rest_one == rest_two[1:]
