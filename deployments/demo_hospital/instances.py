"""The DICOM files of a study: real scanners' headers and pixels where pydicom ships them, generated ones elsewhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from deployments.demo_hospital.casebook import Case, Study
from deployments.demo_hospital.headers import SOURCE_AE, identify
from deployments.demo_hospital.images import chest, draw_text, enlarge

if TYPE_CHECKING:
    from collections.abc import Iterator

_ULTRASOUND: Final = ("examples_rgb_color.dcm", "examples_ybr_color.dcm", "examples_palette.dcm", "examples_jpeg2k.dcm")
_DETECTORS: Final = {"CR": ("Agfa-Gevaert AG", "ADC_5146"), "DX": ("Philips Medical Systems", "DigitalDiagnost")}
_IMPLEMENTATION: Final = "1.3.6.1.4.1.55648.1"


def instances(study: Study, *, seed: int, scale: float = 1.0) -> Iterator[FileDataset]:
    """Make a study's instances, one at a time. ``scale`` shrinks what is generated, for quick tests."""
    makers = {
        "CR": _radiograph,
        "DX": _radiograph,
        "MG": _mammogram,
        "CT": _slices,
        "MR": _resonance,
        "US": _ultrasound,
        "NM": _scan,
    }
    for dataset in makers[study.modality](study, seed, scale):
        _name(dataset)
        yield dataset


def _radiograph(study: Study, seed: int, scale: float) -> Iterator[FileDataset]:
    pixels = chest(study.number, seed=seed, scale=scale)
    sop_class = ComputedRadiographyImageStorage if study.modality == "CR" else DigitalXRayImageStorageForPresentation
    dataset = _start(sop_class)
    identify(dataset, study)
    dataset.Manufacturer, dataset.ManufacturerModelName = _DETECTORS[study.modality]
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.ViewPosition = "PA" if study.modality == "CR" else "AP"
    dataset.KVP = "125"
    dataset.SoftwareVersions = "2.0.1"
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImagerPixelSpacing = ["0.171", "0.171"]
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.PixelIntensityRelationship = "LOG"
    dataset.WindowCenter, dataset.WindowWidth = "1800", "3200"
    if study.case is Case.BURNED_IN:
        dataset.BurnedInAnnotation = "YES"
        text = f"{study.patient.surname} {study.patient.dob:%d/%m/%Y} {study.patient.mrn}"
        draw_text(pixels, text, row=pixels.shape[0] // 40, column=8, value=4095, size=max(1, pixels.shape[1] // 300))
    _series(dataset, study, 1, "Chest PA" if study.modality == "CR" else "Chest AP")
    _instance(dataset, study, 1, 1)
    _pixels(dataset, pixels, bits=12)
    if study.case is Case.TRUNCATED:
        truncate(dataset)
    yield dataset


def _mammogram(study: Study, seed: int, scale: float) -> Iterator[FileDataset]:
    dataset = _start(DigitalMammographyXRayImageStorageForPresentation)
    identify(dataset, study)
    dataset.Manufacturer, dataset.ManufacturerModelName = "HOLOGIC, Inc.", "Selenia Dimensions"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.BurnedInAnnotation = "NO"
    dataset.ImageLaterality, dataset.ViewPosition = "L", "MLO"
    dataset.PresentationLUTShape = "IDENTITY"
    _series(dataset, study, 1, "L MLO")
    _instance(dataset, study, 1, 1)
    _pixels(dataset, chest(study.number, seed=seed, scale=scale / 2), bits=12)
    yield dataset


def _slices(study: Study, seed: int, scale: float) -> Iterator[FileDataset]:
    """CT of a real GE scanner: its header with all private elements, its pixels enlarged to 512 x 512."""
    rows = max(64, round(512 * scale))
    count = max(3, round((12 + study.number % 5) * min(1.0, scale * 2)))
    real = enlarge(_source("CT_small.dcm").pixel_array, rows, rows)
    if study.case is Case.LOCALISER:
        dataset = _real("CT_small.dcm", study)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        for number in (1, 2):
            _series(dataset, study, 1, "Scout 0/90 localiser")
            _instance(dataset, study, 1, number)
            _pixels(dataset, (real.T + 40 * number).astype(np.int16), bits=16, signed=True)
            yield dataset
    dataset = _real("CT_small.dcm", study)
    if study.number % 3 == 0:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.PixelSpacing = [f"{338.6716 / rows:.6f}"] * 2
    rng = np.random.default_rng([seed, study.number])
    for number in range(1, count + 1):
        _series(dataset, study, 2, "Axial 5mm soft tissue")
        _instance(dataset, study, 2, number)
        dataset.ImagePositionPatient = ["-158.135803", "-179.035797", f"{-75.699997 - 5 * number:.6f}"]
        dataset.SliceLocation = f"{-77.2040634155 - 5 * number:.6f}"
        noise = rng.integers(-9, 9, size=real.shape, dtype=np.int16)
        _pixels(dataset, np.roll(real, number, axis=0).astype(np.int16) + noise, bits=16, signed=True)
        if study.case is Case.ONE_TRUNCATED and number == 2:
            truncate(dataset)
        yield dataset


def _resonance(study: Study, seed: int, scale: float) -> Iterator[FileDataset]:
    """MR of a real Toshiba scanner, or a real Siemens one with a CSA header and an overlay."""
    if study.case is Case.OVERLAY:
        yield from _overlaid(study)
        return
    rows = max(64, round(256 * scale))
    count = max(3, round((14 + study.number % 7) * min(1.0, scale * 2)))
    real = enlarge(_source("MR_small.dcm").pixel_array, rows, rows)
    if study.case is Case.LOCALISER:
        dataset = _real("MR_small.dcm", study)
        for number in (1, 2, 3):
            _series(dataset, study, 1, "3-plane SCOUT positioning")
            _instance(dataset, study, 1, number)
            _pixels(dataset, real.T.astype(np.int16), bits=16, signed=True)
            yield dataset
    dataset = _real("MR_small.dcm", study)
    dataset.PixelSpacing = [f"{20.0 / rows:.6f}"] * 2
    rng = np.random.default_rng([seed, study.number])
    for number in range(1, count + 1):
        _series(dataset, study, 2, "Ax T2 TSE")
        _instance(dataset, study, 2, number)
        dataset.ImagePositionPatient = ["-83.9063", "-91.2000", f"{6.6406 + 5 * number:.4f}"]
        dataset.SliceLocation = f"{5 * number:.4f}"
        noise = rng.integers(-3, 3, size=real.shape, dtype=np.int16)
        _pixels(dataset, np.roll(real, number % 8, axis=1).astype(np.int16) + noise, bits=16, signed=True)
        yield dataset


def _overlaid(study: Study) -> Iterator[FileDataset]:
    dataset = _real("examples_overlay.dcm", study)
    for number in (1, 2, 3):
        _series(dataset, study, 2, "Cor T1 VIBE")
        _instance(dataset, study, 2, number)
        rows, columns = dataset.Rows, dataset.Columns
        plane = np.zeros((rows, columns), dtype=np.uint8)
        draw_text(plane, f"{study.patient.surname} {study.patient.mrn}", row=20, column=10, value=1, size=2)
        bits = np.packbits(plane.ravel(), bitorder="little").tobytes()
        overlay = dataset.group_dataset(0x6000)
        for element in list(overlay):
            del dataset[element.tag]
        dataset.add_new(0x60000010, "US", rows)
        dataset.add_new(0x60000011, "US", columns)
        dataset.add_new(0x60000022, "LO", f"Marked by {study.radiographer.surname}")
        dataset.add_new(0x60000040, "CS", "G")
        dataset.add_new(0x60000050, "SS", [1, 1])
        dataset.add_new(0x60000100, "US", 1)
        dataset.add_new(0x60000102, "US", 0)
        dataset.add_new(0x60003000, "OW", bits + b"\0" * (len(bits) % 2))
        block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        csa = f"SV10\4\3\2\1tPatientName {study.patient.surname} {study.patient.given} UsedPatientID {study.patient.mrn}"
        block.add_new(0x10, "OB", csa.encode() + b"\0" * (len(csa.encode()) % 2))
        yield dataset


def _ultrasound(study: Study, seed: int, scale: float) -> Iterator[FileDataset]:  # noqa: ARG001  same form as its siblings
    """Ultrasound of real devices: RGB, palette colour, YBR JPEG in many frames, JPEG 2000; or a screen capture."""
    if study.case is Case.SECONDARY_CAPTURE:
        pixels = np.full((480, 640, 3), 16, dtype=np.uint8)
        draw_text(pixels, f"{study.patient.surname} {study.patient.dob:%d/%m/%Y}", row=12, column=8, value=255, size=3)
        draw_text(pixels, f"NHS {study.patient.nhs_number}", row=44, column=8, value=255, size=3)
        dataset = _start(SecondaryCaptureImageStorage)
        identify(dataset, study)
        dataset.ConversionType = "WSD"
        dataset.Manufacturer, dataset.ManufacturerModelName = "G.E. Medical Systems", "LOGIQ 700"
        dataset.ImageType = ["DERIVED", "SECONDARY"]
        _series(dataset, study, 1, "Worksheet")
        _instance(dataset, study, 1, 1)
        _pixels(dataset, pixels, bits=8)
        yield dataset
        return
    dataset = _real(_ULTRASOUND[study.number % len(_ULTRASOUND)], study)
    dataset.BurnedInAnnotation = "NO"
    _series(dataset, study, 1, "Liver")
    _instance(dataset, study, 1, 1)
    yield dataset


def _scan(study: Study, seed: int, scale: float) -> Iterator[FileDataset]:  # noqa: ARG001  same form as its siblings
    dataset = _real("JPGExtended.dcm", study)
    _series(dataset, study, 1, "Whole body anterior")
    _instance(dataset, study, 1, 1)
    yield dataset


def truncate(dataset: Dataset) -> None:
    """Cut PixelData to 60 % and leave Rows and Columns as they were: the length field is true, the image is not whole."""
    keep = len(dataset.PixelData) * 6 // 10
    dataset.PixelData = dataset.PixelData[: keep - keep % 2]


def _series(dataset: Dataset, study: Study, number: int, description: str) -> None:
    dataset.SeriesInstanceUID = study.uid_of("series", number)
    dataset.SeriesNumber = str(number)
    dataset.SeriesDescription = description


def _instance(dataset: Dataset, study: Study, series: int, number: int) -> None:
    dataset.SOPInstanceUID = study.uid_of("series", series, "instance", number)
    dataset.InstanceNumber = str(number)
    dataset.AcquisitionNumber = "1"
    dataset.IrradiationEventUID = study.uid_of("irradiation", series)


def _pixels(dataset: Dataset, pixels: npt.NDArray[np.integer[Any]], *, bits: int, signed: bool = False) -> None:
    """Put native pixels of shape (rows, columns) or (rows, columns, 3) in, with the elements that describe them."""
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated == 16 else "OB"


def _start(sop_class: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta)
    dataset.SOPClassUID = sop_class
    return dataset


@lru_cache(maxsize=8)
def _source(name: str) -> FileDataset:
    """Read a real file that pydicom ships. Nothing is downloaded."""
    return dcmread(str(get_testdata_file(name, download=False)))


def _real(name: str, study: Study) -> FileDataset:
    """Return a real file's data set with its own names overwritten by this patient's."""
    dataset: FileDataset = dcmread(str(get_testdata_file(name, download=False)))
    identify(dataset, study)
    if str(dataset.SOPClassUID) in {CTImageStorage, MRImageStorage}:
        dataset.BurnedInAnnotation = "NO"
    # Byte-exact output must not depend on who made the original.
    dataset.file_meta.ImplementationVersionName = "SGHPACS21"
    return dataset


def _name(dataset: FileDataset) -> None:
    """Give the file a preamble and file meta information (PS3.10 section 7.1) that identify as much as the header."""
    meta = dataset.file_meta
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.ImplementationClassUID = _IMPLEMENTATION
    meta.SourceApplicationEntityTitle = SOURCE_AE
    meta.PrivateInformationCreatorUID = _IMPLEMENTATION
    meta.PrivateInformation = f"MRN {dataset.PatientID}".encode().ljust(24, b"\0")
    dataset.preamble = f"Exported for {dataset.PatientID} {dataset.PatientBirthDate}".encode("ascii").ljust(128)
