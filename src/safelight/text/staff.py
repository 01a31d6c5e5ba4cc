"""The staff directory: whoever is in it is named in reports, in full, reversed, with initials, or by surname."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from safelight.text import forms
from safelight.text.folding import fold_word
from safelight.text.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.text.document import Document, Word
    from safelight.text.site import Site
    from safelight.text.vocabulary import Vocabulary

_GAP: Final = re.compile(r"(?:\s{1,3}|,\s?|\^|\s?-\s?|\.\s?){1}")


class Staff:
    """Finds members of staff. Cost: one dictionary look-up a word, whatever the size of the directory.

    Args:
        site: whose directory.
        vocabulary: a surname that is an everyday word is found only beside a given name or an initial.
    """

    def __init__(self, site: Site, vocabulary: Vocabulary) -> None:
        self._pairs: dict[str, set[str]] = {}
        self._alone: set[str] = set()
        for member in site.directory.staff:
            for surname in forms.name_variants(member.surname):
                key = fold_word(surname).strip()
                if not key:
                    continue
                givens = self._pairs.setdefault(key, set())
                givens.update(
                    fold_word(variant).split()[0] for variant in forms.name_variants(member.given) if variant.strip()
                )
                if len(key) > 2 and not vocabulary.is_common(key):
                    self._alone.add(key)
        self._given = {
            given
            for givens in self._pairs.values()
            for given in givens
            if not vocabulary.is_common(given) and len(given) > 2
        }

    def find(self, document: Document) -> Iterator[Span]:
        """Yield where members of staff are named."""
        words = document.words
        for word in words:
            givens = self._pairs.get(word.low)
            if givens is None:
                if (
                    word.low in self._given
                    and word.capital
                    and not document.all_upper
                    and not document.is_protected(word.start, word.end)
                ):
                    yield Span(word.start, word.end, "CLINICIAN_NAME", "staff:given", 0.6)
                continue
            for neighbour in (word.index - 1, word.index + 1):
                if not 0 <= neighbour < len(words):
                    continue
                other = words[neighbour]
                first, last = sorted((word, other), key=lambda w: w.start)
                if not _GAP.fullmatch(document.text, first.end, last.start):
                    continue
                if other.low in givens or (
                    _is_initial(document, word, other) and other.low in {given[0] for given in givens}
                ):
                    yield Span(first.start, last.end, "CLINICIAN_NAME", "staff:full", 0.96)
            if (
                word.low in self._alone
                and (word.capital or document.caseless)
                and not document.is_protected(word.start, word.end)
            ):
                yield Span(word.start, word.end, "CLINICIAN_NAME", "staff:surname", 0.65)


def _is_initial(document: Document, surname: Word, other: Word) -> bool:
    """Tell whether a letter beside a surname is an initial, and not the start of ``D.O.B.`` or a class of something."""
    if other.length != 1 or not other.capital or not (surname.capital or document.caseless):
        return False
    if document.is_protected(surname.start, surname.end):
        return False
    if other.start < surname.start:
        # "D/W Ward" is a discussion.
        return document.text[other.start - 1 : other.start] != "/"
    return other.start - surname.end == 1 and not re.match(r"\.[^\W\d_]", document.text[other.end : other.end + 2])
