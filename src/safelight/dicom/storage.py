"""Storage classes by what has to happen to them: which can come out at all, and why the others can't."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from pydicom.uid import UID_dictionary

from safelight.dicom.standard import storage_classes
from safelight.model import Reason

DICOMDIR: Final = "1.2.840.10008.1.3.10"
_S: Final = "1.2.840.10008.5.1.4.1.1."
#: Classes that can't be cleaned by rules on elements, with the reason.
WITHHELD: Final = {
    DICOMDIR: Reason.DICOMDIR,
    f"{_S}104.1": Reason.ENCAPSULATED_DOCUMENT,
    f"{_S}104.2": Reason.ENCAPSULATED_DOCUMENT,
    f"{_S}104.3": Reason.ENCAPSULATED_DOCUMENT,
    f"{_S}104.4": Reason.ENCAPSULATED_DOCUMENT,
    f"{_S}104.5": Reason.ENCAPSULATED_DOCUMENT,
    f"{_S}77.1.1.1": Reason.VIDEO,
    f"{_S}77.1.2.1": Reason.VIDEO,
    f"{_S}77.1.4.1": Reason.VIDEO,
    f"{_S}66": Reason.RAW_DATA,
    f"{_S}4.2": Reason.RAW_DATA,
    f"{_S}12.77": Reason.SOP_CLASS_NOT_ALLOWED,
}
#: MPEG-2, MPEG-4, HEVC and SMPTE ST 2110 (PS3.5 sections 8.2.5 to 8.2.8 and 10.15 to 10.17).
VIDEO_SYNTAXES: Final = (*tuple(f"1.2.840.10008.1.2.4.10{digit}" for digit in range(10)), "1.2.840.10008.1.2.7.")
_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "rt": tuple(f"{_S}481.{number}" for number in (1, 2, 3, 4, 5, 8, 9)),
    "segmentations": (f"{_S}66.4", f"{_S}66.1", f"{_S}66.2", f"{_S}66.3", f"{_S}66.5", f"{_S}66.7", f"{_S}67"),
    "presentation-states": tuple(f"{_S}11.{number}" for number in range(1, 13)),
    "structured-reports": tuple(
        f"{_S}88.{number}" for number in (11, 22, 33, 34, 35, 40, 50, 59, 65, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76)
    ),
    "secondary-captures": tuple(f"{_S}7{suffix}" for suffix in ("", ".1", ".2", ".3", ".4")),
    "waveforms": tuple(uid for uid in storage_classes() if uid.startswith(f"{_S}9.")),
}
_NOT_IMAGES: Final = (
    "104.", "11.", "12.77", "130", "131", "200.", "201.", "34.", "4.2", "481.", "66", "67", "68", "77.1.1.1", "77.1.2.1",
    "77.1.4.1", "77.1.5", "78.", "79.", "80.", "81.", "82.", "88.", "9.", "90.", "91.",
)  # fmt: skip
#: Images among the families that mostly hold none: ophthalmic photographs and tomograms, RT images, parametric maps.
_IMAGES: Final = (f"{_S}77.1.5.1", f"{_S}77.1.5.2", f"{_S}77.1.5.4", f"{_S}77.1.5.7", f"{_S}77.1.5.8", f"{_S}481.1",
                  f"{_S}30", f"{_S}130")  # fmt: skip


@cache
def _images() -> tuple[str, ...]:
    names = [uid for uid in storage_classes() if uid.startswith(_S)]
    # Retired classes still fill archives; pydicom's dictionary knows them, the module tables do not.
    names += [
        uid for uid, row in UID_dictionary.items() if uid.startswith(_S) and row[1] == "SOP Class" and "Image" in row[0]
    ]
    images = {
        uid
        for uid in names
        if not any(uid[len(_S) :] == part.rstrip(".") or uid[len(_S) :].startswith(part) for part in _NOT_IMAGES)
    }
    return tuple(sorted((images | set(_IMAGES)) - set(WITHHELD)))


def class_kinds() -> list[str]:
    """Return the names that stand for families of storage classes."""
    return sorted([*_KINDS, "images"])


def expand_classes(names: Iterable[str]) -> frozenset[str]:
    """Return the UIDs behind UIDs, names of definitions (``ct-image``) and family names.

    Raises:
        ValueError: a name that is none of these; its text quotes the name.
    """
    by_name: dict[str, list[str]] = {}
    for uid, name in storage_classes().items():
        by_name.setdefault(name, []).append(uid)
    found: set[str] = set()
    for name in names:
        if name == "images":
            found.update(_images())
        elif name in _KINDS:
            found.update(_KINDS[name])
        elif name in by_name:
            found.update(by_name[name])
        elif name in UID_dictionary and UID_dictionary[name][1] == "SOP Class":
            found.add(name)
        else:
            raise ValueError(f"'{name}'")
    return frozenset(found - set(WITHHELD))


def is_video(transfer_syntax: str) -> bool:
    """Tell whether the transfer syntax holds a video stream."""
    return transfer_syntax.startswith(VIDEO_SYNTAXES)
