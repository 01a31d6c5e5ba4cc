"""Whose text it is: a header that names another patient than the record means that one of them is wrong.

Only what is labelled counts, and only plain contradictions: a slip of the pen must not quarantine a report, and a letter may
name other people. NHS numbers are checked by their digit (NHS Data Dictionary: modulo 11).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from safelight.text import forms
from safelight.text.known import one_edit
from safelight.text.lexicon import alternatives
from safelight.text.naming import NameReader, Trust

if TYPE_CHECKING:
    from safelight.model import KnownIdentifiers
    from safelight.text.document import Document

#: Characters from the top in which a header is looked for.
_HEADER: Final = 1_000
_NHS: Final = re.compile(r"(?<![^\W_])nhs\W{0,3}(?:no|number|num|id)?\W{0,4}(?P<v>\d{3}[ .\-]?\d{3}[ .\-]?\d{4})(?!\d)")
_MRN: Final = re.compile(
    r"(?<![^\W_])(?:mrn|crn|hosp(?:ital)?\.?\s?(?:no|number)|unit no|(?:pt|patient) id)\W{0,4}"
    r"(?P<v>[a-z]{0,4}-?\d[\da-z\-]{3,})(?![^\W_])"
)
_NAME: Final = re.compile(
    rf"(?:^|\n|\|)[ \t]*(?:patient(?:'s)?(?: name)?|(?:full )?name|re)\s?[:=][ \t]{{0,4}}"
    rf"(?:(?:{alternatives('honorifics.txt')})\.?[ \t]+)?"
)


def is_nhs_number(digits: str) -> bool:
    """Tell whether ten digits are an NHS number by their check digit."""
    if len(digits) != 10 or not digits.isdigit():
        return False
    check = 11 - sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    return (0 if check == 11 else check) == int(digits[9])


def is_of_another(document: Document, known: KnownIdentifiers) -> bool:
    """Tell whether the header of a text plainly belongs to another patient than the record."""
    header = document.low[:_HEADER]
    own = "".join(c for c in known.nhs_number if c.isdigit())
    if is_nhs_number(own):
        numbers = ["".join(c for c in match["v"] if c.isdigit()) for match in _NHS.finditer(header)]
        # Two digits may be a slip; a valid number that differs in more is somebody else's.
        if any(is_nhs_number(n) and sum(a != b for a, b in zip(n, own, strict=True)) > 2 for n in numbers):
            return True
    return _other_mrn(header, known) and _other_name(document, header, known)


def _other_mrn(header: str, known: KnownIdentifiers) -> bool:
    own = {"".join(forms.words_of(value)).lstrip("0") for value in (known.mrn, *known.other_ids) if value.strip()}
    found = {"".join(forms.words_of(match["v"])).lstrip("0") for match in _MRN.finditer(header)}
    return bool(own and found) and not any(
        a == b or a.endswith(b) or b.endswith(a) or one_edit(a, b) for a in found for b in own
    )


def _other_name(document: Document, header: str, known: KnownIdentifiers) -> bool:
    own = set(forms.words_of(" ".join((known.given, known.middle, known.surname, known.previous_surname, known.preferred))))
    own.update(word for name in known.other_names for word in forms.words_of(name))
    reader = NameReader(document)
    for match in _NAME.finditer(header):
        if found := reader.read(match.end(), Trust.SURE):
            words = set(forms.words_of(document.low[slice(*found)]))
            if words and own and not any(a == b or one_edit(a, b) for a in words for b in own):
                return True
    return False
