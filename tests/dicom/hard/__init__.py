"""The hard cases that a de-identification engine must get right, as a generator of files with canaries in them.

Each case has its number in the catalogue of 89 and makes one or more files. Whatever identifies carries ``MARK``, a
date of ``SECRET_YEARS`` or a UID below ``SECRET_ROOT``; none of the three may be found in any output.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from safelight.model import Reason
from tests.dicom.encoding import EXPLICIT, Item, encode, number, part10, text

MARK = "Zqx"
SECRET_ROOT = "1.3.6.1.4.1.55555."
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
CR = "1.2.840.10008.5.1.4.1.1.1"
STUDY_DATE = "19710519"
BIRTH_DATE = "19470313"


@dataclass(frozen=True)
class Hard:
    """One file of a case.

    ``expect``: None where the file must come out, else the reasons that are right for keeping it back.
    ``same`` names keywords whose value must come out as it went in, ``kept`` gives values where no library reads the input.
    """

    data: bytes
    expect: frozenset[Reason] | None = None
    same: tuple[str, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    pixels: bool = True


@dataclass(frozen=True)
class Case:
    numbers: tuple[int, ...]
    name: str
    make: Callable[[Maker], list[Hard]]


CASES: list[Case] = []


def case(*numbers: int) -> Callable[[Callable[[Maker], list[Hard]]], Callable[[Maker], list[Hard]]]:
    def register(function: Callable[[Maker], list[Hard]]) -> Callable[[Maker], list[Hard]]:
        CASES.append(Case(numbers, function.__name__, function))
        return function

    return register


@dataclass
class Maker:
    """Draws everything from a seed; one per case."""

    random: random.Random
    count: int = 0
    study: str = field(default="")

    def __post_init__(self) -> None:
        self.study = self.uid()
        self.series = self.uid()
        self.frame = self.uid()
        self.mrn = f"{MARK}{self.random.randrange(10**6):06d}"

    def uid(self) -> str:
        return f"{SECRET_ROOT}{self.random.randrange(1, 10**20)}"

    def mark(self) -> str:
        """A fresh canary of at most 16 characters."""
        self.count += 1
        return f"{MARK}{self.random.randrange(10**4):04d}"

    def elements(self, sop_class: str = CT, modality: str = "CT", **replace: Item | None) -> list[Item]:
        """A whole small image with canaries in its ordinary places; ``replace`` by tag in hexadecimal, ``t00100010``."""
        sop = self.uid()
        pixels = bytes(self.random.randrange(256) for _ in range(2 * 16 * 16))
        base = [
            text(0x00080005, "CS", "ISO_IR 100"),
            text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
            text(0x00080012, "DA", STUDY_DATE),
            text(0x00080016, "UI", sop_class),
            text(0x00080018, "UI", sop),
            text(0x00080020, "DA", STUDY_DATE),
            text(0x00080021, "DA", STUDY_DATE),
            text(0x00080022, "DA", STUDY_DATE),
            text(0x00080023, "DA", STUDY_DATE),
            text(0x00080030, "TM", "101112"),
            text(0x00080050, "SH", self.mark()),
            text(0x00080060, "CS", modality),
            text(0x00080070, "LO", "Marconi"),
            text(0x00080080, "LO", f"{self.mark()} Hospital"),
            text(0x00080090, "PN", f"{self.mark()}^Doctor"),
            text(0x00081010, "SH", self.mark()),
            text(0x00081030, "LO", f"CT chest {self.mark()}"),
            text(0x0008103E, "LO", f"axial {self.mark()} lung"),
            text(0x00081070, "PN", self.mark()),
            text(0x00100010, "PN", f"{self.mark()}^{self.mark()}"),
            text(0x00100020, "LO", self.mrn),
            text(0x00100030, "DA", BIRTH_DATE),
            text(0x00100040, "CS", "F"),
            text(0x00101010, "AS", "024Y"),
            text(0x00104000, "LT", self.mark()),
            text(0x00180050, "DS", "1.25"),
            text(0x00180060, "DS", "120"),
            text(0x00181000, "LO", self.mark()),
            text(0x0020000D, "UI", self.study),
            text(0x0020000E, "UI", self.series),
            text(0x00200010, "SH", self.mark()),
            text(0x00200011, "IS", "3"),
            text(0x00200013, "IS", "7"),
            text(0x00200032, "DS", "-125.5\\-125.5\\30"),
            text(0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
            text(0x00200052, "UI", self.frame),
            text(0x00204000, "LT", self.mark()),
            number(0x00280002, "US", 1),
            text(0x00280004, "CS", "MONOCHROME2"),
            number(0x00280010, "US", 16),
            number(0x00280011, "US", 16),
            text(0x00280030, "DS", "0.488281\\0.488281"),
            number(0x00280100, "US", 16),
            number(0x00280101, "US", 16),
            number(0x00280102, "US", 15),
            number(0x00280103, "US", 0),
            text(0x00281052, "DS", "-1024"),
            text(0x00281053, "DS", "1"),
            Item(0x7FE00010, "OW", pixels),
        ]
        found = {one.tag: one for one in base}
        for name, one in replace.items():
            found.pop(int(name[1:], 16), None)
            if one is not None:
                found[one.tag] = one
        return [found[tag] for tag in sorted(found)]

    def file(self, elements: list[Item], *, syntax: str = EXPLICIT, tail: bytes = b"") -> bytes:
        """A Part 10 file of these elements."""
        values = {one.tag: one.value for one in elements}
        sop = values.get(0x00080018, b"1.2.3")
        sop_class = values.get(0x00080016, b"")
        assert isinstance(sop, bytes)
        assert isinstance(sop_class, bytes)
        return part10(
            encode(elements, implicit=syntax == "1.2.840.10008.1.2", big=syntax == "1.2.840.10008.1.2.2") + tail,
            syntax=syntax,
            sop_class=sop_class.decode("latin-1").strip("\0 "),
            sop_uid=sop.decode("latin-1").strip("\0 "),
        )

    def ct(self, **replace: Item | None) -> bytes:
        return self.file(self.elements(**replace))


def put(*items: Item) -> dict[str, Item | None]:
    """Elements as keyword arguments for ``Maker.elements``."""
    return {f"t{one.tag:08x}": one for one in items}


def cases(seed: int) -> list[tuple[Case, list[Hard]]]:
    """All files of all cases."""
    from tests.dicom.hard import container, pixels, structure, uids, values  # noqa: F401  they register themselves

    return [(one, one.make(Maker(random.Random(f"{seed}-{one.name}")))) for one in CASES]
