"""One text as the rules see it: words with their shapes, and which stretches are clinical phrases."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from safelight.text.folding import fold_character

if TYPE_CHECKING:
    from safelight.text.lexicon import Lexicon

WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019\u2018\u02bc\-\u2010\u2011][^\W\d_]+){0,8}")
#: Lines this long were broken by a program and not by who wrote them.
_PROSE: Final = 45


class _Single(dict[int, str]):
    """Folds that never change a text's length: the first character of what a letter folds to."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = (fold_character(chr(code)) or " ")[0]
        return folded


_SINGLE: Final = _Single()


def lower_alike(text: str) -> str:
    """Return the text in lower case, without accents, each character in its place."""
    return text.lower() if text.isascii() else text.translate(_SINGLE)


@dataclass(frozen=True)
class Word:
    """One word. ``low`` is folded, without a possessive ending; ``end`` is before that ending."""

    index: int
    start: int
    end: int
    low: str
    capital: bool
    upper: bool

    @property
    def length(self) -> int:
        """Number of characters."""
        return self.end - self.start


class Document:
    """A text and what is worked out about it once, for all rules.

    Args:
        text: without markup.
        lexicon: which words are words, names and phrases here.
    """

    def __init__(self, text: str, lexicon: Lexicon) -> None:
        self.text = text
        self.low = lower_alike(text)
        self.lexicon = lexicon

    @cached_property
    def words(self) -> list[Word]:
        """All words in order."""
        words = []
        for index, match in enumerate(WORD.finditer(self.text)):
            start, end = match.span()
            low = self.low[start:end]
            if len(low) > 3 and (low.endswith("'s") or low.endswith("s'")):
                low, end = (low[:-2], end - 2) if low.endswith("'s") else (low[:-1], end - 1)
            raw = self.text[start:end]
            words.append(
                Word(
                    index,
                    start,
                    end,
                    low,
                    any(part[:1].isupper() for part in raw.split("-")),
                    len(raw) > 1 and raw.upper() == raw,
                )
            )
        return words

    @cached_property
    def _starts(self) -> dict[int, int]:
        return {word.start: word.index for word in self.words}

    def word_at(self, position: int) -> Word | None:
        """Return the word that starts exactly there."""
        index = self._starts.get(position)
        return None if index is None else self.words[index]

    def words_between(self, start: int, end: int) -> list[Word]:
        """Return the words that lie in a stretch."""
        first = bisect_left(self.words, start, key=lambda word: word.start)
        last = bisect_left(self.words, end, key=lambda word: word.start)
        return self.words[first:last]

    @cached_property
    def letters_upper(self) -> float:
        """Share of letters in upper case."""
        letters = [c for c in self.text if c.isalpha()]
        return sum(c.isupper() for c in letters) / len(letters) if letters else 0.0

    @cached_property
    def all_upper(self) -> bool:
        """Whether capitals say nothing here because nearly all letters are."""
        return self.letters_upper > 0.75

    @cached_property
    def all_lower(self) -> bool:
        """Whether capitals say nothing here because there are none."""
        return self.letters_upper < 0.02 and len(self.words) > 3

    @property
    def caseless(self) -> bool:
        """Whether capitals say nothing here."""
        return self.all_upper or self.all_lower

    @cached_property
    def protected(self) -> list[tuple[int, int]]:
        """Clinical phrases, in order: what is in them is no name."""
        phrases = self.lexicon.phrases(self.low)
        for word in self.words:
            if self.lexicon.is_eponym(word.low) and (tail := self.lexicon.head.match(self.low, word.end)):
                phrases.append((word.start, tail.end()))
        return sorted(phrases)

    @cached_property
    def _protected_characters(self) -> set[int]:
        return {index for start, end in self.protected for index in range(start, end)}

    def is_protected(self, start: int, end: int) -> bool:
        """Tell whether a stretch lies in a clinical phrase."""
        characters = self._protected_characters
        return start in characters and end - 1 in characters

    def starts_sentence(self, word: Word) -> bool:
        """Tell whether the word's capital may come from its place: after a stop, a colon, a line's or bullet's start."""
        before = self.text[max(0, word.start - 40) : word.start].rstrip(" \t\"'(\u2018\u201c*-\u2022")
        return not before or before[-1] in ".!?:;\n\r|#>" or before.endswith("\n")

    def line_is_upper(self, position: int) -> bool:
        """Tell whether the line around a position is written in capitals, so that one more says nothing."""
        letters = [c for c in self.text[slice(*self.line_of(position))] if c.isalpha()]
        return len(letters) > 3 and sum(c.isupper() for c in letters) > 0.8 * len(letters)

    def is_wrapped(self, position: int) -> bool:
        """Tell whether the line around a position is as long as those that a program breaks for want of room."""
        start, end = self.line_of(position)
        return end - start >= _PROSE

    def line_of(self, position: int) -> tuple[int, int]:
        """Return start and end of the line around a position."""
        start = self.text.rfind("\n", 0, position) + 1
        end = self.text.find("\n", position)
        return start, len(self.text) if end < 0 else end
