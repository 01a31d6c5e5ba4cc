"""The same profile, done slowly and plainly: pydicom reads the file, values are taken apart one by one.

Of the product it takes the rules, the pseudonyms, and the tables of the standard; nothing of the engine.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VM, private_dictionary_VM
from pydicom.dataset import Dataset

from safelight.dicom.address import Address
from safelight.dicom.dummies import DUMMIES
from safelight.dicom.rules import DicomRules
from safelight.dicom.standard import attribute_types, nested_types
from safelight.operation import Fixed, Map, NumRange, Operation
from safelight.pseudonym import VR_LIMITS, Pseudonymizer, plain_hash

DOMAINS: Final = {"PatientID": "patient", "OtherPatientIDs": "patient", "AccessionNumber": "accession", "StudyID": "study",
                  "PatientName": "patient", "IssuerOfPatientID": "issuer"}  # fmt: skip
CODECS: Final = {"ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8", "ISO_IR 144": "iso8859_5", "GB18030": "gb18030"}
WIDTHS: Final = {"US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4, "FD": 8, "OD": 8, "OV": 8,
                 "SV": 8, "UV": 8}  # fmt: skip
NUMBERS: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
LENGTHS: Final = {"AE": 16, "LO": 64, "SH": 16, "PN": 324, "LT": 10240, "ST": 1024}
FREE_TEXT: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
#: Numbers of content items are looked at one by one, for any can be an age.
OF_ITEMS: Final = frozenset({"FloatingPointValue", "RationalNumeratorValue", "RationalDenominatorValue"})
WHOLE: Final = frozenset({"LT", "ST", "UT", "UR"})
BINARY: Final = frozenset({*NUMBERS, "AT", "OB", "OW", "OF", "OL", "OD", "OV", "UN"})
FORMS: Final = {
    "AE": r"[ -~]*", "AS": r"\d{3}[DWMY]", "CS": r"(?!.*\d{6})[A-Z0-9 _]{0,16}",
    "DS": r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *",
    "IS": r" *[+-]?\d+ *", "UI": r"[0-9.]*", "DA": r"\d{8}", "TM": r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?",
    "DT": r"\d{4}(\d\d(\d\d(\d\d(\d\d(\d\d(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?",
}  # fmt: skip
#: Tag, VR, and value or items of each element.
Found = list[tuple[int, str, "bytes | list[Found]"]]


@dataclass(frozen=True)
class Level:
    """What holds for the elements of one data set or item."""

    types: dict[int, str]
    codec: str
    top: bool


class PlainDeidentifier:
    """Applies rules element by element."""

    def __init__(
        self, rules: DicomRules, pseudonymizer: Pseudonymizer, clean_text: Callable[[str, None, int], str] | None = None
    ) -> None:
        self.rules = rules
        self.pseudonymizer = pseudonymizer
        self.clean_text = clean_text

    def run(self, dataset: Dataset) -> Found:
        """Return what should come of a data set just read, in order; values as Little Endian has them."""
        self.big = dataset.original_encoding[1] is False
        patient, sop_class = (self.raw(dataset.get_item(tag)).decode().strip(" \0") for tag in (0x00100020, 0x00080016))
        self.days = self.pseudonymizer.date_shift(patient)
        self.signed = any(dataset.get_item(0x00280103).value)
        return self.level(dataset, Level(attribute_types(sop_class), "", top=True))

    def level(self, dataset: Dataset, at: Level) -> Found:
        out: dict[int, tuple[str, bytes | list[Found]]] = {}
        # Before pydicom takes any of them apart.
        elements = {tag: dataset.get_item(tag, keep_deferred=True) for tag in sorted(dataset.keys())}
        declared = dataset.get_item(0x00080005)
        if declared is not None:
            at = Level(at.types, CODECS[self.raw(declared).decode().strip()], at.top)
        for tag, element in elements.items():
            if tag.is_private_creator:
                continue
            creator = str(dataset[tag.group, tag.element >> 8].value) if tag.is_private else ""
            address = Address(tag.group << 16 | tag.element & 0xFF, creator) if creator else Address(int(tag))
            operation = self.rules.operation(address)
            vr = self.vr(element, address)
            unknown = element.VR == "UN"
            if operation is None or operation.op == "remove":
                if at.types.get(tag) == "2":
                    self.put(out, tag, self.first(address), b"")
                continue
            if creator:
                self.put(out, tag.group << 16 | tag.element >> 8, "LO", creator.encode())
            if vr == "SQ" and operation.op == "keep":
                inside = Level(nested_types().get(int(tag), {}), at.codec, top=False)
                out[tag] = "SQ", [self.level(item, inside) for item in dataset[tag].value]
                continue
            value = b"" if vr == "SQ" else self.change(vr, address, operation, self.raw(element), at.codec)
            if unknown and operation.op == "keep" and not self.checked(vr, address):
                value = None
            if value is None:
                value = self.fallback(address, operation, at)
            if value is not None:
                self.put(out, tag, self.first(address) if operation.op in {"fixed", "empty"} else vr, value)
        return [(tag, *out[tag]) for tag in sorted(out)]

    @staticmethod
    def checked(vr: str, address: Address) -> bool:
        """Whether a value that the file calls unknown can be told from what would be illegal in its place."""
        if vr not in BINARY:
            return vr not in FREE_TEXT
        vm = (
            private_dictionary_VM(address.group << 16 | 0x1000 | address.tag & 0xFF, address.creator)
            if address.creator
            else dictionary_VM(address.tag)
        )
        return vr == "AT" or str(address) in OF_ITEMS or (vr in NUMBERS and " or " not in address.vr() and vm.isdigit())

    def fallback(self, address: Address, operation: Operation, at: Level) -> bytes | None:
        """What stands for a value that goes: nothing where it may be empty, a dummy where it must be there."""
        kind = at.types.get(address.tag, "3") if not address.creator else "3"
        if kind.startswith("2"):
            return b""
        dummy = DUMMIES.get(address.vr())
        closed = operation.op in {"clean-text", "map", "vocabulary"}
        return str(dummy).encode() if kind.startswith("1") and closed and dummy is not None else None

    @staticmethod
    def first(address: Address) -> str:
        vrs = address.vr().split(" or ")
        return "OW" if "OW" in vrs else vrs[0]

    @staticmethod
    def put(out: dict[int, tuple[str, bytes | list[Found]]], tag: int, vr: str, value: bytes) -> None:
        if vr == "SQ":
            out[tag] = vr, []
        elif len(value) % 2:
            out[tag] = vr, value + (b" " if vr not in BINARY and vr != "UI" else b"\0")
        else:
            out[tag] = vr, value

    def vr(self, element: Any, address: Address) -> str:
        known = element.VR if element.VR != "UN" else ""
        known = known or address.vr() or "UN"
        choices = str(known).split(" or ")
        if len(choices) == 1:
            return choices[0]
        if "SS" not in choices or ("OW" in choices and len(element.value or b"") > 6):
            return "OW"
        return "SS" if self.signed else "US"

    def raw(self, element: Any) -> bytes:
        value = element.value or b""
        if isinstance(value, str):
            # pydicom has read the character set already.
            return value.encode() + b" " * (len(value) % 2)
        width = WIDTHS.get(element.VR, 1) if self.big else 1
        return b"".join(value[at : at + width][::-1] for at in range(0, len(value), width))

    # -- operations

    def change(self, vr: str, address: Address, operation: Operation, raw: bytes, codec: str) -> bytes | None:
        if operation.op == "empty":
            return b""
        if isinstance(operation, Fixed):
            form = NUMBERS.get(self.first(address))
            return struct.pack(f"<{form}", operation.value) if form else str(operation.value).encode()
        if operation.op in {"keep", "vocabulary"}:
            return self.keep(vr, raw, codec, words=operation.op == "vocabulary")
        if isinstance(operation, NumRange) and vr in NUMBERS:
            form = NUMBERS[vr]
            numbers = struct.unpack(f"<{len(raw) // struct.calcsize(form)}{form}", raw)
            clamped = [min(max(one, operation.min or 0), operation.max or 0) for one in numbers]
            return struct.pack(f"<{len(numbers)}{form}", *(clamped if form in "fd" else map(int, clamped)))
        if not raw.strip(b" \0"):
            return b""
        text = raw.decode(codec or "ascii").strip(" \0")
        if operation.op == "clean-text" and len(text) > 128:
            return self.clean_text(text, None, self.days).encode() if self.clean_text else None
        parts = [text] if vr in WHOLE else raw.decode(codec or "ascii").split("\\")
        new = [self.one(vr, address, part.strip(" \0"), operation) if part.strip(" \0") else "" for part in parts]
        if len(new) == 1:
            return None if new[0] is None else new[0].encode()
        return "\\".join(one or "" for one in new).encode() if any(new) else None

    def keep(self, vr: str, raw: bytes, codec: str, *, words: bool) -> bytes | None:
        if vr == "AT":
            pairs = struct.iter_unpack("<HH", raw)
            return raw if all(group % 2 or dictionary_has_tag(group << 16 | number) for group, number in pairs) else None
        if vr in BINARY:
            return raw
        if not raw.isascii() and not words and (vr not in FREE_TEXT or not codec):
            return None
        if words:
            parts = raw.decode("latin-1").split("\\")
            new = [part if self.known(part) else self.only_known(part) for part in parts]
            return raw if new == parts else "\\".join(new).rstrip().encode() if any(new) else None
        parts = [raw.decode(codec or "ascii")] if vr in WHOLE else raw.decode(codec or "ascii").split("\\")
        if vr in LENGTHS and not raw.isascii() and any(len(part.rstrip(" \0")) > LENGTHS[vr] for part in parts):
            return None
        kept = [self.legal(vr, part) for part in parts]
        if kept == parts:
            return raw
        return "\\".join(one or "" for one in kept).rstrip(" \0").encode(codec or "ascii") if any(kept) else None

    def legal(self, vr: str, value: str) -> str | None:
        shown = value.rstrip(" \0")
        if not shown or re.fullmatch(FORMS.get(vr, "(?s).*"), shown):
            return value if len(shown) <= LENGTHS.get(vr, 10**9) else None
        if vr == "DA" and re.fullmatch(r"\d{4}([.-])\d\d\1\d\d", shown):
            return re.sub(r"\D", "", shown)
        return shown.replace(":", "") if vr == "TM" and re.fullmatch(r"\d\d:\d\d(:\d\d)?", shown) else None

    def known(self, text: str) -> bool:
        return self.only_known(text) == text.strip() and text.isascii()

    def only_known(self, text: str) -> str:
        """The listed words, and numbers that have no more than four digits with their neighbours."""
        listed = self.rules.words | self.rules.devices
        return _chosen(text, lambda word: word.casefold() in listed)

    def one(self, vr: str, address: Address, value: str, operation: Operation) -> str | None:
        if operation.op in {"date-shift", "date-floor"}:
            return self.moved(vr, value, floor=operation.op == "date-floor")
        if operation.op == "uid":
            return self.pseudonymizer.uid(value)
        if operation.op in {"hash", "secure-hash"}:
            groups = value.split("=")[:3] if vr == "PN" else [value]
            return "=".join(self.digest(vr, address, group, keyed=operation.op == "secure-hash") for group in groups).rstrip(
                "="
            )
        if operation.op == "clean-text":
            return _chosen(value, lambda word: word.casefold() in self.rules.words) or None
        if isinstance(operation, Map):
            return operation.table().get(value.casefold())
        assert isinstance(operation, NumRange)
        return self.clamped(vr, value, operation.min or 0, operation.max or 0)

    def digest(self, vr: str, address: Address, value: str, *, keyed: bool) -> str:
        if not value.strip():
            return ""
        if not keyed:
            return plain_hash(value, 48 if VR_LIMITS[vr] >= 64 else 12)
        domain = DOMAINS.get(str(address)) or f"{address.tag:08x}"
        return self.pseudonymizer.secure_hash(value, domain, limit=min(64, VR_LIMITS[vr]))

    def clamped(self, vr: str, value: str, low: float, high: float) -> str:
        if not re.fullmatch(FORMS[vr], value):
            return ""
        if vr == "AS":
            years = int(value[:3]) / {"D": 365.25, "W": 365.25 / 7, "M": 12, "Y": 1}[value[3]]
            return value if low <= years <= high else f"{int(min(max(years, low), high)):03d}Y"
        number = min(max(float(value), low), high)
        return value if number == float(value) else str(int(number)) if vr == "IS" else str(number)

    def moved(self, vr: str, value: str, *, floor: bool) -> str:
        if re.fullmatch(r"\d{4}([.-])\d\d\1\d\d", value):
            value = re.sub(r"\D", "", value)
        if not re.fullmatch(FORMS[vr], value):
            return ""
        digits, zone = re.fullmatch(r"([\d.]+)(.*)", value).groups()  # type: ignore[union-attr]
        day = date(int(digits[:4]), int(digits[4:6] or 1), int(digits[6:8] or 1))
        if floor:
            return f"{day.year:04d}0101"[: min(8, len(digits))] + re.sub(r"\d", "0", digits[8:]) + zone
        shifted = (day + timedelta(self.days)).strftime("%Y%m%d")[: min(8, len(digits))]
        return "" if shifted == digits[:8] else shifted + digits[8:] + zone


def _chosen(text: str, listed: Callable[[str], bool]) -> str:
    kept: list[str] = []
    for run in re.findall(r"\d+(?: \d+)*|[^\W_]+", text):
        if run[0].isdigit():
            kept += [run] if sum(map(str.isdigit, run)) <= 4 else []
        elif run.isascii() and listed(run):
            kept.append(run)
    return " ".join(kept)
