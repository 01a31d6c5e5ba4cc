"""Names behind titles, posts, relations, labels and the phrases of who did what with whom."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from safelight.text.lexicon import alternatives
from safelight.text.naming import ALSO_NAMES, STOP, NameReader, Trust
from safelight.text.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.text.document import Document

_B: Final = r"(?<![^\W_])"
_ADVERBS: Final = rf"(?:\s(?:{alternatives('adverbs.txt')}))?"
#: label, kind, how sure, pattern over folded text whose end is where a name may begin
_TRIGGERS: Final = tuple(
    (label, kind, trust, re.compile(pattern))
    for label, kind, trust, pattern in (
        (
            "CLINICIAN_NAME",
            "title",
            Trust.TITLE,
            rf"{_B}(?:dr|drs|doctor|prof|professor|mrs|ms|miss|mx)(?:\.|\b)[ \t]{{0,3}}(?:\n[ \t]*)?",
        ),
        (
            "CLINICIAN_NAME",
            "title",
            Trust.SURE,
            rf"{_B}(?:{alternatives('honorifics.txt')})(?:\.|\b)[ \t]{{0,3}}(?:\n[ \t]*)?",
        ),
        ("CLINICIAN_NAME", "post", Trust.LIKELY, rf"{_B}(?:{alternatives('posts.txt')})\b[,:]?[ \t]{{1,3}}(?:\n[ \t]*)?"),
        (
            "RELATIVE_NAME",
            "family",
            Trust.LIKELY,
            rf"{_B}(?:{alternatives('family.txt')})(?:'s name is|\s(?:is\s)?(?:called|named))?[,:]?"
            r"(?:\s|\s?\(){1,2}(?:is\s+)?",
        ),
        (
            "CLINICIAN_NAME",
            "role",
            Trust.LIKELY,
            rf"{_B}(?:{alternatives('done_by.txt')}){_ADVERBS}\s{{1,3}}(?:by|with|to|from)[:,]?\s{{1,3}}(?:the\s)?",
        ),
        ("CLINICIAN_NAME", "by", Trust.LIKELY, rf"{_B}(?:by|with)[:,]?\s{{1,3}}"),
        ("CLINICIAN_NAME", "told", Trust.LIKELY, rf"{_B}(?:{alternatives('told.txt')})\s{{1,3}}"),
        ("CLINICIAN_NAME", "told", Trust.LIKELY, r"(?:#|\bbleep|\bext)\W{0,3}\d{3,6}\s?\("),
        ("CLINICIAN_NAME", "mark", Trust.LIKELY, rf"{_B}(?:d/w|dw|d\.w\.|w/|discussed with)[:.]?\s{{1,3}}"),
        (
            "CLINICIAN_NAME",
            "role",
            Trust.LIKELY,
            rf"{_B}(?:{alternatives('role_marks.txt')})[:.]?\s{{1,3}}",
        ),
        (
            "CLINICIAN_NAME",
            "label",
            Trust.SURE,
            rf"{_B}(?:{alternatives('staff_labels.txt')})(?:\s?\((?:s|gp|cons)\))?\s?[:\-|=][ \t]{{0,4}}(?:\n(?=\w))?",
        ),
        ("CLINICIAN_NAME", "addendum", Trust.SURE, rf"{_B}addendum\s?(?:by\s)?\(?"),
        ("PATIENT_NAME", "label", Trust.SURE, rf"{_B}(?:{alternatives('patient_labels.txt')})\s?[:|=][ \t]{{0,4}}"),
        ("PATIENT_NAME", "called", Trust.LIKELY, rf"{_B}(?:{alternatives('patient_labels.txt')})[ \t]{{1,4}}"),
    )
)
_LIST: Final = re.compile(
    r"(?:\s?,\s?|\s?;\s?|\s?/\s?|\s&\s|\s\+\s|,?\s+and\s+|,?\s+or\s+|,?\s+with\s+)"
    rf"(?:(?:the\s)?(?:{alternatives('honorifics.txt')}|cns|sister|nurse)\.?\s+)?"
)
_LOWER_ENDS: Final = re.compile(
    r"\s?(?:[,.;)(]|\n|$|who\b|she\b|he\b|and\b|at\b|on\b|bleep|ext\b|re\b|about\b|agree|advise|will\b|to\b)"
)
_PRONOUN: Final = re.compile(r",\s(?:she|he|who|they)\b")
#: Titles that are also words or names of other things; with a capital and without a stop they are titles.
_WORDS_TOO: Final = frozenset(
    "lady lord dame sir master major maj canon col capt captain fr sr lt sn rn wpc pc sheikh imam rabbi".split()  # noqa: SIM905
)
_PATIENT_TITLES: Final = frozenset({"mr", "mrs", "ms", "miss", "master", "mx"})


def find_people(document: Document) -> Iterator[Span]:
    """Yield names by what stands in front of them, and the names that are listed behind the first."""
    reader = NameReader(document)
    for label, kind, trust, pattern in _TRIGGERS:
        for match in pattern.finditer(document.low):
            yield from _after(document, reader, match, label, kind, trust)


def _after(
    document: Document, reader: NameReader, match: re.Match[str], label: str, kind: str, trust: Trust
) -> Iterator[Span]:
    if kind == "title" and match.group().strip(" .\n") in _PATIENT_TITLES:
        label = "PATIENT_NAME"
    if kind == "title" and _is_word_here(document, match):
        return
    if kind == "label" and match.group().endswith("\n") and not document.is_wrapped(match.start()):
        return
    found = reader.read(match.end(), trust)
    if found is None and kind in {"role", "mark"} and not document.caseless:
        found = _lower_case(document, match.end(), sure=kind == "mark")
    if found is not None and kind == "by" and not _is_telling(document, *found):
        return
    score = 0.85 if kind == "title" else 0.8
    for _ in range(8):
        if found is None:
            return
        yield Span(*found, label, f"people:{kind}", score)
        if kind in {"family", "called", "addendum"}:
            return
        following = _LIST.match(document.low, found[1])
        if following is None or document.text[found[1] : following.end()].count("\n") > 1:
            return
        found = reader.read(following.end(), Trust.LIKELY)
        if found is not None and not document.caseless and not document.text[found[0]].isupper():
            return


def _is_word_here(document: Document, match: re.Match[str]) -> bool:
    """Tell whether a title that is also a word is the word here: ``a 95 year old lady. Hepatic steatosis``."""
    title = match.group().strip(" .\n\t")
    if title == "mr" and not document.caseless and document.text[match.start() : match.start() + 2] == "MR":
        # "MR Angiogram", "MR Head": a modality, unless what follows can only be a name.
        word = document.word_at(match.end())
        return word is not None and not document.lexicon.is_foreign(word.low)
    if title not in _WORDS_TOO:
        return False
    return document.caseless or not document.text[match.start()].isupper() or "." in match.group()


def _is_telling(document: Document, start: int, end: int) -> bool:
    """Tell whether words are a name even where little says so: two of them, or one that is no word."""
    words = document.words_between(start, end)
    return len(words) > 1 or any(document.lexicon.is_foreign(word.low) for word in words)


def _lower_case(document: Document, position: int, *, sure: bool) -> tuple[int, int] | None:
    """Return a name typed in lower case behind a role phrase: ``dw price, she will``, ``dw mutasa-sowerby``."""
    word, lexicon = document.word_at(position), document.lexicon
    if word is None or word.capital or word.low in STOP or word.length < 3:
        return None
    pronoun = _PRONOUN.match(document.low, word.end) and (word.low in ALSO_NAMES or lexicon.is_surname(word.low))
    foreign = lexicon.is_foreign(word.low) and not lexicon.is_eponym(word.low)
    named = lexicon.is_name(word.low, 20_000) and word.low not in ALSO_NAMES
    if sure:
        named = (word.low in ALSO_NAMES or lexicon.is_name(word.low)) and not lexicon.is_clinical(word.low)
    ends = _LOWER_ENDS.match(document.low, word.end) and named
    if not (pronoun or foreign or ends):
        return None
    words = document.words
    if word.index + 1 < len(words):
        second = words[word.index + 1]
        if second.start - word.end == 1 and not second.capital and lexicon.is_foreign(second.low):
            return word.start, second.end
    return word.start, word.end
