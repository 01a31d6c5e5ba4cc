"""Specific Character Set (0008,0005): which declarations are believed, and how text is read under them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pydicom.charset import decode_bytes, python_encoding

from safelight.dicom.quiet import quiet_pydicom

#: Defined terms of PS3.3 C.12.1.1.2 in pydicom's table, less the private spellings that it tolerates.
TERMS: Final = frozenset(term for term in python_encoding if term and term.startswith(("ISO", "GB"))) | {"GBK"}


@lru_cache(maxsize=256)
def declared(raw: bytes) -> tuple[str, ...] | None:
    """Return the Python codecs of a SpecificCharacterSet value, () for none, None when any term is not a defined one."""
    terms = [term.strip() for term in raw.decode("latin-1").strip(" \0").split("\\")]
    if not any(terms):
        return ()
    if not all(term in TERMS or (term == "" and index == 0) for index, term in enumerate(terms)):
        return None
    return tuple(str(python_encoding.get(term, "iso8859")) for term in terms)


def decode(raw: bytes, codecs: tuple[str, ...] | None) -> str:
    """Return the text of a value for hashing and comparing; undecodable bytes become surrogates, never an error."""
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    if codecs:
        try:
            if len(codecs) == 1:
                return raw.decode(codecs[0])
            with quiet_pydicom():
                return str(decode_bytes(raw, codecs, {"\\", "^", "="}))
        except (UnicodeError, LookupError, ValueError):
            pass
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
