"""Full, realistic and thoroughly identifying headers: what a hospital's scanner really writes into a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deployments.demo_hospital.population import DEPARTMENT, HOSPITAL, HOSPITAL_ADDRESS, spaced

if TYPE_CHECKING:
    from datetime import date

    from deployments.demo_hospital.casebook import Study
    from deployments.demo_hospital.population import Clinician, Patient

PRIVATE_CREATOR: Final = "SALTMARSH PACS 2.1"
#: Written into the file meta information by the hospital's own systems.
SOURCE_AE: Final = "SGHMODALITY7"
STATIONS: Final = {
    "CR": "SGHCR04A",
    "DX": "SGHDX11B",
    "CT": "SGHCT02C",
    "MR": "SGHMR03D",
    "US": "SGHUS09E",
    "MG": "SGHMG01F",
    "NM": "SGHNM01G",
}
SERIALS: Final = {modality: f"DSN-{7_401_733 + 9_127 * at}-K" for at, modality in enumerate(STATIONS)}
_EXTENSION: Final = "48213"


def dicom_date(day: date) -> str:
    """Return a DA value."""
    return day.strftime("%Y%m%d")


def identify(dataset: Dataset, study: Study) -> None:
    """Write who, where, when and by whom into a data set, in every place where scanners and archives put it."""
    patient = study.patient
    dataset.SpecificCharacterSet = patient.character_set
    _patient(dataset, patient, study.day)
    _place(dataset, study)
    _staff(dataset, study)
    _study(dataset, study)
    _nested(dataset, study)
    _private(dataset, study)


def _patient(dataset: Dataset, patient: Patient, day: date) -> None:
    dataset.PatientName = patient.person_name
    dataset.PatientID = patient.mrn
    dataset.IssuerOfPatientID = HOSPITAL
    dataset.PatientBirthDate = dicom_date(patient.dob)
    dataset.PatientBirthTime = "0415"
    dataset.PatientSex = patient.sex
    age = day.year - patient.dob.year - ((day.month, day.day) < (patient.dob.month, patient.dob.day))
    dataset.PatientAge = f"{age:03d}Y"
    dataset.PatientSize = "1.71"
    dataset.PatientWeight = "74.5"
    dataset.OtherPatientIDs = [patient.nhs_number, patient.other_id]
    dataset.OtherPatientNames = f"{patient.previous_surname or patient.surname}^{patient.given}"
    dataset.PatientBirthName = f"{patient.previous_surname}^{patient.given}" if patient.previous_surname else ""
    dataset.PatientAddress = f"{patient.street}, {patient.town} {patient.postcode}"
    dataset.PatientTelephoneNumbers = [patient.phone, patient.mobile]
    dataset.EthnicGroup = "Not stated"
    dataset.Occupation = "Bell founder"
    dataset.MedicalRecordLocator = f"BASEMENT/{patient.mrn}"
    dataset.AdditionalPatientHistory = f"{patient.spoken}, NHS {spaced(patient.nhs_number)}, cough for three weeks."
    dataset.PatientComments = f"Prefers to be called {patient.preferred or patient.given}. Daughter on {patient.mobile}."
    dataset.ResponsiblePerson = f"{patient.surname}^{patient.preferred or patient.given}"


def _place(dataset: Dataset, study: Study) -> None:
    dataset.InstitutionName = HOSPITAL
    dataset.InstitutionAddress = HOSPITAL_ADDRESS
    dataset.InstitutionalDepartmentName = DEPARTMENT
    dataset.StationName = STATIONS[study.modality]
    dataset.DeviceSerialNumber = SERIALS[study.modality]
    dataset.DeviceUID = study.uid_of("device", study.modality)
    dataset.CurrentPatientLocation = "Ward Quillfeather 4"
    dataset.AdmissionID = f"ADM{study.accession[-6:]}7"


def _staff(dataset: Dataset, study: Study) -> None:
    patient = study.patient
    dataset.ReferringPhysicianName = patient.referrer.person_name
    dataset.ReferringPhysicianAddress = f"{patient.practice}, {patient.town}"
    dataset.ReferringPhysicianTelephoneNumbers = f"01632 9{_EXTENSION}"
    dataset.PhysiciansOfRecord = study.radiologist.person_name
    dataset.PerformingPhysicianName = study.radiologist.person_name
    dataset.NameOfPhysiciansReadingStudy = [study.radiologist.person_name, patient.referrer.person_name]
    dataset.OperatorsName = study.radiographer.person_name
    dataset.RequestingPhysician = patient.referrer.person_name
    dataset.ConsultingPhysicianName = patient.gp.person_name
    dataset.ReferringPhysicianIdentificationSequence = Sequence([_person(patient.referrer)])


def gmc_number(clinician: Clinician) -> int:
    """Return the clinician's registration number with the General Medical Council: seven digits."""
    return 6_000_000 + sum(place * ord(letter) for place, letter in enumerate(clinician.surname, 1)) * 61


def _person(clinician: Clinician) -> Dataset:
    """Return an item of the person identification macro (PS3.3 table 10-1)."""
    code = Dataset()
    code.CodeValue = f"GMC{gmc_number(clinician)}"
    code.CodingSchemeDesignator = "99SGH"
    code.CodeMeaning = f"{clinician.given} {clinician.surname}"
    item = Dataset()
    item.PersonIdentificationCodeSequence = Sequence([code])
    item.PersonAddress = HOSPITAL_ADDRESS
    item.PersonTelephoneNumbers = f"01632 9{_EXTENSION}"
    item.InstitutionName = HOSPITAL
    return item


def _study(dataset: Dataset, study: Study) -> None:
    day = dicom_date(study.day)
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate"):
        setattr(dataset, keyword, day)
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime", "InstanceCreationTime"):
        setattr(dataset, keyword, study.time)
    dataset.AcquisitionDateTime = f"{day}{study.time}.250000"
    dataset.PerformedProcedureStepStartDate = day
    dataset.PerformedProcedureStepStartTime = study.time
    dataset.TimezoneOffsetFromUTC = "+0000"
    dataset.StudyInstanceUID = study.uid
    dataset.StudyID = f"S{study.accession[-7:]}"
    dataset.AccessionNumber = study.accession
    dataset.StudyDescription = study.description
    dataset.ProtocolName = f"{study.body_part.lower()} {study.patient.surname}"[:64]
    dataset.BodyPartExamined = study.body_part
    dataset.Modality = study.modality
    dataset.PerformedProcedureStepID = f"PPS{study.accession[-8:]}"
    dataset.PerformedProcedureStepDescription = study.description
    dataset.RequestedProcedureDescription = study.description
    dataset.ImageComments = f"Repeated at the request of {study.patient.referrer.spoken}."
    dataset.FrameOfReferenceUID = study.uid_of("frame of reference")


def _nested(dataset: Dataset, study: Study) -> None:
    """Identifiers inside items, where allow-lists that stop at the top level miss them."""
    patient = study.patient
    request = Dataset()
    request.AccessionNumber = study.accession
    request.StudyInstanceUID = study.uid
    request.ScheduledProcedureStepID = f"SPS{study.accession[-8:]}"
    request.RequestedProcedureID = f"RP{study.accession[-8:]}"
    request.RequestedProcedureDescription = f"{study.description[:20]} for {patient.spoken}"[:64]
    dataset.RequestAttributesSequence = Sequence([request])
    other = Dataset()
    other.PatientID = patient.other_id
    other.IssuerOfPatientID = "Withybrook District Hospital"
    dataset.OtherPatientIDsSequence = Sequence([other])
    before = Dataset()
    before.PatientName = f"{patient.previous_surname or patient.surname}^{patient.given}"
    before.PatientID = patient.other_id
    original = Dataset()
    original.ModifyingSystem = SOURCE_AE
    original.SourceOfPreviousValues = "Withybrook District Hospital"
    original.AttributeModificationDateTime = f"{dicom_date(study.day)}{study.time}"
    original.ReasonForTheAttributeModification = "COERCE"
    original.ModifiedAttributesSequence = Sequence([before])
    dataset.OriginalAttributesSequence = Sequence([original])
    earlier = Dataset()
    earlier.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    earlier.ReferencedSOPInstanceUID = study.uid_of("earlier study")
    dataset.ReferencedStudySequence = Sequence([earlier])


def _private(dataset: Dataset, study: Study) -> None:
    patient = study.patient
    block = dataset.private_block(0x0033, PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "PN", patient.person_name)
    block.add_new(0x02, "LO", [patient.mrn, patient.nhs_number])
    audit = f"<audit user='{study.radiographer.surname}' dob='{patient.dob.isoformat()}'/>".encode()
    block.add_new(0x03, "OB", audit + b"\0" * (len(audit) % 2))
    inner = Dataset()
    inner.PatientName = patient.person_name
    inner.PatientAddress = patient.street
    block.add_new(0x04, "SQ", Sequence([inner]))
