"""Reads a name where something in front says that one may follow."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from safelight.text.lexicon import read_set

if TYPE_CHECKING:
    from safelight.text.document import Document, Word

#: Function words, roles, departments, things: never a name, and where a name ends.
STOP: Final = read_set("no_names.txt") - read_set("also_names.txt")
#: Everyday words that many people are called.
ALSO_NAMES: Final = read_set("also_names.txt")
CREDENTIALS: Final = read_set("credentials.txt")
_PARTICLES: Final = read_set("particles.txt")
#: What stands behind a name that is complete.
NAME_ENDS: Final = re.compile(
    r"\s?(?:[,;:)\](]|\n|$|bleep|ext|gmc|frc|mrc|mbb|mbch|on\s\d|at\s\d|\+?\(?\d{4}|\d{1,2}(?:[/.\-]|\s?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))|\.\s*(?:\n|$|[A-Z\d]))"
    r"|\s(?:and|who|she|he)\s",
    re.IGNORECASE,
)
#: What a person does or is asked for, behind a name where capitals say nothing.
_GOES_ON: Final = re.compile(
    r"\s(?:was|is|has|had|will|would|rang|attend|translat|tel\b|phone|mob|present|agree|advis|brought|accompan|to\sreview|in\s(?:theatre|clinic))"
)
_TELEPHONE: Final = re.compile(r"\s(?:\(?0\d{2}|\+44|tel\b|mob\b)")
_NUMBER_BEHIND: Final = re.compile(r"[ ]?\d")
#: Of these, the ones that are counted or dated: "Ward 7", "Day 3", "May 2021".
_COUNTED: Final = frozenset(
    {"ward", "wards", "day", "page", "may", "march", "june", "april", "august", "case", "board", "first"}
)
_TRAILING_INITIAL: Final = re.compile(r"[ \t]([a-z])(?![^\W_'])")
_RARE: Final = 30_000
_FREQUENT: Final = 6_000


class Trust(IntEnum):
    """How strongly what stands in front promises a name. Behind a doctor's title, whatever follows is one."""

    LIKELY = 1
    SURE = 2
    TITLE = 3


class NameReader:
    """Reads names of one document.

    Args:
        document: the text.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._lexicon = document.lexicon

    def read(self, position: int, trust: Trust) -> tuple[int, int] | None:
        """Return where the name that begins at ``position`` starts and ends, with initials and particles, or None."""
        document = self._document
        cursor = position
        taken: list[Word] = []
        trust_now = trust
        while len(taken) < 4:
            word = document.word_at(cursor)
            if word is None:
                break
            if trust is Trust.LIKELY and not taken and document.is_protected(word.start, word.end):
                break
            if self._is_initial(word, taken):
                if taken and document.text[word.end : word.end + 3].lstrip(". ")[:1] == "\n":
                    break
                cursor, trust_now = self._skip(word.end, dots=True), max(trust_now, Trust.SURE)
                continue
            if word.low in _PARTICLES and self._capital_follows(word) and (taken or word.capital or document.caseless):
                cursor = self._skip(word.end)
                continue
            if not (self._continues(word, taken) if taken else self._begins(word, trust_now)):
                break
            taken.append(word)
            cursor = self._skip(word.end)
            if document.text[word.end : cursor].count("\n") > 1:
                break
        if not taken:
            return None
        return position, self._with_trailing_initial(taken[-1].end)

    def _is_initial(self, word: Word, taken: list[Word]) -> bool:
        if (word.low in STOP and word.length > 1) or not self._capital_follows(word) or self._before_digit(word):
            return False
        if word.length == 1:
            return word.capital or self._document.all_lower
        two = word.length == 2 and word.upper and not self._document.caseless and not taken
        return two and not self._lexicon.is_clinical(word.low) and self._document.low[word.end : word.end + 1] in {" ", "."}

    def _before_digit(self, word: Word) -> bool:
        """Tell whether the word is the beginning of a code: ``AB1-21``."""
        return self._document.text[word.end : word.end + 1].isdigit()

    def _skip(self, position: int, *, dots: bool = False) -> int:
        # A name goes on below only where the line was broken for want of room.
        below = r"\n?" if dots or self._document.is_wrapped(position) else ""
        match = re.compile(rf"\.?[ \t]{{0,2}}{below}[ \t]{{0,4}}" if dots else rf"[ \t]{{0,2}}{below}[ \t]{{0,4}}").match(
            self._document.text, position
        )
        return match.end() if match else position

    def _capital_follows(self, word: Word) -> bool:
        words = self._document.words
        if word.index + 1 >= len(words):
            return False
        following = words[word.index + 1]
        between = self._document.text[word.end : following.start]
        return len(between) <= 3 and not between.strip(" .\n-'") and (following.capital or self._document.caseless)

    def _begins(self, word: Word, trust: Trust) -> bool:
        """Tell whether a name may begin with the word."""
        low, lexicon, document = word.low, self._lexicon, self._document
        if low in STOP or low in CREDENTIALS or self._before_digit(word):
            return False
        ends = NAME_ENDS.match(document.text, word.end) is not None
        if low in ALSO_NAMES:
            if low in _COUNTED and _NUMBER_BEHIND.match(document.text, word.end):
                return False
            if document.caseless:
                return (
                    trust is Trust.TITLE
                    or ends
                    or (lexicon.is_given(low) and (self._surname_follows(word) or self._goes_on(word)))
                )
            return word.capital
        clinical = lexicon.is_clinical(low)
        named = not clinical and (lexicon.is_foreign(low) or lexicon.is_name(low, _RARE))
        if document.caseless:
            given = lexicon.is_given(low) and (self._surname_follows(word) or self._goes_on(word))
            borne = trust >= Trust.SURE and (ends or self._goes_on(word)) and lexicon.is_surname(low)
            behind = trust >= Trust.SURE and not clinical and self._named_behind(word)
            return named or given or borne or behind or (trust is Trust.TITLE and ends and not word.length < 3)
        if not word.capital:
            return trust is Trust.LIKELY and not clinical and not lexicon.is_eponym(low) and lexicon.is_foreign(low)
        if trust is Trust.TITLE and not word.upper:
            return True
        if trust >= Trust.SURE:
            return (
                named
                or not (clinical or word.upper)
                or lexicon.is_eponym(low)
                or lexicon.is_surname(low)
                or self._line_upper(word)
            )
        borne = lexicon.is_surname(low) and not word.upper and (ends or not clinical)
        borne = borne or (not clinical and not word.upper and self._named_behind(word))
        return named or lexicon.is_eponym(low) or borne

    def _continues(self, word: Word, taken: list[Word]) -> bool:
        """Tell whether the word goes on with the name."""
        low, lexicon, document = word.low, self._lexicon, self._document
        if low in STOP or low in CREDENTIALS or (low in _COUNTED and _NUMBER_BEHIND.match(document.text, word.end)):
            return False
        foreign = lexicon.is_foreign(low)
        after_given = lexicon.is_given(taken[-1].low) or (len(taken) == 1 and lexicon.is_foreign(taken[0].low))
        if document.caseless:
            ends = NAME_ENDS.match(document.text, word.end) is not None
            ends = ends or self._goes_on(word)
            common = after_given and len(taken) == 1 and lexicon.is_surname(low) and (ends or low not in ALSO_NAMES)
            return foreign or (common and (ends or (lexicon.is_surname(low, _FREQUENT) and not lexicon.is_clinical(low))))
        if not word.capital or document.is_protected(word.start, word.end):
            return False
        if word.upper and not taken[-1].upper and not foreign:
            return False
        if foreign or (lexicon.is_name(low, _RARE) and not lexicon.is_clinical(low)):
            return True
        return after_given and lexicon.is_surname(low)

    def _surname_follows(self, word: Word) -> bool:
        """Tell whether ``HOPE`` is followed by ``HEART.``: a surname, and then the end of a name."""
        words = self._document.words
        if word.index + 1 >= len(words):
            return False
        following = words[word.index + 1]
        lexicon = self._lexicon
        if following.low in STOP or not (lexicon.is_surname(following.low) or lexicon.is_foreign(following.low)):
            return False
        if lexicon.is_foreign(following.low) and following.start - word.end <= 2:
            return True
        return following.start - word.end <= 2 and NAME_ENDS.match(self._document.text, following.end) is not None

    def _named_behind(self, word: Word) -> bool:
        """Tell whether a surname or a telephone number follows: ``contact is Winsome Xu``, ``NOK Precious 0161``."""
        words = self._document.words
        if _TELEPHONE.match(self._document.low, word.end):
            return True
        if word.index + 1 >= len(words):
            return False
        following = words[word.index + 1]
        capital = following.capital and not following.upper
        beside = following.start - word.end == 1 and (capital or self._document.caseless)
        return beside and self._lexicon.is_foreign(following.low) and not self._lexicon.is_eponym(following.low)

    def _goes_on(self, word: Word) -> bool:
        """Tell whether what follows is what a person does: ``CARER GRACE WAS PRESENT``."""
        return _GOES_ON.match(self._document.low, word.end) is not None

    def _line_upper(self, word: Word) -> bool:
        return self._document.line_is_upper(word.start)

    def _with_trailing_initial(self, end: int) -> int:
        document = self._document
        match = _TRAILING_INITIAL.match(document.low, end)
        if match is None or document.caseless or not document.text[match.start(1)].isupper():
            return end
        return match.end() if NAME_ENDS.match(document.text, match.end()) else end
