"""The Basic Application Level Confidentiality Profile of PS3.15 with its options, as an allow-list.

Every attribute that some storage class knows and table E.1-1 leaves alone is kept, but for free text, which goes through
the closed vocabulary; the table's rows become operations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydicom.datadict import keyword_dict

from safelight.dicom.address import Address, keyword_of
from safelight.dicom.codes import CODE_TAGS
from safelight.dicom.dummies import DUMMIES
from safelight.dicom.misfit import OWNED, misfit
from safelight.dicom.standard import attributes, confidentiality, safe_private
from safelight.operation import (
    CleanText,
    DateShift,
    Empty,
    Fixed,
    Keep,
    NumRange,
    Operation,
    Remove,
    SecureHash,
    Uid,
    Vocabulary,
)

#: Options that need the pixels or the content items understood; they are not selectable.
UNSUPPORTED: Final = frozenset({"clean_pixel_data", "clean_recognizable_visual_features", "clean_graphics"})
#: Texts that devices write about themselves.
DEVICE_TEXTS: Final = frozenset(
    {
        "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel", "SequenceName",
        "PulseSequenceName", "ReceiveCoilName", "TransmitCoilName",
    }
)  # fmt: skip
_POINTLESS: Final = frozenset({"EncryptedAttributesSequence", "ResponsiblePersonRole"})
_EXCLUSIVE: Final = ("retain_longitudinal_full_dates", "retain_longitudinal_modified_dates")


def basic_rules(options: Iterable[str]) -> dict[Address, Operation]:
    """Return the rules of the Basic Profile with these options (names as in table E.1-1's columns).

    Raises:
        ValueError: options that exclude each other, or that need what the engine does not do.
    """
    chosen = tuple(options)
    for name in chosen:
        if name in UNSUPPORTED:
            raise ValueError(f"The option '{name}' is not available: it changes pixels or graphics.")
    if set(_EXCLUSIVE) <= set(chosen):
        raise ValueError("Dates are either kept in full or modified: choose one of the two options.")
    table = confidentiality()
    rules: dict[Address, Operation] = {}
    for tag in sorted(attributes() | set(table)):
        address = Address(tag)
        vr = address.vr()
        if not vr or keyword_of(tag) in OWNED or not 8 <= tag >> 16 < 0x7FE0 or (tag >> 16) & 0xFF00 in (0x5000, 0x6000):
            continue
        row = table.get(tag)
        operation = (
            _unlisted(keyword_of(tag), vr)
            if row is None
            else _operation(
                _action(row.action, row.options, chosen), vr, address, structured="clean_structured_content" in row.options
            )
        )
        if operation is not None and misfit(address, operation) is None:
            rules[address] = operation
    return rules | (_safe_private() if "retain_safe_private" in chosen else {})


def _safe_private() -> dict[Address, Operation]:
    """Return the private elements of table E.3.10-1 that hold numbers and codes, not texts."""
    addresses = (Address(group << 16 | offset, creator) for group, creator, offset in safe_private())
    keep = Keep(reason="PS3.15 table E.3.10-1")
    return {address: keep for address in addresses if address.vr() and address.vr() not in {"LO", "SH", "SQ"}}


def _unlisted(keyword: str, vr: str) -> Operation | None:
    """Return what becomes of an attribute that the table does not name: kept, but for what people may type into."""
    if vr == "UI":
        # Standard UIDs stay as they are; references to instances still have to resolve.
        return Uid()
    if keyword in DEVICE_TEXTS:
        return Vocabulary()
    if vr in {"LO", "LT", "SH", "ST", "UC", "UT"} and keyword_dict[keyword] not in CODE_TAGS:
        return CleanText()
    if keyword in {"ContentLabel", "GraphicLayer"}:
        # The code strings that users make up.
        return Fixed(value=DUMMIES["CS"])
    if keyword == "ICCProfile":
        return Keep()
    # Bytes that nothing can look into, addresses, and what means nothing without what the table takes away.
    return None if vr in {"AE", "DA", "DT", "OB", "PN", "UN", "UR"} or keyword in _POINTLESS else Keep()


def _action(basic: str, options: dict[str, str], chosen: tuple[str, ...]) -> str:
    found = [options[name] for name in chosen if name in options]
    if "K" in found:
        return "K"
    if "C" in found:
        return "C"
    return basic.rstrip("*")


def _operation(action: str, vr: str, address: Address, *, structured: bool = False) -> Operation | None:
    if action == "K":
        if address.vr() == "AS":
            return NumRange(max=90, reason="ages from 90 on are one class")
        return Keep(reason="retained by option")
    if action == "C":
        if vr in {"DA", "DT"}:
            return DateShift()
        if vr == "TM":
            return Keep(reason="the time of day does not change with the day")
        if vr in {"LO", "LT", "SH", "ST", "UC", "UT"}:
            return CleanText()
        return Keep(reason="its items follow the same rules") if vr == "SQ" else Remove()
    # Of the choices that depend on the attribute's type, the strongest that every class allows (PS3.15 E.1.1, note).
    if action.startswith("U") or action.endswith("U"):
        return Uid() if vr == "UI" else Keep(reason="its items follow the same rules; UIDs are mapped")
    if action in {"X", "X/Z"}:
        return Empty() if action == "X/Z" else Remove()
    if vr == "SQ" and structured and action != "Z":
        # Nobody has looked at what it says without the option that cleans it; it may be absent (type 1C).
        return Remove()
    if vr == "SQ":
        # An item of a D sequence has to be there: what it holds follows the same rules.
        return Empty() if action == "Z" else Keep(reason="its items follow the same rules")
    if keyword_of(address.tag) == "PatientID":
        return SecureHash()
    if action == "Z":
        return Empty()
    return Fixed(value=DUMMIES[vr]) if vr in DUMMIES else Remove()
