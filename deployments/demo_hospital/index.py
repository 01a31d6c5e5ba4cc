"""What an archive holds, for C-FIND, C-MOVE and C-GET: a small index in memory over a folder of DICOM files."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The query keys of each level (PS3.4 C.6.1.1 and C.6.2.1) that this archive answers.
LEVELS: Final[dict[str, tuple[str, ...]]] = {
    "PATIENT": ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    "STUDY": (
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyID",
        "StudyDescription",
        "ReferringPhysicianName",
    ),
    "SERIES": ("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined", "Manufacturer"),
    "IMAGE": ("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "NumberOfFrames", "Rows", "Columns"),
}
UNIQUE_KEYS: Final = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
_HEADER: Final = ["SpecificCharacterSet", *(keyword for keywords in LEVELS.values() for keyword in keywords)]
_WITHIN_STUDY: Final = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "ModalitiesInStudy")


@dataclass(frozen=True)
class Held:
    """One instance: where its file is, how it is encoded, and the values that can be asked for."""

    path: Path
    transfer_syntax: str
    values: dict[str, str]


@dataclass
class Index:
    """All instances of an archive, by study and series. Reading 1,000 headers takes about a second."""

    studies: dict[str, dict[str, list[Held]]] = field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: Path) -> Index:
        """Read the headers of all files below the folder. A file whose header can't be read is an error."""
        index = cls()
        for path in sorted(folder.rglob("*.dcm")):
            index.add(path)
        return index

    def add(self, path: Path) -> None:
        """Read one file's header."""
        header = dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER))
        values = {keyword: str(header.get(keyword, "") or "") for keyword in _HEADER[1:]}
        held = Held(path, str(header.file_meta.TransferSyntaxUID), values)
        series = self.studies.setdefault(values["StudyInstanceUID"], {})
        series.setdefault(values["SeriesInstanceUID"], []).append(held)

    def instances(self) -> Iterator[Held]:
        """All instances."""
        for series in self.studies.values():
            for held in series.values():
                yield from held

    def find(self, identifier: Dataset) -> list[Dataset]:
        """Answer a C-FIND: one data set for each entity of the level that matches all keys (PS3.4 C.2.2.2)."""
        level = str(identifier.get("QueryRetrieveLevel", ""))
        wanted = {element.keyword for element in identifier if element.keyword}
        answers: dict[str, Dataset] = {}
        for held in self.matching(identifier):
            entity = held.values[UNIQUE_KEYS[level]]
            if entity not in answers:
                answers[entity] = self._answer(held, level, wanted)
        return [answers[entity] for entity in sorted(answers)]

    def matching(self, identifier: Dataset) -> list[Held]:
        """Return the instances that match the identifier's keys; for C-MOVE and C-GET, those to send."""
        level = str(identifier.get("QueryRetrieveLevel", ""))
        if level not in LEVELS:
            return []
        keys: dict[str, list[str]] = {}
        for name in list(LEVELS)[: list(LEVELS).index(level) + 1]:
            keys |= {k: _pattern(identifier, k) for k in LEVELS[name] if k in identifier and _pattern(identifier, k)}
        modalities = _pattern(identifier, "ModalitiesInStudy") if level == "STUDY" else []
        asked = keys.get("StudyInstanceUID")
        studies = [uid for uid in asked if uid in self.studies] if asked else sorted(self.studies)
        return [
            held
            for uid in dict.fromkeys(studies)
            if not modalities or set(modalities) & self._modalities(uid)
            for series in self.studies[uid].values()
            for held in series
            if all(_matches(keyword, held.values[keyword], patterns) for keyword, patterns in keys.items())
        ]

    def _modalities(self, study: str) -> set[str]:
        return {series[0].values["Modality"] for series in self.studies[study].values()}

    def _answer(self, held: Held, level: str, wanted: set[str]) -> Dataset:
        answer = Dataset()
        answer.SpecificCharacterSet = "ISO_IR 192"
        answer.QueryRetrieveLevel = level
        answer.InstanceAvailability = "ONLINE"
        names = list(LEVELS)
        above = {keyword for name in names[: names.index(level) + 1] for keyword in LEVELS[name]}
        for keyword in (above & wanted) | {UNIQUE_KEYS[level]}:
            value = held.values[keyword]
            setattr(answer, keyword, int(value) if value and dictionary_VR(keyword) == "US" else value)
        study = self.studies[held.values["StudyInstanceUID"]]
        counts: dict[str, Any] = {
            "NumberOfStudyRelatedSeries": len(study),
            "NumberOfStudyRelatedInstances": sum(map(len, study.values())),
            "ModalitiesInStudy": sorted(self._modalities(held.values["StudyInstanceUID"])),
            "NumberOfSeriesRelatedInstances": len(study[held.values["SeriesInstanceUID"]]),
        }
        for keyword, value in counts.items():
            if keyword in wanted and level == ("STUDY" if keyword in _WITHIN_STUDY else "SERIES"):
                setattr(answer, keyword, value)
        return answer


def _pattern(identifier: Dataset, keyword: str) -> list[str]:
    """Return the values that a key asks for; none means universal matching (PS3.4 C.2.2.2.3)."""
    value = identifier.get(keyword)
    if value is None:
        return []
    # pydicom hands several values out as a sequence, and a name as an object of its own.
    several = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    return [text for text in (str(one).strip() for one in several) if text]


def _matches(keyword: str, value: str, patterns: list[str]) -> bool:
    """Match one value: list of UID, range, wild card, single value (PS3.4 C.2.2.2.1 to C.2.2.2.5)."""
    vr = dictionary_VR(keyword)
    value = value.strip()
    if vr == "UI":
        return value in patterns
    pattern = patterns[0]
    if vr in {"DA", "TM"} and "-" in pattern:
        first, _, last = pattern.partition("-")
        return bool(value) and (not first or value >= first) and (not last or value <= last)
    if vr in {"PN", "LO", "SH", "CS"} and ("*" in pattern or "?" in pattern):
        return fnmatch.fnmatchcase(value.casefold(), pattern.casefold().replace("[", "[[]"))
    return value.casefold() == pattern.casefold() if vr == "PN" else value == pattern
