"""Draws profiles with every operation on every VR that takes it, and data sets of every VR, byte by byte."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydicom.datadict import DicomDictionary, private_dictionary_VM

from safelight.dicom.address import Address, parse_address
from safelight.dicom.misfit import OWNED, misfit
from safelight.dicom.standard import attribute_types
from safelight.operation import OPERATIONS, Operation
from tests.dicom.encoding import Elements, Item, padded, text

COMPREHENSIVE_SR: Final = "1.2.840.10008.5.1.4.1.1.88.33"
WORDS: Final = ("chest", "lung", "axial", "bone")
DEVICES: Final = ("acme", "scanmaster")
#: Arguments of each operation, for VRs that need their own.
ARGUMENTS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "num-range": {"AS": {"min": 18, "max": 90}, "": {"min": 3, "max": 70}},
    "map": {"CS": {"values": {"alpha": "FIRST", "BETA": "BETA"}}, "": {"values": {"alpha": "FIRST", "BETA": "BETA"}}},
    "fixed": {
        **{vr: {"value": 7} for vr in ("UL", "US", "UV", "SL", "SS", "SV", "US or SS")},
        "FD": {"value": 1.5}, "FL": {"value": 1.5},
        "AS": {"value": "040Y"}, "DA": {"value": "20000101"}, "DT": {"value": "20000101"}, "DS": {"value": "1.5"},
        "IS": {"value": "7"}, "TM": {"value": "12"}, "UI": {"value": "1.2.840.10008.1.2"}, "": {"value": "ANON"},
    },
}  # fmt: skip
#: Private elements that the dictionary of private elements knows, of as many VRs as it has.
PRIVATE: Final = tuple(
    (group, creator, offset)
    for group, creator, offsets in (
        (0x0019, "SIEMENS MR HEADER", (0x08, 0x0C, 0x0E)),
        (0x0019, "GEMS_ACQU_01", (0x23,)),
        (0x0043, "GEMS_PARM_01", (0x27, 0x6F)),
        (0x2001, "Philips Imaging DD 001", (0x03, 0x2D, 0x69, 0x6E, 0x9F, 0xA3)),
    )
    for offset in offsets
)
_CHARSETS: Final = (None, "ISO_IR 100", "ISO_IR 192", "ISO_IR 144", "GB18030")
_BEYOND: Final = {"ISO_IR 100": ("latin-1", "éß"), "ISO_IR 192": ("utf-8", "山ж"), "ISO_IR 144": ("iso8859_5", "жЩ"),
                  "GB18030": ("gb18030", "王小")}  # fmt: skip
_INTEGERS: Final = {"UL": ("I", 0, 2**32 - 1), "US": ("H", 0, 65535), "UV": ("Q", 0, 2**64 - 1),
                    "SL": ("i", -(2**31), 2**31 - 1), "SS": ("h", -32768, 32767),
                    "SV": ("q", -(2**63), 2**63 - 1)}  # fmt: skip
_BLOCKS: Final = {"OB": 2, "OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8, "UN": 2}
#: Written by the tests themselves, or of a meaning that reaches beyond their own value.
_LEFT_OUT: Final = frozenset(
    {0x00080005, 0x00080016, 0x00080018, 0x00080060, 0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120,
     0x00100020, 0x00100030, 0x00201115, 0x0020000D, 0x0020000E, 0x00280103, 0x00282000}
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """One element of the dictionary: its tag (for a private one group and offset), VR, multiplicity and creator."""

    tag: int
    vr: str
    vm: str
    creator: str = ""

    @property
    def address(self) -> Address:
        return Address(self.tag, self.creator)


@cache
def elements_of(each: int = 4) -> tuple[Known, ...]:
    """So many elements of each VR and multiplicity of the dictionary (ranges of VRs included), the private ones after."""
    found: dict[tuple[str, str], list[Known]] = {}
    for tag, (vr, vm, _, _, keyword) in sorted(DicomDictionary.items()):
        plain = 0x0008 <= tag >> 16 < 0x7FE0 and tag >> 16 & 0xFF00 not in (0x5000, 0x6000)
        # A profile that takes away what the class must have is refused when it loads.
        plain = plain and attribute_types(COMPREHENSIVE_SR).get(tag) != "1"
        if plain and vr != "NONE" and keyword and keyword not in OWNED and tag not in _LEFT_OUT and vm in _COUNTS:
            found.setdefault((vr, vm), []).append(Known(tag, vr, vm))
    drawn = random.Random("elements")
    standard = [known for group in found.values() for known in drawn.sample(group, min(each, len(group)))]
    private = [
        Known(group << 16 | offset, vr, str(private_dictionary_VM(group << 16 | 0x1000 | offset, creator)), creator)
        for group, creator, offset in PRIVATE
        if (vr := Address(group << 16 | offset, creator).vr())
    ]
    return tuple(sorted([*standard, *private], key=lambda known: (known.tag, known.creator)))


_COUNTS: Final = {
    "1": (1,),
    "2": (2,),
    "3": (3,),
    "1-n": (1, 2, 4),
    "2-2n": (2, 4),
    "1-2": (1, 2),
    "3-3n": (3,),
    "2-n": (2, 3),
}


def operations_on(known: Known) -> list[dict[str, Any]]:
    """Every rule that the profile language allows on an element."""
    found = []
    for name, kind in sorted(OPERATIONS.items()):
        by_vr = ARGUMENTS.get(name, {})
        rule = {"op": name, **by_vr.get(known.vr, by_vr.get("", {}))}
        operation: Operation = kind.model_validate(rule)
        if misfit(known.address, operation) is None:
            found.append(rule)
    return found


def profile(turn: int) -> dict[str, Any]:
    """A profile of these elements; after as many turns as there are operations each has met each that it takes."""
    rules: dict[str, Any] = {}
    for number, known in enumerate(elements_of()):
        allowed = operations_on(known)
        # A sequence that goes takes its items with it: most of them stay.
        rule = (
            allowed[(number + turn) % len(allowed)] if known.vr != "SQ" else allowed[1 if (number + turn) % 4 else turn % 3]
        )
        rules[str(known.address)] = rule
        assert parse_address(str(known.address)) == known.address
    own = {"Modality": {"op": "keep"}, "PatientID": {"op": "secure-hash"}, "PixelRepresentation": {"op": "keep"},
           "SeriesInstanceUID": {"op": "uid"}}  # fmt: skip
    return {
        "name": "every",
        "dicom": {
            "sop_classes": ["comprehensive-sr"],
            "words": list(WORDS),
            "vocabularies": {"devices": list(DEVICES)},
            "elements": own | rules,
        },
    }


class Drawing:
    """One data set of every kind of element, nested; all from a seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self.signed = self.random.random() < 0.5

    def dataset(self) -> Elements:
        charset = self.random.choice(_CHARSETS)
        own = [
            text(0x00080016, "UI", COMPREHENSIVE_SR),
            text(0x00080018, "UI", f"1.2.826.{self.random.randrange(10**20)}"),
            text(0x00080060, "CS", "SR"),
            text(0x00100020, "LO", f"MRN {self.random.randrange(10**6)}"),
            text(0x0020000D, "UI", f"1.2.826.1.{self.random.randrange(10**20)}"),
            text(0x0020000E, "UI", f"1.2.826.2.{self.random.randrange(10**20)}"),
            Item(0x00280103, "US", struct.pack("<H", self.signed)),
        ]
        return self._level(own, charset, depth=0, most=70)

    def _level(self, own: Elements, charset: str | None, *, depth: int, most: int) -> Elements:
        found = {item.tag: item for item in own}
        if charset is not None and (depth == 0 or self.random.random() < 0.5):
            found[0x00080005] = text(0x00080005, "CS", charset)
        chosen = self.random.sample(elements_of(), most)
        if self.random.random() < 0.7:
            chosen.append(self.random.choice([known for known in elements_of() if known.vr == "SQ"]))
        blocks: dict[tuple[int, str], int] = {}
        for known in chosen:
            if known.vr == "SQ" and depth >= 5:
                continue
            tag = known.tag
            if known.creator:
                tag = self._private(known, blocks, found)
            vr, value = self._value(known, charset, depth)
            found[tag] = Item(tag, vr, value, undefined=isinstance(value, list) and self.random.random() < 0.4)
        return [found[tag] for tag in sorted(found)]

    def _private(self, known: Known, blocks: dict[tuple[int, str], int], found: dict[int, Item]) -> int:
        group = known.tag >> 16
        key = (group, known.creator)
        if key not in blocks:
            free = [block for block in range(0x10, 0x100) if (group << 16 | block) not in found]
            blocks[key] = self.random.choice(free)
            found[group << 16 | blocks[key]] = text(group << 16 | blocks[key], "LO", known.creator)
            # Beside what rules know, something of the same block that they do not.
            more = group << 16 | blocks[key] << 8 | 0xFE
            found[more] = text(more, "LO", "NOBODY KNOWS")
        return group << 16 | blocks[key] << 8 | known.tag & 0xFF

    def _value(self, known: Known, charset: str | None, depth: int) -> tuple[str, bytes | list[Elements]]:
        vr = self._vr(known.vr)
        if vr == "SQ":
            most = max(2, 14 - 3 * depth)
            items = self.random.choice((0, 1, 1, 2)) if depth < 4 else 1
            return vr, [self._level([], charset, depth=depth + 1, most=most) for _ in range(items)]
        if self.random.random() < 0.1:
            return vr, b""
        count = self.random.choice(_COUNTS.get(known.vm, (1,)))
        if vr in _INTEGERS:
            code, low, high = _INTEGERS[vr]
            values = [self.random.choice((low, high, 0, 5, self.random.randint(low, high))) for _ in range(count)]
            return vr, struct.pack(f"<{count}{code}", *values)
        if vr in ("FD", "FL"):
            numbers = [self.random.choice((0.0, -1.5, 70.0, 1e30, self.random.uniform(-99, 99))) for _ in range(count)]
            return vr, struct.pack(f"<{count}{'d' if vr == 'FD' else 'f'}", *numbers)
        if vr == "AT":
            tags = (0x00100010, 0x00181063, 0x00191001, 0x00180001 if self.random.random() < 0.2 else 0x00200032)
            return vr, b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in self.random.choices(tags, k=count))
        if vr in _BLOCKS:
            return vr, self.random.randbytes(_BLOCKS[vr] * self.random.randint(1, 5))
        return vr, self._text(vr, count, charset)

    def _vr(self, vr: str) -> str:
        choices = vr.split(" or ")
        if "SS" in choices and "US" in choices:
            # What Implicit VR would have it read as: the file says the same in each encoding.
            return "SS" if self.signed else "US"
        return choices[-1] if "OW" in choices else choices[0]

    def _text(self, vr: str, count: int, charset: str | None) -> bytes:
        separator = "" if vr in ("LT", "ST", "UT", "UR") else "\\"
        values = [self._one(vr) for _ in range(count if separator else 1)]
        if count > 1 and self.random.random() < 0.2:
            values[0] = ""
        joined = (separator or " ").join(values)
        codec = "ascii"
        if charset in _BEYOND and vr in ("LO", "LT", "PN", "SH", "ST", "UC", "UT") and self.random.random() < 0.3:
            codec, letters = _BEYOND[charset]
            joined = f"{letters} {joined}"
        return padded(joined.encode(codec), vr)

    def _one(self, vr: str) -> str:
        pick = self.random.choice
        day = f"{self.random.randint(1902, 2030):04d}{self.random.randint(1, 12):02d}{self.random.randint(1, 28):02d}"
        match vr:
            case "AE":
                return pick(("STORE1", "Alpha", "beta", "a_b-c"))
            case "AS":
                return pick(("000D", "006M", "030W", "017Y", "045Y", "091Y", "999Y"))
            case "CS":
                return pick(("ALPHA", "BETA", "ANYTHING ELSE", "A_1", "", "lower", "A1234567"))
            case "DA":
                return pick((day, day, "19120229", f"{day[:4]}.{day[4:6]}.{day[6:]}", "1947", "19470313-19470315"))
            case "DS":
                return pick(("1.5", "-17", "70", "100.25", "1e2", "+3.0", "words", "0.333333333333333333"))
            case "DT":
                return pick(
                    (day, f"{day}101112", f"{day}101112.123456+0100", f"{day}10-0500", day[:4], day[:6], "born then")
                )
            case "IS":
                return pick(("0", "-5", "70", "99999", "+4", "4.5"))
            case "PN":
                return pick(("Alpha", "beta", "Zqx^Jo^^Dr", "Zqx^Jo=Zqx^Jo", "Zqx"))
            case "TM":
                return pick(("10", "1011", "101112", "101112.5", "10:11:12", "25"))
            case "UI":
                return pick(("1.2.840.10008.1.2.1", f"1.2.826.{self.random.randrange(10**12)}", "1.2.3"))
            case "UR":
                return pick(("https://example.org/a", "urn:uuid:1"))
            case "UT" | "LT" | "ST":
                return pick((self._words(), self._words(), " ".join(self._words() for _ in range(40)), "alpha"))
            case "SH":
                return pick(("alpha", "Beta", "Zqx", "bone 4711", "chest 12 lung"))
            case _:
                return pick(("alpha", "Beta", "Zqx", self._words()))

    def _words(self) -> str:
        words = (*WORDS, *DEVICES, "Zqx", "Jones", "12", "4711", "123456")
        return " ".join(self.random.choice(words) for _ in range(self.random.randint(1, 4)))


def converted(elements: Elements, seed: str) -> Elements:
    """The same with elements of VR UN among them, as some converters write them (PS3.5 section 6.2.2)."""
    drawn = random.Random(seed)
    found = []
    for one in elements:
        value = one.value if isinstance(one.value, bytes) else [converted(item, seed) for item in one.value]
        # What is in a sequence of VR UN is in Implicit VR, where a VR of its own has no place.
        unknown = one.tag >> 16 not in (0x0008, 0x0010, 0x0020) and one.tag != 0x00280103 and not one.tag >> 16 & 1
        if unknown and drawn.random() < 0.3:
            found.append(Item(one.tag, "UN", one.value, one.undefined))
        else:
            found.append(Item(one.tag, one.vr, value, one.undefined))
    return found
