"""Whose instance a file holds, and whether it is whole: read without decoding a value that is not needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from safelight.archive.header_walk import Unusual, walk
from safelight.dimse.quiet import silence

#: Values above this stay on disk while a file is read.
_DEFERRED: Final = 4096
_CHARACTER_SET: Final = 0x00080005
_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_PATIENT_ID: Final = 0x00100020
_STUDY_UID: Final = 0x0020000D
_SERIES_UID: Final = 0x0020000E
_WANTED: Final = frozenset({_CHARACTER_SET, _SOP_CLASS_UID, _SOP_INSTANCE_UID, _PATIENT_ID, _STUDY_UID, _SERIES_UID})
_UNDEFINED: Final = 0xFFFFFFFF


@dataclass(frozen=True)
class Identity:
    """Whose instance a file says it is; empty where it does not say. ``whole``: its last element ends with the file."""

    whole: bool
    size: int
    sop_class_uid: str = ""
    patient_id: bytes = field(default=b"", repr=False)
    character_set: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)
    series_uid: str = field(default="", repr=False)
    sop_uid: str = field(default="", repr=False)


def identify(path: Path) -> Identity | None:
    """Read a DICOM file's identity. None: it can't be read as one, also when it is cut inside a sequence.

    Memory: the file's small elements; large values are skipped. Of a deflated data set, its first megabytes.
    """
    try:
        size = path.stat().st_size
        found, whole = walk(path, _WANTED)
    except OSError:
        return None
    except Unusual:
        return _identify_slowly(path)
    text = {tag: found.get(tag, b"").strip(b" \0").decode("ascii", "replace") for tag in _WANTED}
    return Identity(
        whole=whole,
        size=size,
        sop_class_uid=text[_SOP_CLASS_UID],
        patient_id=found.get(_PATIENT_ID, b"").strip(b" \0"),
        character_set=text[_CHARACTER_SET],
        study_uid=text[_STUDY_UID],
        series_uid=text[_SERIES_UID],
        sop_uid=text[_SOP_INSTANCE_UID],
    )


def _identify_slowly(path: Path) -> Identity | None:
    silence("pydicom")
    try:
        size = path.stat().st_size
        if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            # It would be inflated in memory. The walk takes it, if only it is well formed.
            return None
        data = dcmread(path, defer_size=_DEFERRED, force=False)
    except (OSError, EOFError, InvalidDicomError, ValueError, KeyError, NotImplementedError, AttributeError, TypeError):
        return None
    except Exception:  # noqa: BLE001  a damaged file makes pydicom and zlib raise anything; the text may quote it
        return None
    return Identity(
        whole=_is_whole(data, size),
        size=size,
        sop_class_uid=_ascii(data, _SOP_CLASS_UID),
        patient_id=raw_value(data, _PATIENT_ID),
        character_set=_ascii(data, _CHARACTER_SET),
        study_uid=_ascii(data, _STUDY_UID),
        series_uid=_ascii(data, _SERIES_UID),
        sop_uid=_ascii(data, _SOP_INSTANCE_UID),
    )


def raw_value(data: Dataset, tag: int) -> bytes:
    """Return an element's value as it was sent, padding stripped. Not converted, so that no warning can quote it."""
    if tag not in data:
        return b""
    value: Any = data.get_item(Tag(tag)).value
    if isinstance(value, bytes):
        return value.strip(b" \0")
    # pydicom converts a few elements while reading: Specific Character Set.
    parts = value if not isinstance(value, str) and hasattr(value, "__iter__") else [value]
    return "\\".join(str(part) for part in parts if part is not None).encode("utf-8").strip(b" \0")


def _ascii(data: Dataset, tag: int) -> str:
    return raw_value(data, tag).decode("ascii", "replace")


def _is_whole(data: Dataset, size: int) -> bool:
    """Tell whether the last element ends at the end of the file. pydicom reads a value that is cut short without a word."""
    tags = sorted(data.keys())
    if not tags:
        return False
    last = data.get_item(tags[-1], keep_deferred=True)
    start, length = getattr(last, "value_tell", None), getattr(last, "length", None)
    if start is None or length is None or length == _UNDEFINED:
        # Of undefined length: pydicom has found its delimiter, or the file would not have been read.
        return True
    return bool(start + length == size)
