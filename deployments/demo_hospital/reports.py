"""Radiology reports as British hospitals write them: full of the patient, of clinicians, dates, eponyms and habits."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from deployments.demo_hospital.headers import gmc_number
from deployments.demo_hospital.population import DEPARTMENT, HOSPITAL, OTHER_HOSPITALS, spaced

if TYPE_CHECKING:
    from deployments.demo_hospital.casebook import Study
    from deployments.demo_hospital.population import Clinician

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


#: Characters that stand around an identifier while a report is written: its label, then the text.
_OPEN, _LABELLED, _CLOSE = "\x02", "\x1f", "\x03"
_MARKED: Final = re.compile(f"{_OPEN}([A-Z_]+){_LABELLED}([^{_CLOSE}]*){_CLOSE}")
#: What must survive: the clinical terms of the texts above that look like somebody's name or a number.
_TERMS: Final = re.compile(
    r"\b(?:Hodgkin's lymphoma|Crohn's disease|Bell's palsy|Arnold-Chiari malformation|Murphy's sign|Gleason 4\+3|Kerley B"
    r"|Ghon focus|Hickman line|Swan-Ganz catheter|Bochdalek hernia|T10|Meckel's (?:diverticulum|cave)|Couinaud segment 4a"
    r"|Circle of Willis|Dandy-Walker variant|Fazekas grade 2|Virchow-Robin|Riedel's lobe|Morison's pouch|BI-RADS 2"
    r"|Cooper's ligaments|Paget's disease|[3-6]/(?:12|52)|\d+ mm)(?![\w+])",
    re.IGNORECASE,
)


def report(study: Study, *, seed: int) -> str:
    """Write the report of a study. The same study and seed give the same text."""
    return _MARKED.sub(r"\2", _written_report(study, study.number, seed))


def labelled_report(study: Study, *, seed: int, variant: int) -> dict[str, Any]:
    """Write a report with what identifies somebody in it labelled: ``{id, text, patient, spans, keep}``.

    Args:
        study: what it is about.
        seed: what it is drawn from.
        variant: which way of writing.
    """
    marked = _written_report(study, variant, seed)
    text, spans, at = "", [], 0
    for match in _MARKED.finditer(marked):
        text += marked[at : match.start()]
        spans.append({"start": len(text), "end": len(text) + len(match[2]), "label": match[1]})
        text, at = text + match[2], match.end()
    text += marked[at:]
    keep = [{"start": match.start(), "end": match.end(), "kind": "clinical"} for match in _TERMS.finditer(text)]
    patient = study.patient.record() | {"accession": study.accession, "study_date": study.day.isoformat()}
    return {"id": f"{study.number}-{variant}", "text": text, "patient": patient, "spans": spans, "keep": keep}


def _written_report(study: Study, variant: int, seed: int) -> str:
    rng = random.Random(f"{seed}:report:{variant}")
    writers = (_headed, _letter, _terse, _marked_up)
    text = writers[variant % len(writers)](study, rng)
    return text.upper() if variant % 13 == 12 else text


def _is(label: str, text: object) -> str:
    return f"{_OPEN}{label}{_LABELLED}{text}{_CLOSE}"


def _headed(study: Study, rng: random.Random) -> str:
    patient = study.patient
    return (
        f"{_is('HOSPITAL', HOSPITAL)} - {DEPARTMENT}\n"
        f"Patient: {_is('PATIENT_NAME', f'{patient.surname.upper()}, {patient.given}')}\n"
        f"Hospital No: {_is('MRN', patient.mrn)}    NHS No: {_is('NHS_NO', spaced(patient.nhs_number))}\n"
        f"DOB: {_is('DOB', _written(patient.dob, rng))}   Sex: {patient.sex}\n"
        f"Exam: {study.description}   Date: {_date(study.day, rng)}   Accession: {_is('ACCESSION', study.accession)}\n"
        f"Referrer: {_clinician(patient.referrer)} ({_is('GP_PRACTICE', patient.practice)})\n\n"
        f"CLINICAL DETAILS\n{rng.choice(_DETAILS[study.modality])}\n\n"
        f"COMPARISON\n{_comparison(study, rng)}\n\n"
        f"REPORT\n{rng.choice(_FINDINGS[study.modality])}\n\n"
        f"CONCLUSION\n{rng.choice(_CONCLUSIONS)}\n\n"
        f"Reported by {_clinician(study.radiologist)}, {study.radiologist.role}, "
        f"GMC {_is('GMC', gmc_number(study.radiologist))}\n"
        f"Verified {_date(study.day + timedelta(days=1), rng)} 16:47"
    )


def _letter(study: Study, rng: random.Random) -> str:
    patient = study.patient
    return (
        f"{study.description} {_date(study.day, rng)}\n\n"
        f"{patient.title} {_is('PATIENT_NAME', patient.surname)} was referred by {_clinician(patient.referrer)} "
        f"and attended from {_is('ADDRESS', patient.street)}, {_is('TOWN', patient.town)} "
        f"{_is('POSTCODE', patient.postcode)}. {rng.choice(_DETAILS[study.modality])} "
        f"{_is('PATIENT_NAME', patient.given)} was accompanied by a daughter who can be reached on "
        f"{_is('PHONE', patient.mobile)}.\n\n"
        f"{rng.choice(_FINDINGS[study.modality])} {_comparison(study, rng)}\n\n"
        f"{rng.choice(_CONCLUSIONS)} Discussed with {_short(patient.referrer)} by phone at 14:20. "
        f"Copy to {_clinician(patient.gp)}, {_is('GP_PRACTICE', patient.practice)}.\n\n"
        f"Images filed under {_is('MRN', patient.mrn)} / {_is('ACCESSION', study.accession)}.\n"
        f"Electronically signed: {_plain(study.radiologist)}"
    )


def _terse(study: Study, rng: random.Random) -> str:
    patient = study.patient
    named = _is("PATIENT_NAME", f"{patient.given} {patient.surname}")
    known = f" (known as {_is('PATIENT_NAME', patient.preferred)})" if patient.preferred else ""
    age = (study.day - patient.dob).days * 4 // 1461
    return (
        f"Re {patient.title} {named}{known} {_is('DOB', _written(patient.dob, rng))} "
        f"{_is('NHS_NO', patient.nhs_number)}\n"
        f"{age} year old {'woman' if patient.sex == 'F' else 'man'}. {rng.choice(_DETAILS[study.modality])}\n"
        f"{rng.choice(_FINDINGS[study.modality])}\n"
        f"{_comparison(study, rng)}\n"
        f"{rng.choice(_CONCLUSIONS)}\n"
        f"Performed by {_clinician(study.radiographer)}. d/w {_short(study.radiologist)}, bleep {_is('BLEEP', 4417)}."
    )


def _marked_up(study: Study, rng: random.Random) -> str:
    """As a radiology information system sends it: HL7 version 2 escapes for line breaks."""
    patient = study.patient
    return "\\.br\\".join(
        (
            f"{study.description} - {_date(study.day, rng)}",
            f"Ref: {_is('ACCESSION', study.accession)}",
            f"{_is('PATIENT_NAME', f'{patient.surname}^{patient.given}')} DOB {_is('DOB', f'{patient.dob:%Y%m%d}')} "
            f"MRN {_is('MRN', patient.mrn)}",
            "",
            rng.choice(_DETAILS[study.modality]),
            rng.choice(_FINDINGS[study.modality]),
            _comparison(study, rng),
            rng.choice(_CONCLUSIONS),
            f"Dictated by {_clinician(study.radiologist)} and typed by {_plain(study.radiographer)}",
        )
    )


def _comparison(study: Study, rng: random.Random) -> str:
    earlier = study.day - timedelta(days=rng.randrange(30, 900))
    place = _is("HOSPITAL", rng.choice((HOSPITAL, *OTHER_HOSPITALS)))
    return rng.choice(
        (
            f"Comparison is made with the study of {_date(earlier, rng)} from {place}.",
            f"No significant change since {_date(earlier, rng)}.",
            f"Previous imaging at {place} ({_date(earlier, rng)}) reviewed.",
        )
    )


def _clinician(clinician: Clinician) -> str:
    return f"{clinician.title} {_plain(clinician)}"


def _short(clinician: Clinician) -> str:
    return f"{clinician.title} {_is('CLINICIAN_NAME', clinician.surname)}"


def _plain(clinician: Clinician) -> str:
    return _is("CLINICIAN_NAME", f"{clinician.given} {clinician.surname}")


def _date(day: date, rng: random.Random) -> str:
    return _is("DATE", _written(day, rng))


def _written(day: date, rng: random.Random) -> str:
    """Write a date in one of the ways people do."""
    ways = (f"{day:%d/%m/%Y}", f"{day.day} {day:%B %Y}", f"{day:%d.%m.%y}", f"{day:%d-%b-%Y}", day.isoformat())
    return rng.choice(ways)
