"""Closed vocabularies of what devices write: texts about themselves, and code strings.

What stands there is copied byte for byte where all of its words are known, so a value that was met before costs a lookup.
A word is known when it is listed, or is a designation: runs of letters that are listed (or are as short as the vocabulary
allows) between a few digits, such as B30f, VE11C or tfl3d1. A typed name is neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, Literal

from safelight.yamlfile import load_yaml

Name = Literal["devices", "terms"]
NAMES: Final[tuple[Name, ...]] = ("devices", "terms")
#: A number of more digits can be a record number, a telephone number or a date; a legal code string (CS) of a standard's
#: number has five, and a designation around a listed word six.
MOST_DIGITS: Final = 4
MOST_DIGITS_OF_TERMS: Final = 5
_MOST_DIGITS_OF_LISTED: Final = 6
#: Versions are longer, and have dots; so have dates and addresses of networks.
_VERSION = re.compile(r"\d{1,2}(?:\.\d{1,3}){1,3}")
_DATE = re.compile(r"\d{1,2}\.\d{1,2}\.(?:\d{2}|\d{4})")
_NUMBER = re.compile(r"\d(?:[ ./:-]{0,2}\d)*")
_WORD = re.compile(r"[^\W_]+")
_RUN = re.compile(r"[a-z]+|\d+")
#: Letters of runs that are not listed, in one word: with more of them a word would be as free as a text.
_MOST_UNLISTED: Final = 2
#: An age of 90 to 130 beside a word that makes it one, or as an age string. Y-90 is an isotope.
_AGED = r"0?(?:9\d|1[0-2]\d|130)(?:[.,]\d+)?"
_OLD_AGE = re.compile(
    rf"(?<!\d)(?<!\d[.,])(?:{_AGED}[\W_]{{1,3}})?{_AGED}[\W_]{{0,5}}(?:y(?:\W?o|rs?|ears?|[mf])?|aged?|old)(?![a-z])"
    rf"|(?<![a-z])(?:age[ds]?|y(?:rs?|ears?)|old)[\W_]{{0,5}}{_AGED}(?!\d)",
    re.ASCII | re.IGNORECASE,
)
#: A postcode of the United Kingdom; its last two letters are none of those that look like digits.
_POSTCODE = re.compile(r"(?<![^\W_])[a-z]{1,2}\d[a-z\d]?\s+\d[abd-hjlnp-uw-z]{2}(?![^\W_])", re.ASCII | re.IGNORECASE)
_EDGE: Final = " -/&.,:;_=#\\"


def without_old_ages(text: str) -> str:
    """Return a text without ages from 90 on: whatever becomes of the words beside them, the numbers tell."""
    return _OLD_AGE.sub(" ", text)


class Vocabulary:
    """Words that may stand in a value, casefolded.

    Args:
        words: the words.
        unlisted: letters in a row that a designation may have although they are not listed.
        digits: digits of the longest number, with what separates them.
    """

    def __init__(self, words: frozenset[str], *, unlisted: int, digits: int = MOST_DIGITS) -> None:
        self._words = words
        self._unlisted = unlisted
        self._digits = digits

    def knows(self, text: str) -> bool:
        """Tell whether every word and number of a text is known."""
        return (
            text == _impersonal(text)
            and all(self._short(match[0]) for match in _NUMBER.finditer(text))
            and all(map(self._known, _WORD.findall(text)))
        )

    def known_of(self, text: str) -> str:
        """Return a text without the words and numbers that are not known, and without what joined them to it."""
        text = _NUMBER.sub(lambda match: match[0] if self._short(match[0]) else " ", _impersonal(text))
        text = _WORD.sub(lambda match: match[0] if self._known(match[0]) else " ", text)
        pieces = (piece.strip(_EDGE) for piece in text.split(" "))
        return " ".join(piece for piece in pieces if _WORD.search(piece))

    def _known(self, word: str) -> bool:
        if not word.isascii():
            return False
        word = word.casefold()
        if word in self._words or word.isdigit():
            return True
        runs = _RUN.findall(word)
        # A single letter is in any list, and says nothing.
        letters = [run for run in runs if run.isalpha() and (len(run) == 1 or run not in self._words)]
        if any(len(run) > self._unlisted for run in letters) or len("".join(letters)) > _MOST_UNLISTED:
            return False
        listed = any(len(run) > 2 and run.isalpha() for run in runs)
        return sum(len(run) for run in runs if run.isdigit()) <= (_MOST_DIGITS_OF_LISTED if listed else MOST_DIGITS)

    def _short(self, number: str) -> bool:
        digits = sum(map(str.isdigit, number))
        if _VERSION.fullmatch(number):
            return digits <= MOST_DIGITS + 3 and not _DATE.fullmatch(number)
        return digits <= self._digits


def _impersonal(text: str) -> str:
    """Return a text without what tells of a person although each of its parts may stand in a vocabulary."""
    text = _POSTCODE.sub(" ", without_old_ages(text))
    # A name can be spelled: single letters are in any list, so there may be only as few as in a designation.
    if sum(len(word) == 1 and word.isalpha() for word in _WORD.findall(text)) <= _MOST_UNLISTED:
        return text
    return _WORD.sub(lambda match: " " if len(match[0]) == 1 and match[0].isalpha() else match[0], text)


def known_words(vocabulary: Vocabulary, check: Callable[[bytes], bytes | None]) -> Callable[[bytes], bytes | None]:
    """Return the check of a kept device text: the same bytes, what is known of them as ASCII, or None.

    Args:
        vocabulary: the words.
        check: what the value must look like anyway.
    """

    def one(raw: bytes) -> bytes | None:
        # Every byte is a character here: beyond ASCII nothing is known, whatever the character set.
        text = raw.decode("latin-1")
        return raw if vocabulary.knows(text) else vocabulary.known_of(text).encode("ascii", "ignore") or None

    return _each(one, check)


def known_terms(vocabulary: Vocabulary, check: Callable[[bytes], bytes | None]) -> Callable[[bytes], bytes | None]:
    """Return the check of a kept code string: values of known words stay, in capital letters; any other value goes."""
    values = _each(lambda raw: raw if vocabulary.knows(raw.decode("latin-1")) else None, check)
    return lambda raw: values(raw if (upper := raw.upper()) == raw else upper)


def _each(
    function: Callable[[bytes], bytes | None], check: Callable[[bytes], bytes | None]
) -> Callable[[bytes], bytes | None]:
    def values(raw: bytes) -> bytes | None:
        legal = check(raw)
        if legal is None:
            return None
        old = legal.split(b"\\")
        new = [function(value) for value in old]
        if new == old:
            return legal
        kept = [value or b"" for value in new]
        return b"\\".join(kept).rstrip(b" ") if any(kept) else None

    return values


@cache
def standard_words(name: Name) -> frozenset[str]:
    """Return the words of a vocabulary that come with the product."""
    file = load_yaml(Path(__file__).with_name("standard") / f"{name}.yaml")
    return frozenset(str(word).casefold() for word in file.data[name])
