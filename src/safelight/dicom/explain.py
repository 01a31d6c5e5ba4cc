"""Says, for each element of a file, which rule applies and what becomes of it; never a value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from safelight.dicom.address import Address
from safelight.dicom.container import read_container
from safelight.dicom.quiet import quiet_pydicom
from safelight.dicom.recode import read_bare
from safelight.dicom.rules import DicomRules
from safelight.dicom.stamps import REPLACED
from safelight.dicom.standard import attribute_types, confidentiality
from safelight.errors import StudyRejected
from safelight.model import Reason

_KEPT: Final = frozenset({"keep"})


@dataclass(frozen=True)
class Explanation:
    """One element: where it stands, its VR, the profile's operation, where that is written, and the class of change.

    ``change``: kept, changed, removed, or replaced by a stamp. ``standard``: the Basic Profile's action, if it has one.
    """

    where: str
    vr: str
    operation: str
    change: str
    rule: str = ""
    standard: str = ""


def explain(path: Path, rules: DicomRules) -> Iterator[Explanation]:
    """Explain every element of a file, at any depth.

    Raises:
        StudyRejected: the file can't be read as DICOM.
    """
    try:
        with quiet_pydicom():
            with path.open("rb") as stream:
                head = stream.read(1 << 12)
            if read_container(head) is None and read_bare(head) is None:
                raise StudyRejected(Reason.NOT_DICOM)
            dataset = dcmread(path, defer_size=1024, force=True)
            types = attribute_types(str(dataset.get("SOPClassUID", "")))
            found = list(_elements(dataset, "", rules, types))
    except Exception:  # noqa: BLE001  pydicom raises whatever a file provokes; its texts quote values
        raise StudyRejected(Reason.NOT_DICOM) from None
    if not found:
        raise StudyRejected(Reason.NOT_DICOM)
    yield from found


def _elements(dataset: Dataset, where: str, rules: DicomRules, types: dict[int, str]) -> Iterator[Explanation]:
    for tag in sorted(dataset.keys()):
        raw = dataset.get_item(tag)
        vr = str(raw.VR or "")
        creator = dataset.private_creators(tag.group) if tag.is_private else []
        name = str(Address(int(tag)))
        if tag.is_private and not tag.is_private_creator:
            block = dataset.get_item((tag.group, tag.element >> 8)) if creator else None
            owner = _text(getattr(block, "value", b"")) if block is not None else ""
            name = f"({tag.group:04X},private,{tag.element & 0xFF:02X})"
            address = Address(tag.group << 16 | tag.element & 0xFF, owner) if owner else None
        else:
            address = Address(int(tag)) if not tag.is_private else None
        yield _one(f"{where}{name}", vr, int(tag), address, rules, types, top=not where)
        if vr == "SQ" and address is not None and rules.operation(address) is not None:
            for index, item in enumerate(dataset[tag].value):
                yield from _elements(item, f"{where}{name}[{index}].", rules, {})


def _one(
    where: str, vr: str, tag: int, address: Address | None, rules: DicomRules, types: dict[int, str], *, top: bool
) -> Explanation:
    row = confidentiality().get(tag)
    standard = row.action if row else ""
    if top and tag in REPLACED:
        return Explanation(where, vr, "stamp", "replaced", standard=standard)
    if top and tag in (0x7FE00010, 0x7FE00008, 0x7FE00009, 0x7FE00001, 0x7FE00002):
        return Explanation(where, vr, "pixels", "kept", standard=standard)
    rule = rules.elements.get(address) if address is not None else None
    if rule is None:
        change = "changed" if types.get(tag) == "2" else "removed"
        return Explanation(where, vr, "empty" if change == "changed" else "", change, standard=standard)
    operation = rule.operation.op
    change = "kept" if operation in _KEPT else "removed" if operation == "remove" else "changed"
    return Explanation(where, vr, operation, change, f"{rule.file}:{rule.line}" if rule.file else "", standard)


def _text(value: object) -> str:
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else str(value).strip()
