"""Structured reports through the DICOM rules and the report de-identifier: the content tree stays, nobody is in it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from safelight.dicom import DeidEngine
from safelight.model import InstanceOutcome, KnownIdentifiers, Reason
from safelight.profile import load_profile
from safelight.pseudonym import ProjectKey, Pseudonymizer
from safelight.text.deidentifier import TextDeidentifier
from safelight.text.elements import ElementCleaner

PROFILES = Path(__file__).resolve().parents[2] / "profiles" / "deid"
KNOWN = KnownIdentifiers(mrn="NGH123456", given="Siobhán", surname="Kowalczyk", title="Mrs", dob=date(1950, 3, 4))
NARRATIVE = (
    "Mrs Kowalczyk attended on 05/03/2024 with her husband Tomasz. There is a 12 mm nodule in the right upper lobe and a "
    "Baker's cyst. Discussed with Dr Petra Ionescu on bleep 1234."
)
LABEL = "Seen by Dr Ionescu; Mrs Kowalczyk. Nodule 12 mm."
CANARIES = (b"owalczyk", b"OWALCZYK", b"Siobh", b"Tomasz", b"Ionescu", b"1234", b"19500304", b"20240305", b".498.7.", b"NGH")
UID = "1.2.826.0.1.3680043.8.498.7."


def _coded(meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "121071", "DCM", meaning
    return code


def _item(kind: str, relation: str = "CONTAINS", **values: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = relation, kind, [_coded("Finding")]
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _document(sop_class: str) -> Dataset:
    document = Dataset()
    document.file_meta = FileMetaDataset()
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document.file_meta.MediaStorageSOPClassUID = document.SOPClassUID = sop_class
    document.file_meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID = f"{UID}1"
    document.StudyInstanceUID, document.SeriesInstanceUID = f"{UID}2", f"{UID}3"
    document.SpecificCharacterSet, document.Modality = "ISO_IR 192", "SR"
    document.PatientID, document.PatientName, document.PatientBirthDate = "NGH123456", "KOWALCZYK^SIOBHAN", "19500304"
    document.StudyDate = document.ContentDate = "20240305"
    return document


def _report() -> Dataset:
    report = _document(ComprehensiveSRStorage)
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = "Ionescu^Petra", "Fairmead Hospital"
    observer.VerificationDateTime = "20240305110000"
    report.VerifyingObserverSequence = [observer]
    report.ValueType, report.CompletionFlag, report.VerificationFlag = "CONTAINER", "COMPLETE", "VERIFIED"
    report.ContentSequence = [
        _item("PNAME", "HAS OBS CONTEXT", PersonName="Ionescu^Petra"),
        _item("UIDREF", "HAS OBS CONTEXT", UID=f"{UID}2"),
        _item("DATETIME", "HAS OBS CONTEXT", DateTime="20240305100000"),
        _item("DATE", "HAS OBS CONTEXT", Date="19500304"),
        _item("TEXT", TextValue=NARRATIVE),
        _item("TEXT", TextValue=LABEL),
        _item("CONTAINER", ContentSequence=[_item("TEXT", TextValue=NARRATIVE)]),
    ]
    return report


@pytest.fixture(scope="module")
def pseudonymizer() -> Pseudonymizer:
    return Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(100, 116))))


@pytest.fixture(scope="module")
def engine(deidentifier: TextDeidentifier, pseudonymizer: Pseudonymizer) -> DeidEngine:
    rules = load_profile(PROFILES, "research").dicom
    return DeidEngine(rules, pseudonymizer, clean_text=ElementCleaner(deidentifier), lookup=lambda _: KNOWN)


def test_a_content_tree_keeps_its_findings_and_nobody(
    engine: DeidEngine, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    _report().save_as(tmp_path / "in.dcm", enforce_file_format=True)
    results = [engine.deidentify(tmp_path / "in.dcm", tmp_path / out) for out in ("one", "two")]
    one, two = (Path(result.path).read_bytes() for result in results)
    assert one == two
    assert [canary for canary in CANARIES if canary in one] == []
    report = pydicom.dcmread(results[0].path)
    name, uid, moment, day, text, label, container = report.ContentSequence
    moved = date.fromordinal(date(2024, 3, 5).toordinal() + pseudonymizer.date_shift("NGH123456"))
    assert str(name.PersonName) == "ANON"
    assert uid.UID == report.StudyInstanceUID == pseudonymizer.uid(f"{UID}2")
    assert moment.DateTime == f"{moved:%Y%m%d}100000"
    assert day.Date == "19500101"
    assert report.VerifyingObserverSequence[0].VerificationDateTime == f"{moved:%Y%m%d}110000"
    assert text.TextValue == (
        f"Mrs [PATIENT] attended on {moved:%d/%m/%Y} with her husband [RELATIVE_1]. There is a 12 mm nodule in the right "
        "upper lobe and a Baker's cyst. Discussed with Dr [CLINICIAN_1] on bleep [BLEEP]."
    )
    assert container.ContentSequence[0].TextValue == text.TextValue
    assert label.TextValue == "Seen by Dr [CLINICIAN_1]; Mrs [PATIENT]. Nodule 12 mm."


def test_a_text_that_can_not_be_trusted_leaves_its_place_empty(
    deidentifier: TextDeidentifier, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    report = _report()
    report.ContentSequence[4].TextValue = "NHS No: 401 023 2137. Name: Alan Jones.\n" + NARRATIVE
    report.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    rules = load_profile(PROFILES, "research").dicom
    known = KNOWN.model_copy(update={"nhs_number": "9434765919"})
    engine = DeidEngine(rules, pseudonymizer, clean_text=ElementCleaner(deidentifier), lookup=lambda _: known)
    result = engine.deidentify(tmp_path / "in.dcm", tmp_path / "out")
    texts = [item.TextValue for item in pydicom.dcmread(result.path).ContentSequence if item.ValueType == "TEXT"]
    assert "nodule" not in texts[0]
    assert "Jones" not in texts[0]


def test_a_document_that_nothing_can_look_into_is_rejected(engine: DeidEngine, tmp_path: Path) -> None:
    document = _document(EncapsulatedPDFStorage)
    document.MIMETypeOfEncapsulatedDocument, document.EncapsulatedDocument = "application/pdf", b"%PDF-1.7 Kowalczyk "
    document.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    result = engine.deidentify(tmp_path / "in.dcm", tmp_path / "out")
    assert (result.outcome, result.reason) == (InstanceOutcome.SET_ASIDE, Reason.ENCAPSULATED_DOCUMENT)
    assert not list(tmp_path.rglob("*.dcm.part"))
