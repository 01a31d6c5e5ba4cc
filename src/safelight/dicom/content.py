"""Content items of structured reports by their concepts (PS3.15 E.3.4, Clean Structured Content Option, table E.3.4-1).

Names, dates, UIDs and codes in an item follow the rules on their elements, whatever the concept. What needs the concept are
texts that are identifiers by nature, such as an accession number, and what is said of the patient's age, birth and sex.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from pydicom.datadict import keyword_dict

from safelight.dicom.address import Address
from safelight.dicom.rules import DicomRules
from safelight.dicom.standard import content_concepts
from safelight.dicom.steps import Act, State
from safelight.dicom.values import OLDEST, birth_floor, date_floor, each_value
from safelight.dicom.vr import CHECKS, SIZES, reads_as_text

CONCEPT_NAME: Final = keyword_dict["ConceptNameCodeSequence"]
TEXT_VALUE: Final = keyword_dict["TextValue"]
#: What holds the dates of items; any of them may be the birth date.
ITEM_DATES: Final = {keyword_dict["Date"]: "DA", keyword_dict["DateTime"]: "DT"}
_DATE: Final = keyword_dict["Date"]
_BIRTH_DATE: Final = ("DCM", "121031")
_BIRTH_DATES: Final = frozenset((_BIRTH_DATE, ("SCT", "184099003"), ("LN", "21112-8")))
SUBJECT_AGE: Final = ("DCM", "121033")
_AGES: Final = frozenset((SUBJECT_AGE, ("SCT", "424144002"), ("SCT", "397669002"), ("LN", "30525-0")))
#: Concepts that say of the patient what an element says, too: the rule on that holds for them.
_FOLLOWING: Final = {SUBJECT_AGE: "PatientAge", ("DCM", "121032"): "PatientSex"}
_YEARS: Final = ("UCUM", "a")
_PER_YEAR: Final = {_YEARS: 1, ("UCUM", "mo"): 12, ("UCUM", "wk"): 52, ("UCUM", "d"): 365}


def withheld_items(rules: DicomRules) -> frozenset[tuple[str, str]]:
    """Return the concepts whose items do not come out: action X, and no rule that cleans or keeps what they hold."""
    kept = {concept for concept, keyword in _FOLLOWING.items() if _keeps(rules, keyword)}
    dates = rules.operation(Address(_DATE))
    if dates is not None and dates.op == "date-floor":
        kept.add(_BIRTH_DATE)
    return frozenset(
        row.concept
        for row in content_concepts()
        if row.action.startswith("X")
        # The options on dates say of other dates what becomes of them; of the birth date none does.
        and (row.value_type in {"TEXT", "NUM", "CODE"} or row.concept == _BIRTH_DATE)
        and "clean_descriptors" not in row.options
        and row.concept not in kept
    )


def _keeps(rules: DicomRules, keyword: str) -> bool:
    operation = rules.operation(Address(keyword_dict[keyword]))
    return operation is not None and operation.op in {"keep", "num-range", "map"}


@cache
def _dummies() -> frozenset[tuple[str, str]]:
    """Return the concepts of texts that have to be there and can't be cleaned: action D, and no option that cleans."""
    return frozenset(
        row.concept
        for row in content_concepts()
        if row.action == "D" and row.value_type == "TEXT" and "clean_descriptors" not in row.options
    )


def clean_item_text(clean: Act) -> Act:
    """Return the act on TextValue: texts that are identifiers by their concept are replaced as a whole."""

    def act(raw: bytes, state: State) -> bytes | None:
        return b"Removed" if state.concept in _dummies() else clean(raw, state)

    return act


def item_date(move: Act, vr: str) -> Act:
    """Return the act on an item's date: what may be the birth date does not tell an age of 90 or more.

    Args:
        move: the operation on other dates.
        vr: DA or DT.
    """

    def act(raw: bytes, state: State) -> bytes | None:
        born = birth_floor(state.study_year, vr)
        if state.concept in _BIRTH_DATES:
            return born(raw)
        return each_value(lambda one: born(one) if _long_ago(one, state.study_year, vr) else move(one, state))(raw)

    return act


def _long_ago(raw: bytes, study_year: int | None, vr: str) -> bool:
    day = date_floor(vr)(raw) or b""
    return study_year is not None and day != b"" and int(day[:4]) + OLDEST <= study_year


def _keep_number(raw: bytes, state: State) -> bytes | None:
    number = CHECKS[b"DS"](raw)
    if number is None or not _says_age(state):
        return number
    # The code met last is the unit's: it stands before the number in its item.
    per_year = _PER_YEAR.get(state.code)
    if per_year is None:
        return None
    oldest = OLDEST * per_year
    return each_value(lambda one: one if float(one) <= oldest else str(oldest).encode("ascii"))(number)


def _says_age(state: State) -> bool:
    """Tell whether a number is an age: by its concept, or because nothing else is counted in years."""
    return state.concept in _AGES or state.code == _YEARS


def _keep_binary_number(size: int) -> Act:
    """Return the act on what gives a NumericValue once more in binary: for an age that one is enough."""

    def act(raw: bytes, state: State) -> bytes | None:
        return None if _says_age(state) or len(raw) % size or reads_as_text(raw) else raw

    return act


#: A kept number of an item comes out as it is, but for an age of more than 90 years.
ITEM_NUMBERS: Final[dict[int, Act]] = {
    keyword_dict["NumericValue"]: _keep_number,
    keyword_dict["FloatingPointValue"]: _keep_binary_number(SIZES[b"FD"]),
    keyword_dict["RationalNumeratorValue"]: _keep_binary_number(SIZES[b"SL"]),
    keyword_dict["RationalDenominatorValue"]: _keep_binary_number(SIZES[b"UL"]),
}
