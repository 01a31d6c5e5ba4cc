"""Text reduced to what names are compared by: lower case, no accents, plain quotes and dashes, with the way back.

Unicode names several forms of one letter (UAX #15) and keyboards several quotes and dashes; a name must be found in all.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_LETTERS: Final = {
    "ł": "l",
    "ø": "o",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "\u0131": "i",
    "ŋ": "n",
    "ŧ": "t",
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    "ə": "e",
}
_QUOTES: Final = "\u2018\u2019\u201b\u02bc\u02b9\u00b4`\u2032\uff07"
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2212\ufe58\ufe63\uff0d"
#: Letters that fold to more or less than one character; with one of them the way back needs a table.
_UNEVEN: Final = re.compile(
    "[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff\u00df\u00e6\u00c6\u0153\u0152\u00fe\u00de\u0130\ufb00-\ufb06]"
)


def fold_character(character: str) -> str:
    """Return what one character is compared by; empty for marks that have no width."""
    if character in _QUOTES:
        return "'"
    if character in _DASHES:
        return "-"
    category = unicodedata.category(character)
    if category in {"Mn", "Cf"}:
        return ""
    if category == "Zs":
        return " "
    lower = character.lower()
    plain = "".join(part for part in unicodedata.normalize("NFKD", lower) if unicodedata.category(part) not in {"Mn", "Cf"})
    return "".join(_LETTERS.get(part, part) for part in plain)


class _Table(dict[int, str]):
    """Folds of single characters, remembered as they are met."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = fold_character(chr(code))
        return folded


_TABLE: Final = _Table()


@dataclass(frozen=True)
class Folded:
    """A folded text. ``offsets`` is None where each character kept its place."""

    text: str
    offsets: Sequence[int] | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return where a stretch of the folded text stood before."""
        if self.offsets is None:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1 if end > start else self.offsets[start]


def fold(text: str) -> Folded:
    """Fold a text: linear, and a plain ``str.lower`` for ASCII."""
    if text.isascii():
        return Folded(text.lower())
    if not _UNEVEN.search(text):
        folded = text.translate(_TABLE)
        if len(folded) == len(text):
            return Folded(folded)
    letters: list[str] = []
    offsets: list[int] = []
    for index, character in enumerate(text):
        for part in _TABLE[ord(character)]:
            letters.append(part)
            offsets.append(index)
    offsets.append(len(text))
    return Folded("".join(letters), offsets)


def fold_word(word: str) -> str:
    """Return the folded form of a short text, without its positions."""
    return word.lower() if word.isascii() else word.translate(_TABLE)
