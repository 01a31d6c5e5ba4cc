"""Rebuild the word lists of this folder from their sources: ``python -m safelight.text.words.build OUT SMALL MIDDLE LARGE``.

The sources are SCOWL's British word lists as Debian ships them (``/usr/share/dict/british-english-small``,
``british-english`` and ``british-english-large`` of the packages wbritish-small, wbritish and wbritish-large,
2020.12.07). Their licence is permissive; ``SCOWL.txt`` beside this file holds it. Only words in lower case are kept: a
capitalised entry of a spelling list is a name.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from safelight.text.folding import fold_word


def lower_case_words(path: Path) -> set[str]:
    """Return the folded words of one list that it spells in lower case, without possessives."""
    words = path.read_text(encoding="utf-8").split()
    return {fold_word(word) for word in words if word == word.lower() and not word.endswith("'s") and word.isalpha()}


def write(path: Path, words: set[str]) -> None:
    """Write a list so that the same words give the same bytes."""
    path.write_bytes(gzip.compress(("\n".join(sorted(words)) + "\n").encode(), 9, mtime=0))


def main(out: str, small: str, middle: str, large: str) -> None:
    """Write ``common.txt.gz`` (everyday words) and ``english.txt.gz`` (the others)."""
    common = lower_case_words(Path(small))
    write(Path(out) / "common.txt.gz", common)
    write(Path(out) / "english.txt.gz", (lower_case_words(Path(middle)) | lower_case_words(Path(large))) - common)


if __name__ == "__main__":
    main(*sys.argv[1:])
