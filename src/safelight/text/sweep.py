"""What is left after all other rules: capitalised words that are no words, and second mentions of names."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from safelight.text.naming import STOP
from safelight.text.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from safelight.text.document import Document, Word

_PEOPLE: Final = frozenset({"PATIENT_NAME", "CLINICIAN_NAME", "RELATIVE_NAME"})
#: A name this short, or that is an everyday word, is looked for again only as it stood.
_MIN_AGAIN: Final = 3
_UNIT_BEHIND: Final = re.compile(r"\s?[/\d]|\s?\d")


def find_foreign(document: Document) -> Iterator[Span]:
    """Yield capitalised words that are in no vocabulary: names, nine times in ten."""
    lexicon, text, low = document.lexicon, document.text, document.low
    for word in document.words:
        if word.length < 3 or document.is_protected(word.start, word.end) or not _stands_alone(document, word):
            continue
        if document.caseless:
            if (
                word.length > 3
                and not lexicon.is_word(word.low)
                and lexicon.is_name(word.low)
                and not lexicon.is_eponym(word.low)
            ):
                yield Span(word.start, word.end, "CLINICIAN_NAME", "sweep:caseless", 0.5)
            continue
        if not word.capital or not lexicon.is_foreign(word.low):
            continue
        if lexicon.is_eponym(word.low) and not _beside_name(document, word):
            continue
        raw = text[word.start : word.end]
        if word.upper:
            # Capitals alone are mostly abbreviations: a name is longer, and borne by somebody or beside another name.
            named = word.length > 3 and (lexicon.is_name(word.low) or _beside_name(document, word))
            if not named or low[word.end : word.end + 1].isdigit():
                continue
        elif any(c.isupper() for c in raw[1:]) and not re.match(
            r"(?:Mc|Mac|O['\u2019]|D['\u2019]|De|La|Le|Di|Fitz|[^-]+-)[A-Z\u00c0-\u00de\u0100-\u017f]", raw
        ):
            continue
        if lexicon.head.match(low, word.end) and not lexicon.is_given(word.low):
            continue
        yield Span(word.start, word.end, "CLINICIAN_NAME", "sweep:foreign", 0.5)


def _stands_alone(document: Document, word: Word) -> bool:
    """Tell whether the word is not a part of a code, a path or a mail address."""
    text = document.text
    before, after = text[word.start - 1 : word.start], text[word.end : word.end + 1]
    return not (before.isdigit() or (before in "@_\\" and before)) and not after.isdigit() and after not in {"@", "_"}


def _beside_name(document: Document, word: Word) -> bool:
    """Tell whether the next or previous word, on the same line, is capitalised like this one and a name."""
    words, lexicon = document.words, document.lexicon
    for neighbour in (word.index - 1, word.index + 1):
        if 0 <= neighbour < len(words):
            other = words[neighbour]
            gap = document.text[min(word.end, other.end) : max(word.start, other.start)]
            alike = other.capital and other.upper == word.upper and other.length > 2
            if not alike or gap not in {" ", ", ", ",", "^", "\n"} or lexicon.is_eponym(other.low):
                continue
            if lexicon.is_given(other.low) or lexicon.is_foreign(other.low) or lexicon.is_surname(other.low, 3_000):
                return True
    return False


def find_pairs(document: Document) -> Iterator[Span]:
    """Yield a given name and a surname side by side, both capitalised, though both may be words: ``Hope Bell``."""
    if document.caseless:
        return
    lexicon, words = document.lexicon, document.words
    for one, two in pairwise(words):
        gap = document.text[one.end : two.start]
        if (
            gap not in {" ", "\n", "  "}
            or not (one.capital and two.capital)
            or one.upper != two.upper
            or min(one.length, two.length) < 2
        ):
            continue
        if (
            {one.low, two.low} & STOP
            or document.is_protected(one.start, two.end)
            or lexicon.is_clinical(one.low)
            or lexicon.is_clinical(two.low)
        ):
            continue
        foreign = [lexicon.is_foreign(one.low), lexicon.is_foreign(two.low)]
        if gap == "\n" and not (all(foreign) and document.is_wrapped(one.start)):
            continue
        given, surname = lexicon.is_given(one.low), lexicon.is_surname(two.low, 12_000)
        if given and surname and (any(foreign) or not _heading(document, one, two)):
            yield Span(one.start, two.end, "CLINICIAN_NAME", "sweep:pair", 0.55)


def _heading(document: Document, one: Word, two: Word) -> bool:
    """Tell whether two everyday words with capitals are rather the start of a sentence or a heading."""
    return document.starts_sentence(one) or two.upper


def find_again(document: Document, found: Iterable[Span]) -> Iterator[Span]:
    """Yield further mentions of the names that were found, and the words that continue them."""
    lexicon = document.lexicon
    spans = [span for span in found if span.label in _PEOPLE]
    covered = {index for span in spans for index in range(span.start, span.end)}
    names: dict[str, str] = {}
    for span in spans:
        for word in document.words_between(span.start, span.end):
            if word.length >= _MIN_AGAIN:
                names.setdefault(word.low, span.label)
                for part in re.split(r"['\-]", word.low):
                    if len(part) > 3:
                        names.setdefault(part, span.label)
    for word in document.words:
        label = names.get(word.low)
        if label is None or word.start in covered or document.is_protected(word.start, word.end):
            continue
        everyday = lexicon.vocabulary.is_common(word.low) or lexicon.is_clinical(word.low)
        if (not everyday and (word.length > 3 or word.capital)) or (
            everyday and word.capital and not document.caseless and not document.starts_sentence(word) and not word.upper
        ):
            yield Span(word.start, word.end, label, "again", 0.6)
    yield from _continued(document, spans, covered)


def _continued(document: Document, spans: list[Span], covered: set[int]) -> Iterator[Span]:
    """Yield the capitalised everyday word behind a name that is a surname too: ``Vasanthi Price``, ``Shoshana Ward``."""
    if document.caseless:
        return
    lexicon, words = document.lexicon, document.words
    for span in spans:
        inside = document.words_between(span.start, span.end)
        if not inside:
            continue
        for step, edge in ((1, inside[-1]), (-1, inside[0])):
            index = edge.index + step
            if not 0 <= index < len(words):
                continue
            other = words[index]
            gap = document.text[min(edge.end, other.end) : max(edge.start, other.start)]
            if gap not in {" ", "\n", "  "} or other.start in covered or not other.capital or other.length < 2:
                continue
            if (
                other.low in STOP
                or (gap == "\n" and not document.is_wrapped(min(edge.start, other.start)))
                or document.is_protected(other.start, other.end)
                or lexicon.is_clinical(other.low)
                or other.upper != edge.upper
            ):
                continue
            if step == -1 and (document.starts_sentence(other) or not lexicon.is_given(other.low)):
                continue
            if lexicon.is_surname(other.low, 12_000) if step == 1 else True:
                if step == 1 and not lexicon.is_given(edge.low) and lexicon.is_surname(edge.low, 12_000):
                    continue
                yield Span(other.start, other.end, span.label, "continued", 0.6)
