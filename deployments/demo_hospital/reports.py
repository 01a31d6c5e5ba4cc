"""Radiology reports as British hospitals write them: full of the patient, of clinicians, dates, eponyms and habits."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from deployments.demo_hospital.headers import gmc_number
from deployments.demo_hospital.population import DEPARTMENT, HOSPITAL, OTHER_HOSPITALS, spaced

if TYPE_CHECKING:
    from deployments.demo_hospital.casebook import Study

_DETAILS: Final = {
    "CR": ("Productive cough for 3/52, ?right basal pneumonia. Ex-smoker, 30 pack years.", "Haemoptysis. Known COPD."),
    "DX": ("NG tube position. Post op day 2.", "Sepsis ?source. On 4 L oxygen via nasal cannulae."),
    "CT": ("Weight loss 8 kg over 3/12 and night sweats. ?Hodgkin's lymphoma.", "Known Crohn's disease, abdominal pain."),
    "MR": (
        "Right sided weakness. ?Bell's palsy ?stroke.",
        "Progressive headache, papilloedema. ?Arnold-Chiari malformation.",
    ),
    "US": ("Right upper quadrant pain, positive Murphy's sign clinically.", "Deranged LFTs, ALT 240."),
    "MG": ("Screening recall. No family history.",),
    "NM": ("Prostate carcinoma, Gleason 4+3. ?bone metastases.",),
}
_FINDINGS: Final = {
    "CR": (
        "Heart size within normal limits. Kerley B lines at both bases. No pleural effusion.",
        "Calcified Ghon focus in the right mid zone. The costophrenic angles are sharp.",
        "Right lower zone air space opacification. Follow-up radiograph in 6/52 to ensure resolution.",
    ),
    "DX": (
        "NG tube tip projects below the left hemidiaphragm, safe for feeding. Hickman line tip in the SVC.",
        "Small left apical pneumothorax, 8 mm. Swan-Ganz catheter tip in the right pulmonary artery.",
    ),
    "CT": (
        "Bochdalek hernia on the left containing fat. 11 mm node at the porta hepatis. T10 vertebra plana unchanged.",
        "Meckel's diverticulum incidentally noted. No free gas. Couinaud segment 4a cyst measuring 14 x 12 mm.",
    ),
    "MR": (
        "Circle of Willis patent. Dandy-Walker variant. FLAIR hyperintensities, Fazekas grade 2.",
        "No restricted diffusion on b1000. Virchow-Robin spaces are prominent. Meckel's cave is clear.",
    ),
    "US": (
        "Sonographic Murphy's sign negative. CBD 4 mm. Riedel's lobe noted.",
        "Gallbladder wall 5 mm. Morison's pouch is dry.",
    ),
    "MG": ("BI-RADS 2. Benign calcification of Cooper's ligaments.",),
    "NM": ("Paget's disease of the right hemipelvis. No convincing metastasis.",),
}
_CONCLUSIONS: Final = (
    "No acute abnormality.",
    "Appearances are stable.",
    "Clinical correlation advised.",
    "Discussion at MDT advised.",
)


def report(study: Study, *, seed: int) -> str:
    """Write the report of a study. The same study and seed give the same text."""
    rng = random.Random(f"{seed}:report:{study.number}")
    writers = (_headed, _letter, _terse, _marked_up)
    text = writers[study.number % len(writers)](study, rng)
    return text.upper() if study.number % 13 == 12 else text


def _headed(study: Study, rng: random.Random) -> str:
    patient = study.patient
    return (
        f"{HOSPITAL} - {DEPARTMENT}\n"
        f"Patient: {patient.surname.upper()}, {patient.given}\n"
        f"Hospital No: {patient.mrn}    NHS No: {spaced(patient.nhs_number)}\n"
        f"DOB: {_written(patient.dob, rng)}   Sex: {patient.sex}\n"
        f"Exam: {study.description}   Date: {_written(study.day, rng)}   Accession: {study.accession}\n"
        f"Referrer: {patient.referrer.spoken} ({patient.practice})\n\n"
        f"CLINICAL DETAILS\n{rng.choice(_DETAILS[study.modality])}\n\n"
        f"COMPARISON\n{_comparison(study, rng)}\n\n"
        f"REPORT\n{rng.choice(_FINDINGS[study.modality])}\n\n"
        f"CONCLUSION\n{rng.choice(_CONCLUSIONS)}\n\n"
        f"Reported by {study.radiologist.spoken}, {study.radiologist.role}, GMC {gmc_number(study.radiologist)}\n"
        f"Verified {_written(study.day + timedelta(days=1), rng)} 16:47"
    )


def _letter(study: Study, rng: random.Random) -> str:
    patient = study.patient
    return (
        f"{study.description} {_written(study.day, rng)}\n\n"
        f"{patient.title} {patient.surname} was referred by {patient.referrer.spoken} and attended from "
        f"{patient.street}, {patient.town} {patient.postcode}. {rng.choice(_DETAILS[study.modality])} "
        f"{patient.given} was accompanied by a daughter who can be reached on {patient.mobile}.\n\n"
        f"{rng.choice(_FINDINGS[study.modality])} {_comparison(study, rng)}\n\n"
        f"{rng.choice(_CONCLUSIONS)} Discussed with {patient.referrer.title} {patient.referrer.surname} by phone at 14:20. "
        f"Copy to {patient.gp.spoken}, {patient.practice}.\n\n"
        f"Images filed under {patient.mrn} / {study.accession}.\n"
        f"Electronically signed: {study.radiologist.given} {study.radiologist.surname}"
    )


def _terse(study: Study, rng: random.Random) -> str:
    patient = study.patient
    known = f" (known as {patient.preferred})" if patient.preferred else ""
    age = (study.day - patient.dob).days * 4 // 1461
    return (
        f"Re {patient.spoken}{known} {_written(patient.dob, rng)} {patient.nhs_number}\n"
        f"{age} year old {'woman' if patient.sex == 'F' else 'man'}. {rng.choice(_DETAILS[study.modality])}\n"
        f"{rng.choice(_FINDINGS[study.modality])}\n"
        f"{_comparison(study, rng)}\n"
        f"{rng.choice(_CONCLUSIONS)}\n"
        f"Performed by {study.radiographer.spoken}. d/w {study.radiologist.title} {study.radiologist.surname}, bleep 4417."
    )


def _marked_up(study: Study, rng: random.Random) -> str:
    """As a radiology information system sends it: HL7 version 2 escapes for line breaks."""
    patient = study.patient
    return "\\.br\\".join(
        (
            f"{study.description} - {_written(study.day, rng)}",
            f"Ref: {study.accession}",
            f"{patient.surname}^{patient.given} DOB {patient.dob:%Y%m%d} MRN {patient.mrn}",
            "",
            rng.choice(_DETAILS[study.modality]),
            rng.choice(_FINDINGS[study.modality]),
            _comparison(study, rng),
            rng.choice(_CONCLUSIONS),
            f"Dictated by {study.radiologist.spoken} and typed by {study.radiographer.given} {study.radiographer.surname}",
        )
    )


def _comparison(study: Study, rng: random.Random) -> str:
    earlier = study.day - timedelta(days=rng.randrange(30, 900))
    place = rng.choice((HOSPITAL, *OTHER_HOSPITALS))
    return rng.choice(
        (
            f"Comparison is made with the study of {_written(earlier, rng)} from {place}.",
            f"No significant change since {_written(earlier, rng)}.",
            f"Previous imaging at {place} ({_written(earlier, rng)}) reviewed.",
        )
    )


def _written(day: date, rng: random.Random) -> str:
    """Write a date in one of the ways people do."""
    ways = (f"{day:%d/%m/%Y}", f"{day.day} {day:%B %Y}", f"{day:%d.%m.%y}", f"{day:%d-%b-%Y}", day.isoformat())
    return rng.choice(ways)
