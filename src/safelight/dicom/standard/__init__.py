"""What the standard says, as data of one edition: PS3.15 table E.1-1, storage classes with their attributes' types.

``generate.py`` makes the JSON files and names their sources; ``NOTICE`` their licences.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

from pydicom.datadict import dictionary_VR

#: Options of PS3.15 E.3 by their name in profiles, with their code and meaning in CID 7050 (PS3.16).
OPTIONS: Final = {
    "clean_pixel_data": ("113101", "Clean Pixel Data Option"),
    "clean_recognizable_visual_features": ("113102", "Clean Recognizable Visual Features Option"),
    "clean_graphics": ("113103", "Clean Graphics Option"),
    "clean_structured_content": ("113104", "Clean Structured Content Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "retain_longitudinal_full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "retain_longitudinal_modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain_device_identity": ("113109", "Retain Device Identity Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_safe_private": ("113111", "Retain Safe Private Option"),
    "retain_institution_identity": ("113112", "Retain Institution Identity Option"),
}
BASIC_PROFILE: Final = ("113100", "Basic Application Confidentiality Profile")


@dataclass(frozen=True)
class Confidentiality:
    """One row of PS3.15 table E.1-1: the Basic Profile's action and what options make of it."""

    action: str
    options: dict[str, str]
    name: str


@cache
def _file(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(resources.files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return data


@cache
def confidentiality() -> dict[int, Confidentiality]:
    """Return table E.1-1 by tag; a repeating group stands under its lowest tag."""
    rows = {}
    for tag, (action, options, name) in _file("confidentiality")["rules"].items():
        if tag != "PRIVATE" and tag != "50xxxxxx":
            rows[int(tag.replace("xx", "00"), 16)] = Confidentiality(action, options, name)
    return rows


@dataclass(frozen=True)
class ContentConcept:
    """One row of PS3.15 table E.3.4-1: what becomes of a content item of this concept (scheme, code)."""

    concept: tuple[str, str]
    value_type: str
    action: str
    options: dict[str, str]


@cache
def content_concepts() -> tuple[ContentConcept, ...]:
    """Return table E.3.4-1."""
    rows = _file("content")["items"]
    return tuple(ContentConcept((scheme, code), kind, action, options) for scheme, code, kind, action, options in rows)


@cache
def storage_classes() -> dict[str, str]:
    """Return every standard storage class: UID -> name of its information object definition."""
    return dict(_file("classes")["classes"])


@cache
def attribute_types(sop_class: str) -> dict[int, str]:
    """Return the top-level attributes of a storage class that are not type 3: tag -> 1, 1C, 2 or 2C (PS3.3)."""
    iod = storage_classes().get(sop_class)
    grouped: dict[str, list[str]] = _file("classes")["iods"].get(iod, {}) if iod else {}
    return {int(tag, 16): kind for kind, tags in grouped.items() for tag in tags}


@cache
def nested_types() -> dict[int, dict[int, str]]:
    """Return the types inside sequences: sequence's tag -> {tag: 1, 1C or 2}, the strongest of all modules."""
    return {
        int(parent, 16): {int(tag, 16): kind for kind, tags in children.items() for tag in tags}
        for parent, children in _file("classes")["nested"].items()
    }


@cache
def attributes() -> frozenset[int]:
    """Return the tags of all attributes that any storage class knows, at any depth."""
    return frozenset(int(tag, 16) for tag in _file("classes")["attributes"])


@cache
def safe_private() -> dict[tuple[int, str, int], str]:
    """Return the private elements of PS3.15 table E.3.10-1: (group, creator, offset) -> VR."""
    return {(int(group, 16), creator, int(offset, 16)): vr for group, creator, offset, vr, _ in _file("private")["elements"]}


@cache
def _newer() -> dict[str, int]:
    """Keywords of table E.1-1 that pydicom's dictionary does not have yet."""
    found = {}
    for tag, row in confidentiality().items():
        if not element_vr(tag):
            found["".join(part[0].upper() + part[1:] for part in row.name.replace("-", " ").split())] = tag
    return found


def element_tag(keyword: str) -> int | None:
    """Return the tag of a keyword that is newer than pydicom's dictionary."""
    return _newer().get(keyword)


@lru_cache(maxsize=8192)
def element_vr(tag: int) -> str:
    """Return the dictionary's VR of a standard tag (``US or SS`` where it leaves a choice), or an empty text."""
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return ""
