"""An independent look at what came out: reads outputs with pydicom, knows nothing of the engine, trusts no stamp.

It answers two questions: is the file built as ours are (nothing around the data set, no element that can hide
anything), and does it hold anything that is known of the patient, in any encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from safelight.dicom.encapsulated import SYNTAXES, frame_cleaner
from safelight.dicom.quiet import quiet_pydicom
from safelight.errors import StudyRejected

_ROOTS: Final = ("2.25.", "1.2.840.10008.", "2.16.840.1.113883.")
#: CID 7050: an output that says that its UIDs were retained is not asked whose they are.
_RETAIN_UIDS: Final = "113110"
_META: Final = frozenset({0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013})
_PIXELS: Final = {0x7FE00008: 4, 0x7FE00009: 8, 0x7FE00010: 0}
_SUBSAMPLED: Final = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_MAX_FRAME: Final = 1 << 28
_HEAD = struct.Struct("<II")


class Matcher(Protocol):
    """Finds what is known of a patient; :class:`safelight.text.IdentifierMatcher` is one."""

    def find(self, text: str) -> list[Any]:
        """Return where identifiers stand in a text."""
        ...

    def find_bytes(self, data: bytes) -> list[str]:
        """Return the kinds of identifiers that bytes hold, in any encoding; never a value."""
        ...


@dataclass(frozen=True)
class Finding:
    """One thing wrong with an output: a code, and where, as a path of keywords. Never a value."""

    code: str
    where: str = ""


def verify_file(path: Path, matcher: Matcher | None = None) -> list[Finding]:
    """Look at one output file. Costs about 3 ms and the size of its header; compressed frames are read one by one.

    Args:
        path: the file.
        matcher: what is known of the patient; without it only the build of the file is checked.

    Returns:
        What is wrong, nothing when all is in order.
    """
    if not path.is_file():
        return [Finding("unreadable")]
    try:
        with path.open("rb") as stream, quiet_pydicom():
            return list(_findings(path, stream, matcher))
    except Exception:  # noqa: BLE001  pydicom raises whatever a file provokes; its texts quote values
        return [Finding("unreadable")]


def _findings(path: Path, stream: BinaryIO, matcher: Matcher | None) -> Iterator[Finding]:
    if stream.read(132) != b"\0" * 128 + b"DICM":
        yield Finding("preamble")
    stream.seek(0)
    dataset = dcmread(stream, stop_before_pixels=True, force=False)
    end = stream.tell()
    stream.seek(0)
    header = stream.read(end)
    yield from (Finding("meta", str(element.tag)) for element in dataset.file_meta if element.tag not in _META)
    if path.stem != dataset.SOPInstanceUID or path.stem != dataset.file_meta.MediaStorageSOPInstanceUID:
        yield Finding("file_name")
    if dataset.get("PatientIdentityRemoved") != "YES" or not dataset.get("DeidentificationMethod"):
        yield Finding("stamp", "PatientIdentityRemoved")
    if matcher is not None:
        yield from (Finding("identifier", label) for label in matcher.find_bytes(header))
        if matcher.find("\n".join((path.name, path.parent.name))):
            yield Finding("identifier", "path")
    methods = dataset.get("DeidentificationMethodCodeSequence") or []
    retained = any(item.get("CodeValue") == _RETAIN_UIDS for item in methods)
    yield from _elements(dataset, "", matcher, ("",) if retained else _ROOTS)
    yield from _pixels(stream, dataset, end, path.stat().st_size)


def _elements(dataset: Dataset, where: str, matcher: Matcher | None, roots: tuple[str, ...]) -> Iterator[Finding]:
    creators = {(element.tag.group, element.tag.element) for element in dataset if element.tag.is_private_creator}
    for element in dataset:
        tag = element.tag
        name = f"{where}{element.keyword or tag}"
        if tag.is_private and not tag.is_private_creator and (tag.group, tag.element >> 8) not in creators:
            yield Finding("private_element", name)
        if tag.group & 0xFF00 in (0x5000, 0x6000) or tag.element == 0 or (tag.group > 0x7FE0 and not tag.is_private):
            yield Finding("element", name)
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                yield from _elements(item, f"{name}[{index}].", matcher, roots)
            continue
        values = list(element.value) if isinstance(element.value, MultiValue) else [element.value]
        if element.VR == "UI" and any(value and not str(value).startswith(roots) for value in values):
            yield Finding("uid", name)
        if matcher is not None and element.VR not in _BINARY and matcher.find("\n".join(map(str, values))):
            yield Finding("identifier", name)


_BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "US", "SS", "UL", "SL", "FL", "FD", "AT", "UV", "SV"})


def _pixels(stream: BinaryIO, dataset: Dataset, end: int, size: int) -> Iterator[Finding]:
    stream.seek(end)
    while end < size:
        head = stream.read(12)
        if len(head) < 12:
            yield Finding("trailing_bytes")
            return
        group, number = struct.unpack_from("<HH", head)
        length = struct.unpack_from("<I", head, 8)[0]
        tag = group << 16 | number
        if tag in (0x7FE00001, 0x7FE00002):
            end = stream.seek(end + 12 + length)
            continue
        break
    else:
        return
    if tag not in _PIXELS:
        yield Finding("trailing_bytes")
        return
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax in SYNTAXES:
        yield from _frames(stream, frame_cleaner(syntax, int(dataset.Rows) * int(dataset.Columns)), size)
        return
    width = _PIXELS[tag] * 8 or int(dataset.BitsAllocated)
    pixels = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    if samples == 3 and dataset.get("PhotometricInterpretation") in _SUBSAMPLED:
        samples = 2
    wanted = (pixels * samples * width + 7) // 8
    if length != wanted + (wanted & 1):
        yield Finding("pixel_length")
    if stream.tell() + length != size:
        yield Finding("trailing_bytes")


def _frames(stream: BinaryIO, clean: Callable[[bytes], bytes], size: int) -> Iterator[Finding]:
    first = True
    while True:
        tag, length = _HEAD.unpack(stream.read(8))
        if tag == 0xE0DDFFFE:
            break
        data = stream.read(length)
        if not first:
            try:
                # Nothing is left to take away, but for the byte that makes a fragment's length even.
                if clean(data) not in (data, data.removesuffix(b"\0")):
                    yield Finding("code_stream")
            except StudyRejected:
                yield Finding("code_stream")
        first = False
    if stream.tell() != size:
        yield Finding("trailing_bytes")
