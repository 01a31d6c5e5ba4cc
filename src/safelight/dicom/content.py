"""Content items of structured reports by their concepts (PS3.15 E.3.4, Clean Structured Content Option, table E.3.4-1).

Names, dates, UIDs and codes in an item follow the rules on their elements, whatever the concept. What needs the concept are
texts that are identifiers by nature, such as an accession number, and what is said of the patient's age and sex.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from pydicom.datadict import keyword_dict

from safelight.dicom.address import Address
from safelight.dicom.rules import DicomRules
from safelight.dicom.standard import content_concepts
from safelight.dicom.steps import Act, State
from safelight.dicom.values import OLDEST
from safelight.dicom.vr import CHECKS

CONCEPT_NAME: Final = keyword_dict["ConceptNameCodeSequence"]
TEXT_VALUE: Final = keyword_dict["TextValue"]
NUMERIC_VALUE: Final = keyword_dict["NumericValue"]
SUBJECT_AGE: Final = ("DCM", "121033")
#: Concepts that say of the patient what an element says, too: the rule on that holds for them.
_FOLLOWING: Final = {SUBJECT_AGE: "PatientAge", ("DCM", "121032"): "PatientSex"}
_PER_YEAR: Final = {("UCUM", "a"): 1, ("UCUM", "mo"): 12, ("UCUM", "wk"): 52, ("UCUM", "d"): 365}


def withheld_items(rules: DicomRules) -> frozenset[tuple[str, str]]:
    """Return the concepts whose items do not come out: action X, and no rule that cleans or keeps what they hold."""
    kept = {concept for concept, keyword in _FOLLOWING.items() if _keeps(rules, keyword)}
    return frozenset(
        row.concept
        for row in content_concepts()
        if row.action.startswith("X")
        and row.value_type in {"TEXT", "NUM", "CODE"}
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


def keep_item_number(raw: bytes, state: State) -> bytes | None:
    """Return a NumericValue as it is, but for an age of more than 90 years."""
    number = CHECKS[b"DS"](raw)
    if number is None or state.concept != SUBJECT_AGE:
        return number
    # The code met last is the unit's: it stands before the number in its item.
    per_year = _PER_YEAR.get(state.code)
    if per_year is None:
        return None
    return number if float(number) <= OLDEST * per_year else str(OLDEST * per_year).encode("ascii")
