"""Which words are words. A token that no vocabulary holds is probably a name; one that everybody uses is none by itself."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from safelight.text.folding import fold_word

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Vocabulary:
    """Folded words. ``common`` are those of everyday use; ``words`` are all, the common ones among them."""

    words: frozenset[str]
    common: frozenset[str]

    def __contains__(self, word: str) -> bool:
        """Tell whether the word, in any case and accents, is known."""
        return fold_word(word) in self.words

    def is_common(self, word: str) -> bool:
        """Tell whether the word, alone, says nothing about who is meant."""
        return fold_word(word) in self.common

    def with_words(self, words: Iterable[str]) -> Vocabulary:
        """Return a vocabulary that also holds a site's own words."""
        extra = {fold_word(word) for word in words}
        return self if extra <= self.words else Vocabulary(self.words | extra, self.common)

    def fingerprint(self) -> str:
        """Return the SHA-256 of all words, in hexadecimal."""
        text = "\n".join(sorted(self.words)) + "\0" + "\n".join(sorted(self.common))
        return hashlib.sha256(text.encode()).hexdigest()


def read_ranked(name: str) -> list[str]:
    """Return one packaged list in its order."""
    return gzip.decompress((files("safelight.text.words") / name).read_bytes()).decode().split()


def read_words(name: str) -> frozenset[str]:
    """Return one packaged list."""
    return frozenset(read_ranked(name))


@cache
def standard_vocabulary() -> Vocabulary:
    """Return the packaged vocabulary: everyday and rarer English. Read once (about 0.1 s, 12 MB)."""
    common = read_words("common.txt.gz")
    return Vocabulary(common | read_words("english.txt.gz"), common)
