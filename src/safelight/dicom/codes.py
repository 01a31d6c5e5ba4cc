"""Coded entries (PS3.3 section 8): a standard terminology's code comes out with the standard's meaning.

A site's own code, and a meaning that somebody typed, can name anybody. Such an entry is replaced as a whole, so that
sequences that must have an item keep one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from safelight.dicom.charset import decode
from safelight.dicom.values import element

CODE_VALUE: Final = 0x00080100
SCHEME: Final = 0x00080102
SCHEME_VERSION: Final = 0x00080103
MEANING: Final = 0x00080104
LONG_VALUE: Final = 0x00080119
CODE_TAGS: Final = frozenset((CODE_VALUE, SCHEME, SCHEME_VERSION, MEANING, LONG_VALUE))


class Code(NamedTuple):
    """One coded entry, as text."""

    value: str
    scheme: str
    version: str
    meaning: str


#: What stands for an entry that may not come out. Schemes that begin with 99 are private by definition (PS3.3 8.2).
REMOVED: Final = Code("REMOVED", "99SAFELIGHT", "", "Removed")
UNTOLD: Final = "Meaning not shown"
#: Longer ones can be a birth date in any of its forms, or a number of somebody's.
_VERSION = re.compile(r"\d{1,2}(?:\.\d{1,2}(?:\.\d)?)?", re.ASCII)
#: Where versions are dates, those on which releases come out: of the International and of the US Edition (SNOMED CT).
_RELEASES: Final = {"SCT": re.compile(r"20\d\d(?:0131|0731|0301|0901)", re.ASCII)}
_SNOMED_RT = re.compile(r"[A-Z][0-9A-F]?-[0-9A-F]{4,5}")
_DICOM = re.compile(r"1(?:09|1\d|2\d|3\d)\d{3}")
_RADLEX = re.compile(r"RID\d{1,6}")
_UNIT = (
    r"(?:[YZEPTGMkhdcmunpfa]?(?:g|m|s|L|l|Hz|Bq|Ci|Gy|Sv|V|A|W|J|K|T|mol|rad|eV|Pa|min|h|d|wk|mo|deg|Cel)|%|1|10\*-?\d{1,2})"
)
_UCUM = re.compile(rf"/?{_UNIT}(?:\d|-\d)?(?:[./]{_UNIT}(?:\d|-\d)?){{0,4}}")


@cache
def _standard() -> dict[str, dict[str, str]]:
    """Return scheme -> code -> meaning of every concept in PS3.16, from pydicom's tables."""
    from pydicom.sr._concepts_dict import concepts
    from pydicom.sr._snomed_dict import mapping

    found: dict[str, dict[str, str]] = {}
    for scheme, names in concepts.items():
        table = found.setdefault(scheme, {})
        for codes in names.values():
            for value, (meaning, _) in codes.items():
                table.setdefault(value, meaning)
    snomed = found["SCT"]
    found["SRT"] = {old: snomed[new] for old, new in mapping["SRT"].items() if new in snomed}
    return found


def _meaning(code: Code, label: Callable[[str], str]) -> str:
    """Return a meaning that the standard has or that the vocabulary allows."""
    return label(code.meaning) or UNTOLD


def clean_code(code: Code, label: Callable[[str], str]) -> Code:
    """Return the entry as it may come out.

    Args:
        code: the entry as the file has it, stripped.
        label: keeps the words of the closed vocabulary of a text.
    """
    scheme = "SRT" if code.scheme in ("SNM3", "99SDM") else code.scheme
    version = code.version if _released(scheme, code.version) else ""
    known = _standard().get(scheme, {}).get(code.value)
    if known is not None:
        # A display name of known words may stay: the standard's own is often the long one of the terminology.
        same = code.meaning.casefold() == known.casefold() or (code.meaning and label(code.meaning) == code.meaning)
        told = code.meaning if same else known
        # A standard's meaning can be longer than LO allows.
        return Code(code.value, code.scheme, version, told[:64].strip())
    legal = _LEGAL.get(scheme)
    if legal is None or not legal(code.value):
        return REMOVED
    return Code(code.value, code.scheme, version, code.value if scheme == "UCUM" else _meaning(code, label))


def _released(scheme: str, version: str) -> bool:
    releases = _RELEASES.get(scheme)
    return bool(_VERSION.fullmatch(version) or (releases and releases.fullmatch(version)))


#: An entry's encoded elements, whether they say what the file said, and its scheme and code as the file has them.
Entry = tuple[dict[int, bytes], bool, tuple[str, str]]


def clean_entry(coded: dict[int, bytes], charset: tuple[str, ...] | None, label: Callable[[str], str]) -> Entry:
    """Return what comes of the elements of a coded entry."""
    text = {tag: decode(raw, charset).strip(" \0") for tag, raw in coded.items()}
    value = text.get(CODE_VALUE) or text.get(LONG_VALUE, "")
    code = Code(value, text.get(SCHEME, ""), text.get(SCHEME_VERSION, ""), text.get(MEANING, ""))
    clean = clean_code(code, label)
    return encode_code(clean, long_value=CODE_VALUE not in coded), clean == code, (code.scheme, code.value)


def encode_code(code: Code, *, long_value: bool) -> dict[int, bytes]:
    """Return the encoded elements of an entry by tag."""
    tag, vr = (LONG_VALUE, b"UC") if long_value and code is not REMOVED else (CODE_VALUE, b"SH")
    found = {
        tag: element(tag, vr, code.value.encode("ascii")),
        SCHEME: element(SCHEME, b"SH", code.scheme.encode("ascii")),
        MEANING: element(MEANING, b"LO", code.meaning.encode("ascii", "replace")),
    }
    if code.version:
        found[SCHEME_VERSION] = element(SCHEME_VERSION, b"SH", code.version.encode("ascii"))
    return found


_PRODUCT: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
_PERMUTATION: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7), (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)  # fmt: skip


def verhoeff(digits: str) -> bool:
    """Tell whether a SNOMED CT identifier's check digit fits (SNOMED CT Release File Specifications, 6.3)."""
    check = 0
    for index, digit in enumerate(reversed(digits)):
        check = _PRODUCT[check][_PERMUTATION[index % 8][int(digit)]]
    return check == 0


def loinc(value: str) -> bool:
    """Tell whether a LOINC code's check digit fits (modulo 10, LOINC Users' Guide)."""
    match = re.fullmatch(r"(\d{1,5})-(\d)", value)
    if match is None:
        return False
    digits = match[1]
    odd = int("".join(reversed(digits))[::2][::-1]) * 2
    total = sum(int(digit) for digit in str(odd)) + sum(int(digit) for digit in digits[::-1][1::2])
    return (10 - total % 10) % 10 == int(match[2])


#: Codes that the tables do not have and that still can't be anybody's name: form and check digit of their scheme.
_LEGAL: Final[dict[str, Callable[[str], bool]]] = {
    "SCT": lambda value: value.isascii() and value.isdigit() and 6 <= len(value) <= 18 and verhoeff(value),
    "SRT": lambda value: bool(_SNOMED_RT.fullmatch(value)),
    "DCM": lambda value: bool(_DICOM.fullmatch(value)),
    "LN": loinc,
    "UCUM": lambda value: bool(_UCUM.fullmatch(value)),
    "RADLEX": lambda value: bool(_RADLEX.fullmatch(value)),
}
