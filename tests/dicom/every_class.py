"""One instance of each storage class, with every attribute that PS3.3 asks of it, at any depth."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from safelight.dicom.address import keyword_of
from safelight.dicom.standard import attribute_types, element_vr, nested_types, storage_classes

#: A legal value of each VR that no profile has a reason to take away.
VALUES: dict[str, object] = {
    "AE": "STATION", "AS": "034Y", "AT": 0x00181063, "CS": "OTHER", "DA": "19710519", "DS": "1.5", "DT": "19710519101112",
    "FD": 1.5, "FL": 1.5, "IS": "1", "LO": "chest", "LT": "chest", "OB": b"\0\1", "OD": b"\0" * 8, "OF": b"\0" * 4,
    "OL": b"\0" * 4, "OV": b"\0" * 8, "OW": b"\0\1", "PN": "ANON", "SH": "chest", "SL": 1, "SS": 1, "ST": "chest",
    "SV": 1, "TM": "101112", "UC": "chest", "UI": "1.2.826.0.1.55", "UL": 1, "UR": "urn:removed", "US": 1, "UT": "chest",
    "UV": 1,
}  # fmt: skip
SPECIAL: dict[str, object] = {
    "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "Rows": 4, "Columns": 4,
    "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "NumberOfFrames": "1", "Modality": "OT",
    "Manufacturer": "SIEMENS", "PixelData": b"\0" * 32, "FloatPixelData": b"\0" * 64, "DoubleFloatPixelData": b"\0" * 128,
    "BurnedInAnnotation": "NO", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "PatientSex": "F",
    "Laterality": "L", "SpecificCharacterSet": "ISO_IR 100",
    "CodeValue": "51185008", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Chest",
    "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
}  # fmt: skip
DEPTH = 4
_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
#: Conditions that exclude each other; left to classes whose attribute is of type 1 or 2.
_CONDITIONAL = frozenset({"FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"})


def _element(tag: int, depth: int) -> DataElement | None:
    keyword, vr = keyword_of(tag), element_vr(tag).split(" ")[0]
    if not keyword or tag >> 16 in (0x5000, 0x6000):
        return None
    if vr == "SQ":
        item = _item(tag, depth + 1)
        return DataElement(tag, "SQ", [item] if item is not None else [])
    return DataElement(tag, vr, SPECIAL.get(keyword, VALUES[vr]))


def _item(sequence: int, depth: int) -> Dataset | None:
    if depth > DEPTH:
        return None
    item = Dataset()
    for tag in nested_types().get(sequence, {}):
        if tag != sequence and (made := _element(tag, depth)) is not None:
            item.add(made)
    if keyword_of(sequence).endswith("CodeSequence"):
        for keyword in _CODE:
            setattr(item, keyword, SPECIAL[keyword])
    return item


def instance(sop_class: str) -> Dataset:
    """Return an instance of the class. Values are legal for their VR, and mean nothing."""
    dataset = Dataset()
    for tag, kind in attribute_types(sop_class).items():
        if keyword_of(tag) in _CONDITIONAL and kind.endswith("C"):
            continue
        if (made := _element(tag, 0)) is not None:
            dataset.add(made)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, f"1.2.826.0.1.{_number(sop_class)}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.826.0.1.7", "1.2.826.0.1.8"
    dataset.PatientID, dataset.PatientName, dataset.Modality = "Zqx4711", "Zqx^Patient", "OT"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _number(sop_class: str) -> int:
    """A number of its own for each class, the same in every run."""
    return int("".join(part.rjust(4, "0") for part in sop_class.split(".")[6:]))


def instances(sop_classes: frozenset[str]) -> Iterator[tuple[str, Dataset]]:
    """Yield name and instance of each class that the module tables know."""
    for sop_class in sorted(sop_classes & set(storage_classes())):
        yield storage_classes()[sop_class], instance(sop_class)
