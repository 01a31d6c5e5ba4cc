"""What an output says about its own de-identification: what was done to this instance, and no more (PS3.15 E.1.1)."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

from safelight.dicom.program import OPTION_BITS, STAMPED
from safelight.dicom.standard import BASIC_PROFILE, OPTIONS
from safelight.dicom.values import element

IDENTITY_REMOVED: Final = 0x00120062
BURNED_IN: Final = 0x00280301
LONGITUDINAL: Final = 0x00280303
#: Places that the rewriter leaves for stamps, ascending: before each of these tags.
SLOTS: Final = (IDENTITY_REMOVED, BURNED_IN, LONGITUDINAL)
FULL_DATES: Final = OPTION_BITS["retain_longitudinal_full_dates"]
CLEAN_PIXELS: Final = OPTION_BITS["clean_pixel_data"]
#: Input elements that the stamps replace.
REPLACED: Final = STAMPED


@lru_cache(maxsize=256)
def identity_stamp(profile: str, fingerprint: str, options: int) -> bytes:
    """Return PatientIdentityRemoved, DeidentificationMethod and its code sequence (CID 7050).

    Args:
        profile: name of the de-id profile.
        fingerprint: SHA-256 of the resolved profile, of which the first 16 digits are written.
        options: bits of the options that were taken up.
    """
    method = f"Safelight profile {profile}"[:44] + f" sha256 {fingerprint[:11]}"
    codes = [BASIC_PROFILE, *(OPTIONS[name] for name, bit in OPTION_BITS.items() if options & bit)]
    items = b"".join(_code_item(*code) for code in codes)
    return (
        element(0x00120062, b"CS", b"YES")
        + element(0x00120063, b"LO", method.encode("ascii"))
        + element(0x00120064, b"SQ", items)
    )


def _code_item(value: str, meaning: str) -> bytes:
    item = (
        element(0x00080100, b"SH", value.encode("ascii"))
        + element(0x00080102, b"SH", b"DCM")
        + element(0x00080104, b"LO", meaning.encode("ascii"))
    )
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item


@lru_cache(maxsize=4)
def longitudinal_stamp(dated: bool, kept: bool) -> bytes:
    """Return LongitudinalTemporalInformationModified: MODIFIED where dates were shifted, else REMOVED or UNMODIFIED."""
    return element(LONGITUDINAL, b"CS", b"MODIFIED" if dated else b"UNMODIFIED" if kept else b"REMOVED")


@lru_cache(maxsize=256)
def burned_in_stamp(kind: str, value: bytes, *, cleaned: bool = False) -> bytes:
    """Return BurnedInAnnotation: NO after cleaning, or the NO that the input had where the class must have one.

    Anywhere else it is left out: nothing was cleaned, so nothing is claimed.

    Args:
        kind: the attribute's type in the storage class.
        value: what the input says.
        cleaned: text was taken out of the pixels.
    """
    if cleaned:
        return element(BURNED_IN, b"CS", b"NO")
    return element(BURNED_IN, b"CS", b"NO") if kind.startswith("1") and value.strip(b" \0") == b"NO" else b""
