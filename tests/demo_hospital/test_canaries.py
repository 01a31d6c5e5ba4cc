"""The list of planted identifiers: complete, really planted, and without words that occur by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydicom import dcmread
from pydicom.datadict import keyword_dict

from deployments.demo_hospital import Canaries, Hospital

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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "latin-1"])
def test_a_planted_leak_is_found_in_any_encoding(hospital: Hospital, encoding: str) -> None:
    name = next(patient.surname for patient in hospital.population.patients if patient.character_set == "ISO_IR 100")
    pixels = bytes(range(256)) * 40
    for form in (name, name.upper(), name.lower()):
        assert name in Canaries(hospital.canaries()).find(pixels + f" {form} ".encode(encoding) + pixels)


def test_names_beyond_latin_1_are_found(hospital: Hospital) -> None:
    patient = next(patient for patient in hospital.population.patients if patient.character_set == "ISO_IR 192")
    assert patient.person_name in Canaries([patient.person_name]).find(b"\0\1" + patient.person_name.encode() + b"\0")


def test_a_number_counts_only_by_itself() -> None:
    canaries = Canaries(["19570411"])
    assert canaries.find(b"2.25.1195704112") == []
    assert canaries.find(b"PatientBirthDate 19570411\\") == ["19570411"]


def test_a_folder_is_searched_by_content_and_by_name(hospital: Hospital, tmp_path: Path) -> None:
    patient = hospital.population.patients[0]
    (tmp_path / "clean.txt").write_text("no abnormality")
    (tmp_path / f"{patient.mrn}.txt").write_text("")
    # Compressed, so that the name is not in the file's bytes.
    leaky = pa.table({"name": [patient.surname] * 1000, "b": list(range(1000))})
    pq.write_table(leaky, tmp_path / "leaky.parquet", compression="zstd")

    assert hospital.leaks(tmp_path) == {f"{patient.mrn}.txt": [patient.mrn], "leaky.parquet": [patient.surname]}


def test_every_file_of_the_hospital_leaks(hospital: Hospital) -> None:
    """The search is no use unless it finds what the files are full of."""
    leaking = hospital.leaks(hospital.folder / "archives")
    assert len(leaking) == hospital.contents["instances"]
    assert min(map(len, leaking.values())) > 20
