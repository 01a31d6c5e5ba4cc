"""Names that the layout gives away: signatures, initials, ``Surname, Given``, HL7 components, typists' marks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from safelight.text.known import DECIDES
from safelight.text.lexicon import alternatives
from safelight.text.naming import ALSO_NAMES, CREDENTIALS, NAME_ENDS, STOP, NameReader, Trust
from safelight.text.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.text.document import Document

_NAME: Final = r"[^\W\d_][\w'\u2019\-]{1,40}"
_SIGNATURE_NEXT: Final = re.compile(rf"\s*\n\s*(?:{alternatives('signature_next.txt')})(?![^\W_])")
_SIGNATURE_BEFORE: Final = re.compile(
    r"(?:yours (?:sincerely|faithfully|truly)|(?:kind|best|warm) (?:regards|wishes)"
    r"|many thanks|with thanks|regards|signed),?\s*$"
)
_LINE_START: Final = re.compile(r"(?:^|\n)[ \t]*(?=[^\W\d_])")
_COMPONENT: Final = r"[^\W\d_]{1,40}(?:[ '\-][^\W\d_]{1,40}){0,4}"
_CARETS: Final = re.compile(
    rf"(?<![^\W_])(?P<v>{_COMPONENT}\^{_COMPONENT}(?:\^(?!(?:{alternatives('honorifics.txt')})(?![^\W_]))[^\W\d_]*){{0,3}})"
)
_REVERSED: Final = re.compile(rf"(?<![^\W_])(?P<last>{_NAME})\s?,[ \t]?(?P<first>{_NAME})")
_HEADED: Final = re.compile(
    r"(?:^|\n|\d[.)] )[ \t]*(?P<v>(?!(?:MR|MRS|MS|DR|PT|RE)\b)[A-Z\u00c0-\u00de\u0100-\u017d'\u2019\-]{2,},?[ ]"
    r"[^\W\d_a-z][\w'\u2019\-]+(?:[ ][A-Z][\w'\u2019\-]*)?)"
    r"(?=[ ]{1,2}\((?:[MFmf]\)|[A-Za-z]{0,4}-?\d)|[ ]{1,2}[MF][ ]{1,2}\d)"
)
_CELL: Final = re.compile(r"\|[ ]?(?P<v>[^\W\d_][^|\n\d]{2,40}?)[ ]?(?=\|)")
_OUR_REF: Final = re.compile(
    r"(?<![^\W_])(?:our|your)\s+ref\w*\W{1,3}(?P<a>[a-z]{2,4})(?:[/:.\-](?P<b>[a-z]{2,4})(?![^\W_]))?(?=[/:.\- \n]|$)"
)
_SLASHED: Final = re.compile(rf"(?:^|\n)[ \t]*(?P<name>{_NAME}(?:[ ]{_NAME})?)\s?[/:]\s?(?P<i>[a-z]{{2,3}})[ \t]*(?=\n|$)")
_TYPED_BY: Final = re.compile(
    r"(?<![^\W_])(?:typed|dictated|transcribed|typist|secretary)(?:(?:\s+by)?\s?:\s?|\s+by\s(?=[a-z]{2,3}/[a-z]{2,3}\b))(?P<a>[a-z]{2,3})(?:/(?P<b>[a-z]{2,3}))?(?![^\W_])"
)
_BY_INITIALS: Final = re.compile(
    rf"(?<![^\W_])(?:{alternatives('done_by.txt')})\s+(?:by|with|to)[:\s]\s?(?!(?:{alternatives('honorifics.txt')})\b)"
    r"(?P<i>[a-z]{2,3})(?![^\W_])"
    r"(?!\s?(?:team|consultant|registrar|protocol|sho|spr))"
)
#: Who signed with initials only: ``KM/fp`` alone on a line, ``amended 12/3/24 14:05 KM``.
_SIGNED_INITIALS: Final = re.compile(
    r"(?:^|\n)[ \t]*(?P<a>[a-z]{2,3})\s?/\s?(?P<b>[a-z]{2,3})[ \t]*(?=\n|$)"
    r"|(?<!\d)\d{1,2}:\d{2}(?::\d{2})?[ \t]{1,3}(?P<c>[a-z]{2,3})[ \t]*(?=\n|$)"
)
_STAMPED: Final = re.compile(r"\s*(?:\d|[,:.)\]]|on\s|at\s|\n|$)")
_INITIALLED: Final = re.compile(
    r"(?<![\w'\u2019/.&+\-])(?<!\d )"
    rf"(?P<i>(?:[A-Z](?P<dot>\.)[ ]?){{1,3}}|(?:[A-Z][ ]){{1,2}}|[A-Z]{{2}}[ ])(?P<name>{_NAME})"
)
_SEX: Final = re.compile(r"(?:old|yo|y/o|yr|sex|gender|\()[\s:]*$")
_SHORT_NAME: Final = 12_000


def find_laid_out(document: Document) -> Iterator[Span]:
    """Yield names by where they stand."""
    yield from _signatures(document)
    yield from _typists(document)
    yield from _initialled(document)
    for match in _CARETS.finditer(document.low):
        if _is_hl7_name(document, match["v"]):
            yield Span(*match.span("v"), "PATIENT_NAME", "layout:hl7", 0.8)
    for match in _HEADED.finditer(document.text):
        words = document.words_between(*match.span("v"))
        if any(document.lexicon.is_clinical(word.low) for word in words[:2]) or not any(
            word.length > 2 and (document.lexicon.is_foreign(word.low) or document.lexicon.is_given(word.low))
            for word in words[:2]
        ):
            continue
        yield Span(*match.span("v"), "PATIENT_NAME", "layout:headed", 0.75)
    for match in _CELL.finditer(document.low):
        if _is_name_cell(document, *match.span("v")):
            yield Span(*match.span("v"), "PATIENT_NAME", "layout:cell", 0.75)
    yield from _doing(document)
    for match in _REVERSED.finditer(document.low):
        if _is_reversed(document, match):
            yield Span(*match.span(), "CLINICIAN_NAME", "layout:reversed", 0.75)


def _signatures(document: Document) -> Iterator[Span]:
    """Yield names that stand alone on a line above a role or below a closing phrase."""
    low, reader = document.low, NameReader(document)
    for match in _LINE_START.finditer(low):
        start = match.end()
        line = low[start : document.line_of(start)[1]].rstrip(" ,.")
        words = [word for word in document.words_between(start, start + len(line)) if word.low not in CREDENTIALS]
        if not 1 < len(words) <= 5 or any(word.low in STOP for word in words[:2]):
            continue
        if not (_SIGNATURE_NEXT.match(low, start + len(line)) or _SIGNATURE_BEFORE.search(low, max(0, start - 60), start)):
            continue
        found = reader.read(start, Trust.SURE)
        if found is not None and not document.is_protected(*found):
            yield Span(*found, "CLINICIAN_NAME", "layout:signature", 0.8)


def _typists(document: Document) -> Iterator[Span]:
    """Yield the initials of who dictated and who typed: ``Our ref: AO/kp``, ``Rao/sr``, ``vetted by SS``."""
    low, text, lexicon = document.low, document.text, document.lexicon
    for match in _OUR_REF.finditer(low):
        for group in ("a", "b"):
            if match[group]:
                yield Span(*match.span(group), "INITIALS", "layout:our_ref", 0.86)
    for match in _SLASHED.finditer(low):
        names = match["name"].split()
        if names[0] not in STOP and all(
            lexicon.is_name(name) or lexicon.is_foreign(name) or name in ALSO_NAMES or lexicon.is_surname(name)
            for name in names
        ):
            yield Span(*match.span("name"), "CLINICIAN_NAME", "layout:typist", 0.8)
            yield Span(*match.span("i"), "INITIALS", "layout:typist", 0.8)
    for match in _TYPED_BY.finditer(low):
        for group in ("a", "b"):
            if match[group]:
                yield Span(*match.span(group), "INITIALS", "layout:typed", 0.86)
    for match in _SIGNED_INITIALS.finditer(low):
        for group in ("a", "b", "c"):
            # "CT/MR" alone on a line is a heading.
            if match[group] and not all(
                lexicon.is_clinical(i) and text[slice(*match.span(group))].isupper() for i in match.groups() if i
            ):
                yield Span(*match.span(group), "INITIALS", "layout:signed", 0.8)
    for match in _BY_INITIALS.finditer(low):
        written = text[slice(*match.span("i"))]
        word = document.caseless and match["i"] in lexicon.vocabulary.words and not _STAMPED.match(low, match.end())
        if (match["i"] not in STOP or written.isupper()) and (written.isupper() or document.caseless) and not word:
            yield Span(*match.span("i"), "INITIALS", "layout:by", 0.8)


def _initialled(document: Document) -> Iterator[Span]:
    """Yield an initial and a surname: ``S. Bone``, ``D Ward,``. Without a stop behind it, the initial is no article."""
    lexicon, text = document.lexicon, document.text
    for match in _INITIALLED.finditer(text):
        word = document.word_at(match.start("name"))
        initials = match["i"].replace(" ", "").replace(".", "").lower()
        if word is None or word.low in STOP or word.length < 2 or document.is_protected(word.start, word.end):
            continue
        if document.is_protected(match.start(), match.start() + 1):
            continue
        if (
            lexicon.is_clinical(initials)
            or (len(initials) > 1 and initials in STOP)
            or (initials in {"m", "f"} and _SEX.search(document.low, max(0, match.start() - 12), match.start()))
        ):
            continue
        if word.upper and not document.line_is_upper(word.start):
            continue
        foreign = lexicon.is_foreign(word.low) and not (lexicon.is_eponym(word.low) and not match["dot"])
        ends = NAME_ENDS.match(text, word.end) is not None
        surname = lexicon.is_surname(word.low, _SHORT_NAME if not match["dot"] else 10**9)
        everyday = (match["dot"] and not document.caseless) or (ends and not lexicon.is_clinical(word.low))
        if word.capital and (foreign or (surname and everyday)):
            yield Span(match.start(), word.end, "CLINICIAN_NAME", "layout:initial", 0.7)


def _doing(document: Document) -> Iterator[Span]:
    """Yield given names in front of what only a person does: ``Grace settled``, ``Ivy prefers``."""
    if document.caseless:
        return
    for match in DECIDES.finditer(document.low):
        words = document.words_between(max(0, match.start() - 24), match.start())
        if not words or words[-1].end != match.start():
            continue
        word = words[-1]
        if word.capital and word.low not in STOP and document.lexicon.is_given(word.low):
            yield Span(word.start, word.end, "PATIENT_NAME", "layout:doing", 0.7)


def _is_name_cell(document: Document, start: int, end: int) -> bool:
    """Tell whether a cell of a table, or of a header with bars, holds nothing but a name."""
    words, lexicon = document.words_between(start, end), document.lexicon
    if not 1 < len(words) < 5 or any(word.low in STOP or not (word.capital or document.caseless) for word in words):
        return False
    if document.is_protected(start, end) or any(lexicon.is_clinical(word.low) for word in words[:1]):
        return False
    return lexicon.is_given(words[0].low) and (lexicon.is_surname(words[-1].low) or lexicon.is_foreign(words[-1].low))


def _is_hl7_name(document: Document, written: str) -> bool:
    """Tell whether components of an HL7 field are a name's: ``SURNAME^GIVEN^MIDDLE``, and no code's."""
    parts = [part for part in written.split("^") if len(part) > 1]
    lexicon = document.lexicon
    if len(parts) < 2 or any(part in STOP or lexicon.is_clinical(part) for part in parts[:2]):
        return False
    return any(lexicon.is_given(part) or lexicon.is_foreign(part) for part in parts[:2]) and max(map(len, parts[:2])) > 3


def _is_reversed(document: Document, match: re.Match[str]) -> bool:
    """Tell whether ``Surname, Given`` is a name: capitals, one of them no word, and the second somebody's given name."""
    last, first = match["last"], match["first"]
    lexicon = document.lexicon
    if last in STOP or first in STOP or document.is_protected(*match.span()) or not lexicon.is_given(first):
        return False
    if lexicon.is_clinical(last) or lexicon.is_clinical(first):
        return False
    capitals = document.text[match.start("last")].isupper() and document.text[match.start("first")].isupper()
    if document.caseless or not capitals:
        return lexicon.is_foreign(last) and lexicon.is_foreign(first)
    if lexicon.is_foreign(last) or lexicon.is_foreign(first):
        return True
    return lexicon.is_surname(last, 5_000) and document.text[slice(*match.span("last"))].isupper()
