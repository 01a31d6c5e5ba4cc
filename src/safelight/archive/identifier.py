"""Identifiers of queries and retrievals, and their answers: what is asked, and never too much (PS3.4 section C.2.2.2).

A key that matches must hold a value: an empty one is a universal match and would ask for the whole archive. Wildcards
and the value separator are refused in values that came with a cohort.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from safelight.archive.instance_file import raw_value
from safelight.errors import StudyRejected
from safelight.model import Reason
from safelight.pseudonym import is_valid_uid

CHARACTER_SET: Final = 0x00080005
SOP_CLASS_UID: Final = 0x00080016
SOP_INSTANCE_UID: Final = 0x00080018
STUDY_DATE: Final = 0x00080020
ACCESSION_NUMBER: Final = 0x00080050
LEVEL: Final = 0x00080052
MODALITY: Final = 0x00080060
MODALITIES_IN_STUDY: Final = 0x00080061
PATIENT_ID: Final = 0x00100020
STUDY_UID: Final = 0x0020000D
SERIES_UID: Final = 0x0020000E
STUDY_INSTANCES: Final = 0x00201208
SERIES_INSTANCES: Final = 0x00201209

_VR: Final = {
    CHARACTER_SET: "CS",
    SOP_CLASS_UID: "UI",
    SOP_INSTANCE_UID: "UI",
    STUDY_DATE: "DA",
    ACCESSION_NUMBER: "SH",
    LEVEL: "CS",
    MODALITY: "CS",
    MODALITIES_IN_STUDY: "CS",
    PATIENT_ID: "LO",
    STUDY_UID: "UI",
    SERIES_UID: "UI",
    STUDY_INSTANCES: "IS",
    SERIES_INSTANCES: "IS",
}
#: PS3.5 section 6.2: characters of an integer string at most.
_IS_LENGTH: Final = 12
#: PS3.3 section C.12.1.1.2: the character sets that a single code element can name, as Python calls them.
_CODECS: Final = {
    "": "ascii",
    "ISO_IR 6": "ascii",
    "ISO_IR 100": "iso8859-1",
    "ISO_IR 101": "iso8859-2",
    "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4",
    "ISO_IR 144": "iso8859-5",
    "ISO_IR 127": "iso8859-6",
    "ISO_IR 126": "iso8859-7",
    "ISO_IR 138": "iso8859-8",
    "ISO_IR 148": "iso8859-9",
    "ISO_IR 203": "iso8859-15",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "tis-620",
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
#: Keys that must match: element -> value, or list of UIDs.
Keys = Mapping[int, str | Sequence[str]]


def matching_value(value: str) -> str:
    """Return the value to match by, outer white space stripped; empty when there is none.

    Raises:
        StudyRejected: bad_value, when it holds a wildcard, the value separator or a control character, or is a pair of
            quotes, which newer archives take for every empty value.
    """
    value = value.strip()
    if value == '""' or any(character in "*?\\" or not character.isprintable() for character in value):
        raise StudyRejected(Reason.BAD_VALUE, "An identifier holds a wildcard or control character; it is not sent.")
    return value


def matching_uid(value: str) -> str:
    """Return the UID to match by; empty when there is none.

    Raises:
        StudyRejected: bad_value, when it is no UID (PS3.5 section 9.1).
    """
    value = value.strip()
    if value and not is_valid_uid(value):
        raise StudyRejected(Reason.BAD_VALUE, "A UID is not valid; it is not sent.")
    return value


def values_of(match: Keys) -> dict[int, list[str]]:
    """Return the values of each key. Raises ValueError for none, or an empty one: a mistake of the caller."""
    lists = {tag: [value] if isinstance(value, str) else list(value) for tag, value in match.items()}
    if not lists or not all(values and all(values) for values in lists.values()):
        raise ValueError("a key without a value matches everything")
    return lists


def encode(level: str, match: Keys, wanted: Sequence[int] = (), *, character_set: str = "") -> Dataset:
    """Return the identifier of a query or retrieval.

    Args:
        level: STUDY, SERIES or IMAGE.
        match: keys that must match; several values make a list of UIDs. None may be empty.
        wanted: return keys, sent without a value as the standard asks.
        character_set: value for Specific Character Set; empty: ASCII, or UTF-8 where a value needs it.

    Raises:
        StudyRejected: bad_value, when a value can't be written in the archive's character set.
        ValueError: a key without a value; a mistake of the caller.
    """
    lists = values_of(match)
    texts = [text for values in lists.values() for text in values]
    if not character_set and not all(text.isascii() for text in texts):
        character_set = "ISO_IR 192"
    try:
        for text in texts:
            text.encode(codec(character_set))
    except UnicodeEncodeError:
        raise StudyRejected(Reason.BAD_VALUE, "An identifier can't be written in the archive's character set.") from None
    identifier = Dataset()
    _set(identifier, LEVEL, level)
    if character_set:
        _set(identifier, CHARACTER_SET, character_set)
    for tag in wanted:
        _set(identifier, tag, "")
    for tag, values in lists.items():
        _set(identifier, tag, values if len(values) > 1 else values[0])
    return identifier


def _set(identifier: Dataset, tag: int, value: str | list[str]) -> None:
    # Not validated: pydicom's warning would quote the value, and what may be sent was checked before.
    identifier.add(DataElement(tag, _VR[tag], value, validation_mode=config.IGNORE))


def codec(character_set: str) -> str:
    """Return Python's name of a character set, from its defined term or the first of several; ASCII when unknown."""
    term = character_set.split("\\")[0].strip().replace("ISO 2022 IR ", "ISO_IR ")
    return _CODECS.get(term, "ascii")


@dataclass(frozen=True)
class StudyAnswer:
    """A study as an archive describes it. Empty or None: the answer does not say."""

    study_uid: str = field(repr=False)
    patient_id: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)
    study_date: date | None = field(default=None, repr=False)
    modalities: tuple[str, ...] = ()
    instances: int | None = None


@dataclass(frozen=True)
class SeriesAnswer:
    """A series as an archive describes it."""

    series_uid: str = field(repr=False)
    modality: str = ""
    instances: int | None = None


@dataclass(frozen=True)
class InstanceAnswer:
    """An instance as an archive announces it; its SOP class is empty when the answer does not say."""

    sop_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_class_uid: str = ""


@dataclass(frozen=True)
class Part:
    """What is fetched in one go: a study, one of its series, or instances of that series.

    ``sop_classes`` are those of its instances, as far as the archive told; ``patient_id`` is for Patient Root only.
    """

    study_uid: str = field(repr=False)
    series_uid: str = field(default="", repr=False)
    sop_uids: tuple[str, ...] = field(default=(), repr=False)
    sop_classes: frozenset[str] = frozenset()
    patient_id: str = field(default="", repr=False)


def keys_of(part: Part, *, patient_root: bool) -> tuple[str, dict[int, str | Sequence[str]]]:
    """Return the level and the keys of a part's retrieval (PS3.4 section C.4.2.1.4)."""
    keys: dict[int, str | Sequence[str]] = {STUDY_UID: matching_uid(part.study_uid)}
    level = "STUDY"
    if patient_root:
        keys[PATIENT_ID] = matching_value(part.patient_id)
    if part.series_uid:
        keys[SERIES_UID], level = part.series_uid, "SERIES"
    if part.sop_uids:
        keys[SOP_INSTANCE_UID], level = part.sop_uids, "IMAGE"
    return level, keys


class Answer(ABC):
    """One answer to a query, in whatever form it came."""

    @abstractmethod
    def text(self, tag: int) -> str:
        """Return the value as text, several values with backslashes between them; empty when there is none."""

    def number(self, tag: int) -> int | None:
        """Return the value as a count; None where there is none, or more digits than an integer string has room for."""
        text = self.text(tag)
        return int(text) if text.isascii() and text.isdigit() and len(text) <= _IS_LENGTH else None

    def date(self, tag: int) -> date | None:
        """Return the value as a date, also in the form of ACR-NEMA (with dots), or None."""
        text = self.text(tag).replace(".", "")
        try:
            return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 and text.isdigit() else None
        except ValueError:
            return None


class DatasetAnswer(Answer):
    """One C-FIND answer, read without converting what is not asked for.

    Args:
        data: the answer.
        character_set: of the archive, where the answer does not say.
    """

    def __init__(self, data: Dataset, character_set: str) -> None:
        self._data = data
        own = raw_value(data, CHARACTER_SET).decode("ascii", "replace")
        self._codec = codec(own or character_set)

    def text(self, tag: int) -> str:
        """Return the value as text; what the character set can't explain stays visible as escapes and matches nothing."""
        raw = raw_value(self._data, tag)
        try:
            return raw.decode(self._codec).strip(" \0")
        except UnicodeDecodeError:
            return raw.decode("ascii", "backslashreplace").strip(" \0")
