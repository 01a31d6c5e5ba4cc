"""The list of planted identifiers: complete, really planted, and without words that occur by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydicom import dcmread
from pydicom.datadict import keyword_dict

from deployments.demo_hospital import Hospital

#: Forms that leak tests look for although the demo writes only some of them: birth dates as people write them, names of PN.
_FORMS = re.compile(r"\d\d/\d\d/\d{4}|[^ ]+\^.*|\d{3} \d{3} \d{4}|07700 .*|GMC.*")

_ROOT = "1.3.6.1.4.1.55648."


@pytest.fixture(scope="module")
def planted(hospital: Hospital) -> str:
    """All text of all files, in lower case, read as UTF-8 and as Latin-1."""
    found = []
    for path in sorted(hospital.folder.rglob("*")):
        if path.suffix == ".parquet":
            found.append(str(pq.read_table(path).to_pylist()).encode())
        elif path.is_file() and path.name != "hospital.json":
            found.append(path.read_bytes())
    content = b"\n".join(found)
    return (content.decode("utf-8", "ignore") + content.decode("latin-1")).casefold()


def test_every_canary_is_planted(hospital: Hospital, planted: str) -> None:
    folded = {text.casefold() for text in hospital.canaries()}
    # Capital letters that do not come back: a dotless i.
    absent = {text for text in folded if text not in planted and not _FORMS.fullmatch(text) and "yildirimlar" not in text}
    assert absent == set()
    forms = [text for text in folded if _FORMS.fullmatch(text)]
    assert sum(text in planted for text in forms) > len(forms) / 2


def test_every_patient_and_clinician_is_among_them(hospital: Hospital) -> None:
    canaries = set(hospital.canaries())
    for patient in hospital.population.patients:
        assert {patient.mrn, patient.nhs_number, patient.surname, patient.given, patient.postcode} <= canaries
        assert {patient.dob.strftime("%Y%m%d"), patient.dob.isoformat(), patient.mobile, patient.street} <= canaries
    assert {clinician.surname for clinician in hospital.population.staff} <= canaries
    for study in hospital.studies:
        assert study.uid in canaries
        assert study.accession in canaries or study.accession == "NA"
    assert set(hospital.contents["uids"]) <= canaries
    assert {"Saltmarsh General Hospital", "SGHCT02C", "SGHMODALITY7"} <= canaries
    assert any(text.startswith("DSN-") for text in canaries)


def test_all_uids_of_all_files_are_among_them(hospital: Hospital) -> None:
    files = list((hospital.folder / "archives").rglob("*.dcm"))
    elements = (element for path in files for element in dcmread(path).iterall() if element.VR == "UI")
    found = {str(element.value) for element in elements if str(element.value).startswith(_ROOT)}
    assert len(found) > len(files)
    assert found <= set(hospital.canaries())


def test_none_is_too_short_to_search_for(hospital: Hospital) -> None:
    assert min(map(len, hospital.canaries())) >= 5
    assert hospital.canaries() == sorted(set(hospital.canaries()))


def test_none_occurs_by_itself(hospital: Hospital) -> None:
    """Neither in DICOM's vocabulary, nor in our own text, nor in the words that runs are named with."""
    import coolname

    folder = Path(coolname.__file__).parent
    words = " ".join(path.read_text(encoding="utf-8") for path in sorted((folder / "data").glob("*.txt")))
    ours = Path(__file__).resolve().parents[2]
    words += " ".join(path.read_text(encoding="utf-8") for path in sorted((ours / "src").rglob("*.py")))
    words += " ".join(keyword_dict) + " ".join(path.name for path in (ours / "profiles").rglob("*"))
    assert len(words) > 20_000
    folded = words.casefold()
    assert [text for text in hospital.canaries() if text.casefold() in folded] == []
