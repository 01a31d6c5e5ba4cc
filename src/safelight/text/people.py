"""Names that their surroundings give away: behind titles, roles and relations, in signatures, headers and HL7 segments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from safelight.text.lexicon import alternatives, read_set
from safelight.text.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.text.document import Document, Word

_B: Final = r"(?<![^\W_])"
_TITLES: Final = alternatives("titles.txt")
_FAMILY: Final = alternatives("family.txt")
_DONE: Final = alternatives("done_by.txt")
#: label, pattern over folded text whose end is where a name may begin, whether a lower-case word is taken too
_TRIGGERS: Final = tuple(
    (label, kind, re.compile(pattern))
    for label, kind, pattern in (
        ("CLINICIAN_NAME", "title", rf"{_B}(?:{_TITLES})(?:\.|\b)[ \t]{{0,3}}(?:\n[ \t]*)?"),
        (
            "RELATIVE_NAME",
            "family",
            rf"{_B}(?:{_FAMILY})(?:'s name is|\s(?:is\s)?(?:called|named))?[,:]?(?:\s|\s?\(){{1,2}}(?:is\s+)?",
        ),
        (
            "CLINICIAN_NAME",
            "role",
            rf"{_B}(?:{_DONE})(?:\s(?:over|back|through|verbally|directly|urgently|in person|today|case|findings|result|results|it))?\s{{1,3}}(?:by|with|to|from|at mdt with|at mdt by)[:,]?\s{{1,3}}(?:the\s)?",
        ),
        (
            "CLINICIAN_NAME",
            "role",
            rf"{_B}(?:d/w|dw|d\.w\.|c/o|o/b/o|p/p|pp|w/|per|attn|fao|f\.a\.o\.?|cc|c\.c\.|bcc)[:.]?\s{{1,3}}",
        ),
        (
            "CLINICIAN_NAME",
            "label",
            rf"{_B}(?:electronically signed|e-signed|signed|referrer|referring (?:clinician|doctor|consultant)|requester|requested by|referred by|requesting (?:clinician|consultant)|consultant|"
            r"reporter|reported by|radiologist|reporting radiologist|author|clinician|gp|operator|operators?|performer|performed by|chair|chaired by|present|apologies|attendees|in attendance|"
            r"secretary|dictated by|typed by|verified by|authori[sz]ed by|prepared by|checked by|copy to|copies to|cc|ref|named nurse|key worker|care co-?ordinator|radiographer|sonographer|anaesthetist|surgeon|assistant)"
            r"(?:\s?\((?:s|gp|cons)\))?\s?[:\-|=][ \t]{0,4}",
        ),
        (
            "PATIENT_NAME",
            "label",
            rf"{_B}(?:patient(?:'s)?(?: name)?|name|surname|forenames?|first name|last name|given name|family name|re|pt(?: name)?|known as|formerly(?: known as)?|aka|a\.k\.a\.|previously|nee|maiden name|alias|dear)\s?[:\-|=]?[ \t]{{1,4}}",
        ),
    )
)
_LIST: Final = re.compile(
    r"(?:\s?,\s?|\s?;\s?|\s?/\s?|\s&\s|\s\+\s|,?\s+and\s+|,?\s+or\s+|,?\s+with\s+)(?:(?:the\s)?(?:dr|mr|mrs|ms|miss|prof|sister|cns)\.?\s+)?"
)
_PARTICLES: Final = read_set("particles.txt")
_CREDENTIALS: Final = read_set("credentials.txt")
#: Words that stand where a name could and never are one. Function words, roles, departments, times, things.
_STOP: Final = read_set("no_names.txt")
_INITIAL: Final = re.compile(r"(?:[a-z]\.?[ \-]?){1,3}(?=[ \t]*[^\W\d_]{2})")
_SIGNATURE_NEXT: Final = re.compile(
    r"\s*\n\s*(?:(?:locum |honorary |senior |lead |chief )?(?:consultant|specialist|registrar|st\d|reporting|radiographer|clinical|fellow|gmc|hcpc|nmc|ct\d|fy\d|sho|spr|professor|head of|sonographer|advanced|staff|associate|nurse|secretary|dictated|pp|general practitioner|mbbs|frcr|frcs|mrcp|tel|radiologist|physician|surgeon|foundation))"
)
_SIGNATURE_BEFORE: Final = re.compile(
    r"(?:yours (?:sincerely|faithfully|truly)|(?:kind|best|warm) (?:regards|wishes)|many thanks|with thanks|regards|signed),?\s*$"
)
_CARETS: Final = re.compile(
    r"(?<![^\W_])(?P<v>[^\W\d_][^\W\d_'\-]*(?:[ '\-][^\W\d_]+)*\^[^\W\d_][^\W\d_'\-]*(?:[ '\-][^\W\d_]+)*(?:\^[^\W\d_]*){0,4})"
)
_REVERSED: Final = re.compile(r"(?<![^\W_])(?P<last>[^\W\d_][\w'\u2019\-]+)\s?,[ \t]?(?P<first>[^\W\d_][\w'\u2019\-]+)")
_OUR_REF: Final = re.compile(
    r"(?<![^\W_])(?:our|your)\s+ref\w*\W{1,3}(?P<a>[a-z]{2,4})(?:[/:.\-](?P<b>[a-z]{2,4})(?![^\W_]))?(?=[/:.\- \n]|$)"
)
_SLASHED: Final = re.compile(
    r"(?:^|\n)[ \t]*(?P<name>[^\W\d_][\w'\u2019\-]+(?:[ ][^\W\d_][\w'\u2019\-]+)?)\s?[/:]\s?(?P<i>[a-z]{2,3})[ \t]*(?=\n|$)"
)
_BY_INITIALS: Final = re.compile(
    rf"(?<![^\W_])(?:{_DONE})\s+(?:by|with|to)[:\s]\s?(?P<i>[a-z]{{2,3}})(?![^\W_])(?!\s?(?:team|consultant|registrar|protocol|sho|spr))"
)


class NameReader:
    """Reads a name that should begin at a place of a document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.lexicon = document.lexicon

    def read(self, position: int, *, sure: bool) -> tuple[int, int] | None:
        """Return the name that begins at ``position``, or None.

        Args:
            position: where to begin.
            sure: something in front says that a name follows, so any capitalised word may be one.
        """
        document = self.document
        low, text = document.low, document.text
        start = cursor = position
        taken: list[Word] = []
        initials = False
        while len(taken) < 4:
            word = document.word_at(cursor)
            if word is None:
                break
            single = word.length == 1 or (
                word.length == 2
                and word.upper
                and not document.caseless
                and low[word.end : word.end + 1] in " ."
                and not taken
            )
            if single and word.capital is not document.all_lower and self._more_follows(word):
                cursor = self._skip(word.end, dots=True)
                initials = True
                continue
            if word.low in _PARTICLES and self._more_follows(word) and (taken or word.capital or document.caseless):
                cursor = self._skip(word.end)
                continue
            if not self._acceptable(word, first=not taken, sure=sure or initials):
                break
            taken.append(word)
            cursor = self._skip(word.end)
            if text[word.end : cursor].count("\n") > 1 or (
                text[word.end : cursor].strip() and text[word.end : cursor].strip() not in {".", "-"}
            ):
                break
        if not taken:
            return None
        end = taken[-1].end
        trailing = re.compile(r"[ \t]([a-z])(?![^\W_'])").match(low, end)
        if trailing and text[trailing.start(1)].isupper() and not document.caseless:
            end = trailing.end()
        return start, end

    def _skip(self, position: int, *, dots: bool = False) -> int:
        match = re.compile(r"[.\s]{0,3}" if dots else r"[ \t]{0,2}\n?[ \t]{0,2}").match(self.document.text, position)
        return match.end() if match else position

    def _more_follows(self, word: Word) -> bool:
        words = self.document.words
        if word.index + 1 >= len(words):
            return False
        following = words[word.index + 1]
        between = self.document.text[word.end : following.start]
        return len(between) <= 3 and not between.strip(" .\n-'") and (following.capital or self.document.caseless)

    def _acceptable(self, word: Word, *, first: bool, sure: bool) -> bool:
        low, lexicon, document = word.low, self.lexicon, self.document
        if (
            low in _STOP
            or low in _CREDENTIALS
            or (lexicon.is_clinical(low) and not (sure and first and word.capital and lexicon.is_eponym(low)))
        ):
            return False
        named = lexicon.is_foreign(low) or lexicon.is_name(low, 30_000)
        if document.caseless:
            if first:
                return named or (sure and not lexicon.vocabulary.is_common(low))
            return lexicon.is_foreign(low) or lexicon.is_surname(low, 6_000)
        if not word.capital:
            return first and not sure and lexicon.is_foreign(low)
        return named or (sure and first) or (lexicon.is_eponym(low) and (sure or first))


def find_people(document: Document) -> Iterator[Span]:
    """Yield names by what stands around them."""
    reader = NameReader(document)
    for label, kind, pattern in _TRIGGERS:
        for match in pattern.finditer(document.low):
            yield from _after_trigger(document, reader, match, label, kind)
    yield from _signatures(document, reader)
    yield from _initials(document)
    for match in _CARETS.finditer(document.low):
        yield Span(*match.span("v"), "PATIENT_NAME", "people:hl7", 0.8)
    for match in _REVERSED.finditer(document.low):
        if _is_reversed(document, match):
            yield Span(*match.span(), "CLINICIAN_NAME", "people:reversed", 0.75)


def _after_trigger(document: Document, reader: NameReader, match: re.Match[str], label: str, kind: str) -> Iterator[Span]:
    text, low = document.text, document.low
    position = match.end()
    if kind == "title":
        word = low[match.start() : match.end()].strip(" .\n")
        label = "PATIENT_NAME" if word in {"mr", "mrs", "ms", "miss", "master", "mx"} else label
    found = reader.read(position, sure=kind in {"title", "label"})
    if found is None and kind == "role" and not document.caseless:
        found = _lower_case_name(document, position)
    count = 0
    while found is not None and count < 8:
        start, end = found
        yield Span(start, end, label, f"people:{kind}", 0.8 if kind != "title" else 0.85)
        count += 1
        if kind == "title" and count:
            label = "CLINICIAN_NAME" if label == "CLINICIAN_NAME" else label
        following = _LIST.match(low, end) if kind in {"role", "label", "title"} else None
        found = None
        if following is not None and text[end : following.end()].count("\n") <= 1:
            found = reader.read(following.end(), sure=kind == "label" and document.text[end : end + 1] == ",")
            if found is not None and not document.caseless and not text[found[0]].isupper():
                found = None


def _lower_case_name(document: Document, position: int) -> tuple[int, int] | None:
    """Return a name typed in lower case behind a role phrase: ``dw price, she will``, ``dw mutasa-sowerby``."""
    word = document.word_at(position)
    if word is None or word.capital or word.low in _STOP or word.length < 3 or document.lexicon.is_clinical(word.low):
        return None
    after = document.low[word.end : word.end + 12]
    ends = not after.strip() or re.match(r"\s?(?:[,.;)(]|\n|who|she|he|and|at|on|bleep|ext|re|about)", after)
    foreign = document.lexicon.is_foreign(word.low)
    if foreign or (ends and document.lexicon.is_name(word.low, 20_000)):
        second = document.words[word.index + 1] if word.index + 1 < len(document.words) else None
        if second and second.start - word.end == 1 and not second.capital and document.lexicon.is_foreign(second.low):
            return word.start, second.end
        return word.start, word.end
    return None


def _signatures(document: Document, reader: NameReader) -> Iterator[Span]:
    """Yield names that stand alone on a line above a role or below a closing phrase."""
    low = document.low
    for match in re.finditer(r"(?:^|\n)[ \t]*(?=[^\W\d_])", low):
        start = match.end()
        _, end = document.line_of(start)
        line = low[start:end].rstrip(" ,.")
        words = [word for word in document.words_between(start, start + len(line)) if word.low not in _CREDENTIALS]
        if not 1 < len(words) <= 5 or any(word.low in _STOP for word in words[:2]):
            continue
        signed = _SIGNATURE_NEXT.match(low, start + len(line)) or _SIGNATURE_BEFORE.search(low[:start])
        if signed and (found := reader.read(start, sure=True)) and not document.is_protected(*found):
            yield Span(*found, "CLINICIAN_NAME", "people:signature", 0.8)


def _initials(document: Document) -> Iterator[Span]:
    low, text = document.low, document.text
    for match in _OUR_REF.finditer(low):
        for group in ("a", "b"):
            if match[group]:
                yield Span(*match.span(group), "INITIALS", "people:our_ref", 0.8)
    for match in _SLASHED.finditer(low):
        name = match["name"].split()
        if (
            all(document.lexicon.is_name(word) or document.lexicon.is_foreign(word) for word in name)
            and name[0] not in _STOP
        ):
            yield Span(*match.span("name"), "CLINICIAN_NAME", "people:slashed", 0.8)
            yield Span(*match.span("i"), "INITIALS", "people:slashed", 0.8)
    for match in _BY_INITIALS.finditer(low):
        written = text[slice(*match.span("i"))]
        if (
            written.lower() not in _STOP
            and (written.isupper() or document.caseless)
            and not (document.caseless and written.lower() in document.lexicon.vocabulary.words)
        ):
            yield Span(*match.span("i"), "INITIALS", "people:by", 0.8)


def _is_reversed(document: Document, match: re.Match[str]) -> bool:
    """Tell whether ``Surname, Given`` is a name: capitals, one of them no word, and the second somebody's given name."""
    last, first = match["last"], match["first"]
    lexicon = document.lexicon
    if last in _STOP or first in _STOP or document.is_protected(*match.span()) or not lexicon.is_given(first):
        return False
    if lexicon.is_clinical(last) or lexicon.is_clinical(first):
        return False
    capitals = document.text[match.start("last")].isupper() and document.text[match.start("first")].isupper()
    if document.caseless or not capitals:
        return lexicon.is_foreign(last) and lexicon.is_foreign(first)
    return (
        lexicon.is_foreign(last)
        or lexicon.is_foreign(first)
        or (lexicon.is_surname(last, 5_000) and document.text[slice(*match.span("last"))].isupper())
    )
