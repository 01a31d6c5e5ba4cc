"""Pseudonyms: the formulas of one project, from its key and salt. Nothing is drawn at random.

Every value is reduced to the same bytes first (surrounding white space stripped, NFC, UTF-8, leading zeros kept), so an
identifier gives one pseudonym wherever it is met. BLAKE2b's own key, salt and personalisation fields (RFC 7693, section
2.5 and hashlib's documentation) carry the project's key, its salt and the domain, which names the kind of identifier.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from safelight.errors import KeyUnavailable

KEY_BYTES: Final = 64
SALT_BYTES: Final = 16
DIGEST_BYTES: Final = 48
#: PS3.5 table 6.2-1: the longest value of each VR that can hold a base64 digest, in characters.
VR_LIMITS: Final = {"SH": 16, "LO": 64, "PN": 64, "ST": 1024, "LT": 10240, "UC": 2**31, "UT": 2**31}
#: What PS3.6 annex A may have come to define since the dictionary in use, its context groups (PS3.16), and HL7's code
#: systems: storage classes, transfer syntaxes, schemes, frames of reference, palettes. No room for a number or a date.
_LATER_DEFINITION: Final = re.compile(
    r"1\.2\.840\.10008\.(?:5\.1\.4\.1\.1(?:\.[1-9][0-9]{0,2}){1,2}|6\.1\.[1-9][0-9]{0,3}|(?:1\.2\.4|2\.16|7\.1)\.[1-9][0-9]{0,2}"
    r"|1\.[45](?:\.[1-9][0-9]?){1,2})|2\.16\.840\.1\.113883\.6\.[1-9][0-9]{0,2}(?:\.[1-9][0-9]?)?"
)


@cache
def _definitions() -> frozenset[str]:
    # When the first is met: pseudonyms of reports and records need no dictionary.
    from pydicom.uid import UID_dictionary

    return frozenset(UID_dictionary)


def is_definition(uid: str) -> bool:
    """Tell whether a UID names a definition and not a patient's object (PS3.6 annex A, HL7's code systems).

    A closed list: what merely begins as they do may hide a patient's number.
    """
    return uid.startswith(("1.2.840.10008.", "2.16.840.1.113883.6.")) and (
        uid in _definitions() or _LATER_DEFINITION.fullmatch(uid) is not None
    )


def canonical(value: str) -> bytes:
    """Return the bytes of an identifier that are hashed: stripped (also of NUL padding), NFC, UTF-8."""
    return unicodedata.normalize("NFC", value.strip(" \t\r\n\f\v\0\u00a0\u3000")).encode("utf-8", "surrogateescape")


def digest_bytes(limit: int) -> int:
    """Return the largest BLAKE2b digest, in bytes, whose base64 fits ``limit`` characters.

    48 at 64 characters, 12 at 16. Raises:
        ValueError: fewer than 16 characters (12 bytes) would collide in a large archive.
    """
    size = min(DIGEST_BYTES, limit // 4 * 3)
    if size < 12:
        message = f"a keyed digest needs 16 characters, not {limit}"
        raise ValueError(message)
    return size


def plain_hash(value: str, digest_size: int = DIGEST_BYTES) -> str:
    """Return ``base64(BLAKE2b(value))``, unkeyed: for values that identify nobody.

    Anyone can rebuild it from a list of candidates, so profiles refuse it on direct identifiers.
    """
    return base64.b64encode(hashlib.blake2b(canonical(value), digest_size=digest_size).digest()).decode("ascii")


@dataclass(frozen=True)
class ProjectKey:
    """The 64-byte key and 16-byte salt of one project. Neither is ever shown: ``repr`` hides them."""

    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse anything that is not 64 and 16 bytes of key material."""
        for name, value, size in (("key", self.key, KEY_BYTES), ("salt", self.salt, SALT_BYTES)):
            if len(value) != size:
                message = f"The project {name} has {len(value)} bytes; it must have {size}."
                raise KeyUnavailable(message, remedy="Make one with 'safelight key new' and store it where the block says.")
            if len(set(value)) < 4:
                message = f"The project {name} is not random: it repeats fewer than four byte values."
                raise KeyUnavailable(message, remedy="Make one with 'safelight key new'.")


@dataclass(frozen=True)
class Pseudonymizer:
    """All pseudonyms of one project.

    Stateless: the same key gives the same pseudonyms on every machine, in every run; another project's can't be
    joined to them.

    Args:
        project_key: the project's key and salt.
        max_days: the largest date shift, in days.
    """

    project_key: ProjectKey
    max_days: int = 365

    def __post_init__(self) -> None:
        """Refuse a shift range without room to shift."""
        if self.max_days < 1:
            message = "max_days must be at least 1"
            raise ValueError(message)

    def digest(self, value: str, domain: str, size: int = DIGEST_BYTES) -> bytes:
        """Return BLAKE2b of the identifier, keyed and salted, personalised by the domain (at most 16 bytes)."""
        return hashlib.blake2b(
            canonical(value),
            digest_size=size,
            key=self.project_key.key,
            salt=self.project_key.salt,
            person=domain.encode("ascii"),
        ).digest()

    def secure_hash(self, value: str, domain: str, *, limit: int = 64) -> str:
        """Return the pseudonym of an identifier: base64, 64 characters (or the most that ``limit`` allows)."""
        return base64.b64encode(self.digest(value, domain, digest_bytes(limit))).decode("ascii")

    def uid(self, uid: str) -> str:
        """Return the pseudonym of a DICOM UID: a UUID-derived UID (PS3.5 B.2) of version 8 (RFC 9562, 5.8).

        Standard-defined UIDs (SOP classes, transfer syntaxes, coding schemes) and empty ones come back unchanged.
        """
        uid = uid.strip(" \0\t\r\n")
        if not uid or is_definition(uid):
            return uid
        number = int.from_bytes(self.digest(uid, "uid", 16), "big")
        number = number & ~(0xF << 76) | (0x8 << 76)
        number = number & ~(0x3 << 62) | (0x2 << 62)
        return f"2.25.{number}"

    def date_shift(self, scope_id: str) -> int:
        """Return the shift of a scope (a patient's or a study's id): whole days in ±max_days, never 0."""
        number = int.from_bytes(self.digest(scope_id, "date-shift", 16), "big") % (2 * self.max_days)
        return number - self.max_days if number < self.max_days else number - self.max_days + 1


def is_valid_uid(uid: str) -> bool:
    """Tell whether the text is a UID by PS3.5 section 9.1: digits and dots, at most 64, no leading zero in a part."""
    return (
        0 < len(uid) <= 64
        and uid.isascii()
        and all(part.isdigit() and (part == "0" or part[0] != "0") for part in uid.split("."))
    )
