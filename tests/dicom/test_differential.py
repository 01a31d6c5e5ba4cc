"""The engine against a plain pydicom implementation of the same profile, on generated data sets of every VR."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from safelight.dicom import DeidEngine
from safelight.dicom.stamps import REPLACED
from safelight.dicom.vr import ALL
from safelight.profile import load_profile
from safelight.pseudonym import Pseudonymizer
from tests.dicom.plain import PlainDeidentifier

PROFILE = """
name: every
dicom:
  sop_classes: [comprehensive-sr]
  elements:
    StationAETitle: keep
    PatientAge: {op: num-range, min: 18, max: 90}
    FrameIncrementPointer: keep
    ImageType: keep
    BodyPartExamined: {op: map, values: {chest: CHEST, HEAD: HEAD}}
    StudyDate: date-shift
    SeriesDate: date-shift
    PatientBirthDateInAlternativeCalendar: hash
    AcquisitionDate: date-floor
    SliceThickness: keep
    PatientWeight: {op: num-range, min: 40, max: 120}
    AcquisitionDateTime: date-shift
    FrameReferenceDateTime: date-floor
    RealWorldValueSlope: keep
    DiffusionBValue: {op: num-range, max: 1000}
    AnchorPoint: keep
    ReferencePixelX0: {op: num-range, min: -5, max: 5}
    InstanceNumber: keep
    SeriesNumber: {op: num-range, max: 99}
    Manufacturer: keep
    InstitutionName: remove
    PatientID: secure-hash
    PatientName: {op: fixed, value: ANON}
    AccessionNumber: secure-hash
    StudyID: secure-hash
    StationName: empty
    TextValue: keep
    ImageComments: keep
    PointCoordinatesData: keep
    DoublePointCoordinatesData: keep
    LongPrimitivePointIndexList: keep
    TrackPointIndexList: keep
    ReferencedSOPInstanceUID: uid
    ReferencedSOPClassUID: uid
    OperatorsName: keep
    SelectorSVValue: keep
    SelectorUVValue: keep
    SelectorOVValue: keep
    SelectorUCValue: keep
    RetrieveURL: keep
    DerivationDescription: keep
    StudyTime: keep
    SimpleFrameList: keep
    TagAngleSecondAxis: keep
    SmallestImagePixelValue: keep
    PixelRepresentation: keep
    Rows: keep
    ReferencedSeriesSequence: keep
    ReferencedImageSequence: keep
    RedPaletteColorLookupTableData: keep
    SelectorOBValue: keep
    Modality: keep
    SeriesInstanceUID: uid
"""
WORD = st.text("ABCDEFGHIJ KLMNOPQRSTUVWXYZ", min_size=1, max_size=14).map(str.strip).filter(bool)
DATE = st.dates(min_value=__import__("datetime").date(1902, 1, 1)).map(
    lambda day: f"{day.year:04d}{day.month:02d}{day.day:02d}"
)
UID = st.integers(1, 10**30).map(lambda number: f"1.2.826.{number}")
NUMBER = st.decimals(-99999, 99999, places=3).map(str)
LEVEL: dict[str, st.SearchStrategy[object]] = {
    "StationAETitle": WORD,
    "PatientAge": st.tuples(st.integers(0, 999), st.sampled_from("DWMY")).map(lambda age: f"{age[0]:03d}{age[1]}"),
    "FrameIncrementPointer": st.sampled_from([0x00181063, 0x00200032]),
    "ImageType": st.lists(WORD, min_size=1, max_size=4),
    "BodyPartExamined": st.sampled_from(["CHEST", "HEAD", "SOMEBODY", "", "CHEST "]),
    "StudyDate": DATE,
    "SeriesDate": st.lists(DATE, min_size=1, max_size=3),
    "AcquisitionDate": DATE,
    "PatientBirthDateInAlternativeCalendar": WORD,
    "SliceThickness": NUMBER,
    "PatientWeight": st.sampled_from(["70", "40.5", "120"]),
    "AcquisitionDateTime": DATE.map(lambda day: f"{day}101112.123456+0100"),
    "FrameReferenceDateTime": DATE.map(lambda day: f"{day}101112.5"),
    "RealWorldValueSlope": st.floats(allow_nan=False, allow_infinity=False),
    "DiffusionBValue": st.floats(0, 5000),
    "AnchorPoint": st.lists(st.floats(-9, 9, width=32), min_size=2, max_size=2),
    "ReferencePixelX0": st.integers(-100, 100),
    "InstanceNumber": st.integers(0, 99999).map(str),
    "SeriesNumber": st.integers(0, 999).map(str),
    "Manufacturer": WORD,
    "InstitutionName": WORD,
    "AccessionNumber": WORD,
    "StudyID": st.lists(WORD, min_size=1, max_size=2),
    "StationName": WORD,
    "TextValue": st.text("abc\n\r xyz.", max_size=90).map(str.rstrip),
    "ImageComments": WORD,
    "OperatorsName": WORD,
    "PointCoordinatesData": st.binary(min_size=4, max_size=4),
    "DoublePointCoordinatesData": st.binary(min_size=8, max_size=8),
    "LongPrimitivePointIndexList": st.binary(min_size=4, max_size=4),
    "SelectorOVValue": st.binary(min_size=8, max_size=8),
    "SelectorSVValue": st.integers(-(2**63), 2**63 - 1),
    "SelectorUVValue": st.integers(0, 2**64 - 1),
    "SelectorUCValue": WORD,
    "RetrieveURL": st.just("https://example.org/a"),
    "DerivationDescription": WORD,
    "StudyTime": st.sampled_from(["10", "1011", "101112", "101112.5"]),
    "SimpleFrameList": st.integers(0, 2**32 - 1),
    "TagAngleSecondAxis": st.integers(-100, 100),
    "SmallestImagePixelValue": st.integers(0, 100),
    "Rows": st.integers(0, 65535),
    "RedPaletteColorLookupTableData": st.binary(min_size=6, max_size=6),
    "SelectorOBValue": st.binary(min_size=4, max_size=4),
    "ReferencedSOPInstanceUID": UID,
    "ReferencedSOPClassUID": st.just("1.2.840.10008.5.1.4.1.1.2"),
    "PatientComments": WORD,
    "AdmissionID": WORD,
}
VALUES = st.fixed_dictionaries({}, optional=LEVEL)
TREE = st.tuples(VALUES, st.lists(st.tuples(VALUES, st.lists(VALUES, max_size=2)), max_size=2))


def level(values: dict[str, object]) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory, pseudonymizer: Pseudonymizer) -> tuple[DeidEngine, PlainDeidentifier]:
    folder = tmp_path_factory.mktemp("profile")
    (folder / "every.yaml").write_text(PROFILE)
    rules = load_profile(folder, "every").dicom
    return DeidEngine(rules, pseudonymizer), PlainDeidentifier(rules, pseudonymizer)


def test_the_profile_has_every_vr() -> None:
    from pydicom.datadict import dictionary_VR, keyword_dict

    from safelight.dicom.standard import element_tag  # noqa: F401  the same dictionary as the engine's

    found = {
        part
        for word in [*LEVEL, "ReferencedImageSequence", "SelectorODValue"]
        for part in dictionary_VR(keyword_dict[word]).split(" or ")
    }
    assert {vr.decode() for vr in ALL} - found == {"UN"} | ({"PN"} - found)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
@given(tree=TREE, uid=UID, mrn=WORD)
def test_engine_and_plain_pydicom_agree(
    engines: tuple[DeidEngine, PlainDeidentifier],
    tmp_path: Path,
    syntax: str,
    tree: tuple[dict[str, object], list[tuple[dict[str, object], list[dict[str, object]]]]],
    uid: str,
    mrn: str,
) -> None:
    engine, plain = engines
    top, items = tree
    dataset = level(top)
    dataset.PatientID, dataset.PatientName = mrn, "Zqx^Patient"
    dataset.PixelRepresentation = len(mrn) % 2
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.33", uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = "1.2.3", "1.2.3.4", "SR"
    dataset.ReferencedSeriesSequence = [level(values) for values, _ in items]
    for item, (_, inner) in zip(dataset.ReferencedSeriesSequence, items, strict=True):
        item.ReferencedImageSequence = [level(values) for values in inner]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    source = tmp_path / "in.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(source, enforce_file_format=True)
        result = engine.deidentify(source, tmp_path / "out")
        assert result.outcome == "written", result
        before = pydicom.dcmread(source)
        after = pydicom.dcmread(result.path)
        for tag in REPLACED:
            after.pop(tag, None)
        expected = plain.run(before)
        assert as_bytes(expected) == as_bytes(after)


def as_bytes(dataset: Dataset) -> dict[str, bytes]:
    """Each element in one encoding, by path: comparing bytes forgives no difference of form."""
    found: dict[str, bytes] = {}

    def walk(level_: Dataset, where: str) -> None:
        for element in level_:
            name = f"{where}{element.keyword}"
            if element.VR == "SQ":
                found[name] = str(len(element.value)).encode()
                for index, item in enumerate(element.value):
                    walk(item, f"{name}[{index}].")
                continue
            one = Dataset()
            one.add(element)
            stream = io.BytesIO()
            pydicom.filewriter.write_dataset(_little(stream), one)
            found[name] = stream.getvalue()

    walk(dataset, "")
    return found


def _little(stream: io.BytesIO) -> pydicom.filebase.DicomIO:
    out = pydicom.filebase.DicomIO(stream)
    out.is_little_endian, out.is_implicit_VR = True, False
    return out
