"""Values that look as if they point at a person, in a column that a profile keeps as it is.

A profile can only say what a column should hold. What it does hold is looked at when the rows are read: a value that is
an NHS number by its check digit, a postcode, an address of mail or a telephone, or free text, sets its row aside.

Sources: NHS Data Dictionary (NHS number, modulus 11), Royal Mail (postcode areas and letters), Ofcom (telephones).
"""

from __future__ import annotations

import re
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from safelight.text.identity import is_nhs_number
from safelight.text.lexicon import alternatives

#: More words than a name of something: somebody wrote a sentence.
LONGEST_WORDS: Final = 8
_AREAS: Final = alternatives("postcode_areas.txt")
_NUMBER: Final = re.compile(r"(?<!\d)(?<!\d\.)\d{3}[ \-]?\d{3}[ \-]?\d{4}(?!\d|\.\d)")
_LOOKS: Final = re.compile(
    rf"(?<![a-z0-9])(?:{_AREAS})\d[a-z\d]?\s?\d[abd-hjlnp-uw-z]{{2}}(?![a-z0-9])"
    r"|[\w.+-]{1,64}@[a-z0-9-]{1,63}\.[a-z0-9]"
    r"|(?<!\d)(?<!\d\.)(?:\+44|0044|0)[\s(]{0,2}\d(?:[\s\-()]{0,2}\d){8,9}(?!\d)",
    re.IGNORECASE,
)
_LOW, _HIGH = 1_000_000_000, 9_999_999_999


def points_at_person(text: str) -> bool:
    """Tell whether a value looks like an identifier, an address or free text. Time: a few microseconds."""
    if len(text.split()) > LONGEST_WORDS or _LOOKS.search(text):
        return True
    return any(is_nhs_number(re.sub(r"\D", "", found[0])) for found in _NUMBER.finditer(text))


def pointing(column: Any) -> Any:  # noqa: ANN401  pyarrow has no types
    """Return the mask of rows whose value looks as if it points at a person; each distinct value is looked at once.

    Of numbers only whole ones of ten digits are looked at, by their check digit.
    """
    if not pa.types.is_string(column.type):
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            return pa.repeat(pa.scalar(False), len(column))
        long = pc.fill_null(pc.and_(pc.greater_equal(column, _LOW), pc.less_equal(column, _HIGH)), False)
        if not pc.any(long).as_py():
            return long
        whole = pc.if_else(pc.and_(long, pc.equal(pc.floor(column), column)), column, pa.scalar(None, column.type))
        column = whole.cast(pa.int64()).cast(pa.string())
    coded = column.dictionary_encode()
    found = [points_at_person(value) for value in coded.dictionary.to_pylist()]
    if not any(found):
        return pa.repeat(pa.scalar(False), len(column))
    return pc.fill_null(pa.array(found, pa.bool_()).take(coded.indices), False)
