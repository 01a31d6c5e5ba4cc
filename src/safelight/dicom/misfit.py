"""Which operation makes sense on which VR; the rest is refused when the profile loads."""

from __future__ import annotations

from typing import Final

from safelight.dicom.address import Address, keyword_of
from safelight.dicom.vr import LIMITS, SIZES
from safelight.operation import (
    CleanText,
    DateFloor,
    DateShift,
    Fixed,
    Hash,
    Map,
    NumRange,
    Operation,
    SecureHash,
    Uid,
    Vocabulary,
)
from safelight.pseudonym import VR_LIMITS

_DATES: Final = frozenset({"DA", "DT"})
_NUMBERS: Final = frozenset({"AS", "DS", "IS", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"})
_WORDS: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_MAPPED: Final = _WORDS | {"AE", "CS", "PN"}
_FIXED: Final = _MAPPED | _NUMBERS | _DATES | {"TM", "UI", "UR"}
_ALLOWED: Final[dict[type[Operation], tuple[frozenset[str], str]]] = {
    DateFloor: (_DATES, "date-floor takes dates and date-times (DA, DT)"),
    DateShift: (_DATES, "date-shift takes dates and date-times (DA, DT); a time of day does not change with the day"),
    NumRange: (_NUMBERS, "num-range takes numbers and ages"),
    Hash: (frozenset(VR_LIMITS), f"a digest fits {', '.join(sorted(VR_LIMITS))}"),
    SecureHash: (frozenset(VR_LIMITS), f"a digest fits {', '.join(sorted(VR_LIMITS))}"),
    Uid: (frozenset({"UI"}), "uid takes UIDs (UI)"),
    CleanText: (_WORDS, "clean-text takes text (LO, LT, SH, ST, UC, UT)"),
    Vocabulary: (frozenset({"LO", "SH"}), "vocabulary takes short texts of devices (LO, SH)"),
    Map: (_MAPPED, "map takes text and codes (AE, CS, LO, LT, PN, SH, ST, UC, UT)"),
    Fixed: (_FIXED, "fixed writes text, numbers, dates and UIDs"),
}
#: Elements that name a person or a visit: an unkeyed digest of them can be rebuilt from a list of candidates.
IDENTIFIERS: Final = frozenset(
    {
        "PatientID", "OtherPatientIDs", "PatientName", "AccessionNumber", "StudyID", "AdmissionID", "PatientBirthName",
        "OtherPatientNames", "IssuerOfPatientID", "PatientTelephoneNumbers", "PatientAddress", "MedicalRecordLocator",
        "RequestedProcedureID", "ScheduledProcedureStepID", "PerformedProcedureStepID", "MilitaryRank",
    }
)  # fmt: skip
#: Elements that the engine writes or checks itself.
OWNED: Final = frozenset(
    {"PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
     "LongitudinalTemporalInformationModified", "BurnedInAnnotation", "PixelData", "FloatPixelData",
     "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"}
)  # fmt: skip


def misfit(address: Address, operation: Operation) -> tuple[str, str] | None:
    """Return what is wrong with an operation on an element and what to do, or None where it fits."""
    vr = address.vr()
    keyword = keyword_of(address.tag) if not address.creator else ""
    if not vr and operation.op != "remove":
        kind = "private element" if address.creator else "element"
        return f"the VR of this {kind} is not known, so its value can't be checked.", "Use remove, or leave it out."
    if vr == "UN" and operation.op == "keep":
        return "nobody knows what a value of VR UN holds, so it can't be checked.", "Use remove, or leave it out."
    if keyword in OWNED and operation.op not in {"keep", "remove"}:
        return "the engine writes this element itself.", "Leave it out."
    if address.repeating and operation.op not in {"remove", "keep"}:
        return "a repeating group can only be kept or removed.", "Use remove."
    allowed = _ALLOWED.get(type(operation))
    if allowed and vr not in allowed[0]:
        return f"{operation.op} does not fit the VR {vr}.", f"{allowed[1][0].upper()}{allowed[1][1:]}."
    if vr == "SQ" and operation.op not in {"keep", "remove", "empty"}:
        return f"{operation.op} does not fit a sequence.", "Use keep: its items follow the same rules."
    if isinstance(operation, Hash) and keyword in IDENTIFIERS:
        return "hash is unkeyed and can be rebuilt from a list of candidates.", "Use secure-hash."
    if isinstance(operation, Fixed):
        return _fixed(vr, operation)
    if isinstance(operation, Map):
        limit = LIMITS[vr.encode()]
        if any(len(target) > limit or not target.isascii() for target in operation.table().values()):
            return f"a value of the map is longer than {limit} characters or not ASCII.", "Shorten it."
    return None


def _fixed(vr: str, operation: Fixed) -> tuple[str, str] | None:
    # Imported here because values.py needs the VR tables that this module shares with it.
    from safelight.dicom.values import encode_fixed

    try:
        encode_fixed(operation.value, vr)
    except ValueError as error:
        return f"the fixed value {error}.", f"Give a value that the VR {vr} allows."
    assert vr[:2].encode() in LIMITS or vr[:2].encode() in SIZES  # noqa: S101  _FIXED holds no other VR
    return None
