"""How a profile names an element: keyword, ``(gggg,eeee)``, repeating group ``(60xx,eeee)``, or private by creator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pydicom.datadict import DicomDictionary, RepeatersDictionary, keyword_dict, private_dictionary_VR

from safelight.dicom.standard import element_tag, element_vr

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),\s*([0-9A-Fa-f]{4})\)?")
_REPEATING = re.compile(r"\(?([0-9A-Fa-f]{2})[xX]{2},\s*([0-9A-Fa-f]{4})\)?")
_PRIVATE = re.compile(r"\(?([0-9A-Fa-f]{4}),\s*\"?([^\",][^,]{0,63}?)\"?,\s*(?:[xX]{2})?([0-9A-Fa-f]{2})\)?")
#: Repeating groups are even numbers 6000..601E and 5000..501E (PS3.5 section 7.6).
REPEATS: Final = tuple(range(0, 0x20, 2))


@dataclass(frozen=True, order=True)
class Address:
    """One element, or one of a family of them.

    ``tag`` is (group << 16 | element). A private element has ``creator`` and its offset (0x00..0xFF) in the low byte
    of ``tag``; a repeating one (``repeating``) has its lowest tag.
    """

    tag: int
    creator: str = ""
    repeating: bool = False

    @property
    def group(self) -> int:
        """The group number."""
        return self.tag >> 16

    def tags(self) -> tuple[int, ...]:
        """Return all tags that the address stands for; none for a private element."""
        if self.creator:
            return ()
        return tuple(self.tag + (step << 16) for step in REPEATS) if self.repeating else (self.tag,)

    def vr(self) -> str:
        """Return the dictionary's VR (``US or SS`` where the standard leaves a choice), or an empty text."""
        if self.creator:
            try:
                return str(private_dictionary_VR((self.group << 16) | 0x1000 | (self.tag & 0xFF), self.creator))
            except KeyError:
                return ""
        return element_vr(self.tag)

    def __str__(self) -> str:
        """Return the form that a profile has it in."""
        if self.creator:
            return f"({self.group:04X},{self.creator},{self.tag & 0xFF:02X})"
        if self.repeating:
            return f"({self.group >> 8:02X}xx,{self.tag & 0xFFFF:04X})"
        return keyword_of(self.tag) or f"({self.group:04X},{self.tag & 0xFFFF:04X})"


def keyword_of(tag: int) -> str:
    """Return the keyword of a standard tag, or an empty text."""
    entry = DicomDictionary.get(tag)
    return entry[4] if entry else ""


def parse_address(text: str) -> Address | None:
    """Read one element's name as profiles write it, or return None where it is not one.

    ``(gggg,eeee)`` with an odd group is refused: a private element's number depends on the file; give its creator.
    """
    text = text.strip()
    if text in keyword_dict:
        return Address(keyword_dict[text])
    if (tag := element_tag(text)) is not None:
        return Address(tag)
    if match := _TAG.fullmatch(text):
        tag = int(match[1] + match[2], 16)
        return None if (tag >> 16) & 1 else Address(tag)
    if match := _REPEATING.fullmatch(text):
        tag = int(f"{match[1]}00{match[2]}", 16)
        known = f"{match[1].upper()}xx{match[2].upper()}" in RepeatersDictionary
        return Address(tag, repeating=True) if known else None
    if match := _PRIVATE.fullmatch(text):
        group, creator, offset = int(match[1], 16), match[2].strip(), int(match[3], 16)
        return Address(group << 16 | offset, creator) if group & 1 and group > 8 else None
    return None
