"""Synthetic studies with a canary in every identifying element, as bytes of DICOM files."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import date

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.9.7433"
CT = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True)
class Study:
    """One study: ``number`` makes all its identifiers; ``series`` holds the number of instances of each series."""

    number: int
    series: tuple[int, ...] = (3, 2)
    patient: int = 1
    modality: str = "CT"
    when: date = date(2024, 3, 5)
    kilobytes: int = 8
    overrides: dict[str, str] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        return f"{ROOT}.{self.number}"

    @property
    def mrn(self) -> str:
        return f"00CANARYMRN{self.patient}"

    @property
    def accession(self) -> str:
        return f"CANARYACC{self.number}"

    def series_uid(self, index: int) -> str:
        return f"{self.uid}.{index + 1}"

    def sop_uid(self, series: int, instance: int) -> str:
        return f"{self.series_uid(series)}.{instance + 1}"

    @property
    def sop_uids(self) -> list[str]:
        return [self.sop_uid(s, i) for s, count in enumerate(self.series) for i in range(count)]

    def canaries(self) -> list[str]:
        """What must never be seen outside files and link database."""
        return [self.uid, self.mrn, self.accession, f"CANARYNAME{self.patient}"]

    def files(self) -> list[bytes]:
        return [self.file(s, i) for s, count in enumerate(self.series) for i in range(count)]

    def dataset(self, series: int, instance: int) -> Dataset:
        dataset = Dataset()
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.SOPClassUID = CT
        dataset.SOPInstanceUID = self.sop_uid(series, instance)
        dataset.StudyDate = self.when.strftime("%Y%m%d")
        dataset.StudyTime = "101112"
        dataset.AccessionNumber = self.accession
        dataset.Modality = self.modality
        dataset.PatientName = f"CANARYNAME{self.patient}^JANE"
        dataset.PatientID = self.mrn
        dataset.PatientBirthDate = "19500101"
        dataset.PatientSex = "F"
        dataset.StudyInstanceUID = self.uid
        dataset.SeriesInstanceUID = self.series_uid(series)
        dataset.StudyID = "1"
        dataset.SeriesNumber = str(series + 1)
        dataset.InstanceNumber = str(instance + 1)
        item = Dataset()
        item.CodeValue = "77477000"
        dataset.ProcedureCodeSequence = [item]
        side = 64
        frames = max(1, self.kilobytes * 1024 // (side * side * 2))
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.NumberOfFrames = frames
        dataset.Rows = dataset.Columns = side
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit = 15
        dataset.PixelRepresentation = 0
        dataset.PixelData = bytes([self.number % 251, instance % 251]) * (side * side * frames)
        dataset["PixelData"].VR = "OW"
        for keyword, value in self.overrides.items():
            setattr(dataset, keyword, value)
        return dataset

    def file(self, series: int, instance: int) -> bytes:
        dataset = self.dataset(series, instance)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        target = io.BytesIO()
        dataset.save_as(target, enforce_file_format=True)
        return target.getvalue()
