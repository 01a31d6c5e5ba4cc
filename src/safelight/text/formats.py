"""Identifiers that have a form: numbers of the NHS and of registers, telephones, postcodes, addresses of machines and mail.

Sources: NHS Data Dictionary (NHS number, check digit modulo 11), HMRC (National Insurance number), Royal Mail (postcode
areas and letters), ITU-T E.123 and Ofcom (telephones), NMC, HCPC and GMC (register numbers), PS3.5 chapter 9 (UIDs).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from safelight.text.lexicon import alternatives
from safelight.text.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.text.document import Document
    from safelight.text.site import IdFormat

_AREAS: Final = alternatives("postcode_areas.txt")
_B: Final = r"(?<![^\W_])"
_E: Final = r"(?![^\W_])"
_NO: Final = r"\W{0,3}(?:(?:no|number|num|id|ref|pin|reg|reference)\b)?\W{0,4}"
#: label, source, pattern over folded text; the group ``v``, or all of it, is the span.
_PATTERNS: Final = tuple(
    (label, source, re.compile(pattern))
    for label, source, pattern in (
        ("EMAIL", "email", r"(?<![\w.+\-'])[\w.+\-']{1,64}\s?@\s?[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){1,8}"),
        ("URL", "url", r"(?:https?|ftp|file)://[^\s<>\"']+|www\.[^\s<>\"']+"),
        ("URL", "path", rf"{_B}[a-z]:\\[^\s\"']+|\\\\[\w.\-]+\\[^\s\"']+|(?<![\w/.])/(?:[\w.\-]+/){{2,}}[\w.\-]*"),
        ("OTHER_ID", "uid", r"(?<![\d.])[012](?:\.\d+){5,}"),
        ("OTHER_ID", "blob", rf"{_B}[a-z0-9+/]{{40,}}={{0,2}}"),
        ("OTHER_ID", "ip", r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"),
        ("OTHER_ID", "mac", rf"{_B}[0-9a-f]{{2}}(?::[0-9a-f]{{2}}){{5}}{_E}"),
        ("NHS_NO", "nhs", r"(?<!\w)(?<!\w[\-/.])\d{3}[ .\-\u2010-\u2015]?\d{3}[ .\-\u2010-\u2015]?\d{4}(?!\d)"),
        ("NHS_NO", "nhs_context", rf"{_B}(?:nhs|chi|h&c){_NO}(?P<v>\d[\d \-.]{{5,13}}\d)(?!\d)"),
        ("OTHER_ID", "nino", rf"{_B}[a-ceghj-prtqw-z][a-z]\s?\d{{2}}\s?\d{{2}}\s?\d{{2}}\s?[a-d]{_E}"),
        ("GMC", "register", rf"{_B}(?:gmc|hcpc|nmc|gphc|gdc|hpc|sor|rcr){_NO}(?P<v>[a-z]{{0,3}}\d[\da-z]{{3,8}}){_E}"),
        ("GMC", "nmc", rf"{_B}\d{{2}}[a-ly]\d{{4}}[a-z]{_E}"),
        ("GMC", "hcpc", rf"{_B}(?:ra|ph|oda|dt|cs|bs)\d{{5,6}}{_E}"),
        (
            "PHONE",
            "phone",
            r"(?<![\d.])(?!\d\d[.\-\s]\d\d?[.\-\s](?:19|20)\d\d(?!\d))(?:(?:\+|00)44[\s\-.]?(?:\(0\))?[\s\-.]?\d|\(?0\d)(?:[\s\-.()]{0,2}\d){7,9}(?!\d|:\d)",
        ),
        ("PHONE", "international", r"(?<![\d.])\+[1-9]\d{0,2}(?:[\s\-.()]{0,2}\d){7,11}(?!\d)"),
        (
            "PHONE",
            "phone_context",
            rf"{_B}(?:tel|telephone|phone|mobile|mob|fax|helpline|switchboard)\.?{_NO}"
            r"(?P<v>[+(]?\d[\d ()\-.]{3,16}\d)(?!\d)",
        ),
        (
            "PHONE",
            "extension",
            rf"{_B}(?:(?:ext|extn|extension)\W{{0,3}}(?:no\W{{0,2}})?#?(?P<v>\d{{2,6}})"
            r"|(?:(?<!\d )|(?<=\d{4} ))x(?P<w>\d{3,6}))"
            r"(?!\d|\.\d|\s?(?:mm|cm|mg|ml))",
        ),
        (
            "BLEEP",
            "bleep",
            rf"{_B}(?:bleep(?:ed)?|blp|bp|pager?d?|aircall|dect|vocera|via|on|to)?\W{{0,3}}(?:bleep|blp|pager|page|dect|aircall|bleeped)"
            rf"(?:\s(?:to|on|is))?{_NO}#?(?P<v>\d{{3,6}})(?!\d)",
        ),
        ("BLEEP", "hash", r"(?<!\w)#\s?(?P<v>\d{3,6})(?!\d)"),
        (
            "POSTCODE",
            "postcode",
            rf"{_B}(?:{_AREAS})\d(?:\d|[a-z])?[\s\-]{{0,3}}\d[abd-hjlnp-uw-z]{{2}}{_E}|{_B}gir\s?0aa{_E}",
        ),
        (
            "MRN",
            "mrn_context",
            rf"{_B}(?:mrn|crn|hosp(?:ital)?\.?|unit|patient|pt|case\s?note|pas|k)\W{{0,2}}(?:no|number|num|id)\b"
            rf"\W{{0,4}}(?P<v>[a-z]{{0,4}}[\-/ ]?\d[\da-z\-/]{{2,}}){_E}",
        ),
        ("MRN", "mrn_word", rf"{_B}mrn{_NO}(?P<v>[a-z]{{0,4}}\-?\d[\da-z\-/]{{2,}}){_E}"),
        (
            "ACCESSION",
            "accession_context",
            rf"{_B}(?:accession|acc|order|request|exam|study|report|episode)\W{{0,2}}(?:no|number|num|id|ref)\b\W{{0,4}}(?P<v>[a-z\-]{{0,5}}\d[\da-z\-/]{{3,}}){_E}",
        ),
        (
            "OTHER_ID",
            "specimen",
            rf"{_B}(?:path(?:ology)?|histo(?:logy)?|specimen|lab|cyto(?:logy)?|serial|device|implant|passport|licence|license|"
            rf"visa|account|invoice|trial|subject|study|badge|locker|prisoner|service|police|prison|crime|log)\W{{0,2}}(?:no|number|num|id|serial|ref)\b"
            rf"\W{{0,4}}(?P<v>(?=[a-z\-/]{{0,8}}\d)[a-z\d][\da-z\-/]{{3,}}){_E}",
        ),
        ("OTHER_ID", "device", rf"{_B}(?:s/?n|serial){_NO}(?P<v>(?=[a-z\-]*\d)[a-z\d\-]{{5,}}){_E}"),
        (
            "OTHER_ID",
            "plate",
            rf"{_B}(?:reg(?:istration)?|vehicle|car|plate|driving|van|vrm)\b[^\n]{{0,24}}?\s?(?P<v>{_B}[a-z]{{2}}\d{{2}}\s?[a-z]{{3}}{_E})",
        ),
    )
)
_MANY_DIGITS: Final = re.compile(r"(?<![\w.])(?=[a-z\-/_]{0,24}\d)[a-z\d](?:[a-z\d]|[\-/_](?=[a-z\d]))*[a-z\d](?![\w])")
_SIZE: Final = re.compile(r"\d+(?:x\d+)+[a-z]{0,3}|(?:\d{2,3}/){2,}\d{2,3}|\d{1,4}[-\u2013]\d{1,4}(?:[a-z]{1,3})?")
_AGE: Final = re.compile(
    r"(?<![\d./\-])(?P<v>9\d|1[01]\d)(?:[\s\-]{0,2}(?:years?|yrs?|y)[\s\-]{0,2}(?:old|o)?(?![^\W_])|\s?y/?o(?![^\W_])|\s?/\s?(?:m|f)(?![^\W_])|\s?[mf](?![^\W_]))"
    r"|(?<![^\W_])(?:aged?|age:)\s{0,2}(?P<w>9\d|1[01]\d)(?!\d|\s?(?:mm|cm|ml|mg|%))"
)
_NO_POSTCODE: Final = re.compile(r"\d(?:ng|ug|dl|ul|nl|pg|gy|st|nd|rd|th|hu)$")
#: What stands in front of a number decides what a many-digit token is called.
_CALLED: Final = (
    (re.compile(r"(?:mrn|unit|hosp|pt id|patient|pid|filed under|quote|crn)[^\n]{0,14}$"), "MRN"),
    (re.compile(r"(?:acc|ref|report|exam|order|obr)[^\n]{0,14}$"), "ACCESSION"),
)


def find_formats(document: Document) -> Iterator[Span]:
    """Yield identifiers by their form."""
    low, text = document.low, document.text
    for label, source, pattern in _PATTERNS:
        for match in pattern.finditer(low):
            start, end = match.span(match.lastgroup or 0)
            if source == "postcode" and _is_unit(text[start:end]):
                continue
            # A name inside an address of mail or of a machine is a part of it.
            yield Span(start, end, label, f"format:{source}", 1.15 if label in {"EMAIL", "URL"} else 0.9)
    for match in _AGE.finditer(low):
        start, end = match.span("v") if match["v"] else match.span("w")
        yield Span(start, end, "AGE90", "format:age", 0.9)
    for match in _MANY_DIGITS.finditer(low):
        token = match.group()
        if sum(c.isdigit() for c in token) >= 6 and not _SIZE.fullmatch(token):
            before = low[max(0, match.start() - 30) : match.start()]
            label = next((name for pattern, name in _CALLED if pattern.search(before)), "OTHER_ID")
            yield Span(match.start(), match.end(), label, "format:digits", 0.7)


def _is_unit(written: str) -> bool:
    """Tell whether a would-be postcode is a level and a measure or ordinal: ``L4 5ng``, ``S1 2nd``.

    In a postcode all letters have one case.
    """
    return bool(_NO_POSTCODE.search(written)) and any(c.isupper() for c in written)


class SiteFormats:
    """Formats of one hospital.

    Args:
        formats: from the site's files.
    """

    def __init__(self, formats: list[IdFormat]) -> None:
        self._patterns = [(one.label, re.compile(rf"{_B}(?:{one.pattern}){_E}", re.IGNORECASE)) for one in formats]

    def find(self, document: Document) -> Iterator[Span]:
        """Yield identifiers in the site's own formats."""
        for label, pattern in self._patterns:
            for match in pattern.finditer(document.text):
                yield Span(*match.span(), label, "site:format", 0.95)
