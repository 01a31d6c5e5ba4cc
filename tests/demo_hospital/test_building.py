"""Building: deterministic, done once, finished or not there at all."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployments.demo_hospital import Hospital, build_hospital
from deployments.demo_hospital.images import CHEST_COLUMNS, CHEST_ROWS, chest, draw_text
from deployments.demo_hospital.population import PATIENTS
from safelight.errors import StorageUnwritable
from safelight.model import OUTCOMES, KnownIdentifiers, RequestState
from safelight.pseudonym import is_valid_uid
from tests.demo_hospital.conftest import DAY, SCALE, SEED


def fingerprints(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_and_day_give_the_same_bytes(hospital: Hospital, tmp_path: Path) -> None:
    again = build_hospital(tmp_path / "again", seed=SEED, today=DAY, scale=SCALE)

    assert fingerprints(again.folder) == fingerprints(hospital.folder)
    assert again.canaries() == hospital.canaries()


def test_another_seed_gives_other_people_and_other_uids(hospital: Hospital, tmp_path: Path) -> None:
    other = build_hospital(tmp_path, seed=SEED + 1, today=DAY, scale=SCALE)

    assert not {patient.nhs_number for patient in other.population.patients} & {
        patient.nhs_number for patient in hospital.population.patients
    }
    assert not set(other.contents["uids"]) & set(hospital.contents["uids"])


def test_what_was_built_is_reused_on_another_day(tmp_path: Path) -> None:
    first = build_hospital(tmp_path, seed=1, today=DAY, scale=SCALE)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    again = build_hospital(tmp_path, seed=1, today=DAY + timedelta(days=9), scale=SCALE)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert (again.day, again.studies) == (first.day, first.studies)


def test_a_build_that_was_interrupted_is_made_again_and_leaves_other_files_alone(hospital: Hospital, tmp_path: Path) -> None:
    (tmp_path / "archives" / "primary").mkdir(parents=True)
    (tmp_path / "archives" / "primary" / "half.dcm").write_bytes(b"half")
    (tmp_path / "note-of-mine.txt").write_text("keep")

    built = build_hospital(tmp_path, seed=SEED, today=DAY, scale=SCALE)

    assert (tmp_path / "note-of-mine.txt").read_text() == "keep"
    (tmp_path / "note-of-mine.txt").unlink()
    assert fingerprints(built.folder) == fingerprints(hospital.folder)


def test_another_seed_replaces_what_was_built(hospital: Hospital, tmp_path: Path) -> None:
    build_hospital(tmp_path, seed=1, today=DAY, scale=SCALE)
    build_hospital(tmp_path, seed=SEED, today=DAY, scale=SCALE)

    assert fingerprints(tmp_path) == fingerprints(hospital.folder)


def test_there_is_as_much_as_promised(hospital: Hospital) -> None:
    assert len(hospital.population.patients) == PATIENTS == 40
    assert len(hospital.studies) == 60
    assert {study.modality for study in hospital.studies} == {"CR", "DX", "CT", "MR", "US", "MG", "NM"}
    assert Counter(study.extract for study in hospital.studies)[2] >= 15
    assert "40 patients, 60 studies" in hospital.describe()


def test_some_patients_are_asked_for_in_both_extracts(hospital: Hospital) -> None:
    first, second = ({study.patient.mrn for study in hospital.studies if study.extract == number} for number in (1, 2))
    assert len(first & second) >= 5


def test_every_request_has_an_expected_outcome(hospital: Hospital) -> None:
    assert set(hospital.expected) == {study.procedures[0] for study in hospital.studies}
    assert sum(hospital.expected_outcomes.values()) == 60
    # Nothing is expected to fail: a failure in the demo is a fault of the pipeline.
    assert set(hospital.expected_outcomes) == set(OUTCOMES) - {RequestState.FAILED}


def test_numbers_are_unique_and_well_formed(hospital: Hospital) -> None:
    patients, studies = hospital.population.patients, hospital.studies
    for values in (
        [patient.mrn for patient in patients],
        [patient.person_id for patient in patients],
        [patient.nhs_number for patient in patients],
        [patient.person_name for patient in patients],
        [study.accession for study in studies],
        [study.uid for study in studies],
        [number for study in studies for number in study.procedures],
    ):
        assert len(set(values)) == len(values)
    assert all(is_valid_uid(uid) for uid in hospital.contents["uids"])
    assert any(patient.mrn.startswith("00") for patient in patients), "a leading zero must be met"
    for patient in patients:
        weighed = sum(int(digit) * weight for digit, weight in zip(patient.nhs_number, range(10, 0, -1), strict=True))
        assert weighed % 11 == 0
        assert patient.nhs_number.startswith("999"), "the range that the NHS reserves for tests"
        assert (patient.dob.month, patient.dob.day) != (1, 1)


def test_the_patient_record_is_in_the_form_that_the_pipeline_reads(hospital: Hospital) -> None:
    lines = (hospital.record / "patients.jsonl").read_text(encoding="utf-8").splitlines()
    known = [KnownIdentifiers.model_validate_json(line) for line in lines]

    assert len(known) == 39, "one person has no record"
    assert sum(1 for patient in known if not patient.nhs_number) == 1
    assert all(patient.mrn and patient.surname and patient.dob and patient.address.postcode for patient in known)
    assert any(patient.previous_surname for patient in known)
    assert not set(json.loads(lines[0])) - set(KnownIdentifiers.model_fields)


def test_the_site_lists_staff_and_neighbours(hospital: Hospital) -> None:
    site = json.loads((hospital.record / "site.json").read_text(encoding="utf-8"))

    assert set(site) == {"home_hospital", "home_aliases", "hospitals", "staff"}
    assert {study.radiologist.surname for study in hospital.studies} <= {one["surname"] for one in site["staff"]}
    assert all(set(one) == {"title", "given", "surname", "role"} for one in site["staff"])


def test_the_opt_out_answer_is_a_mesh_file(hospital: Hospital) -> None:
    (answer,) = hospital.opt_out.glob("*.dat")
    content = answer.read_bytes()

    assert content.endswith(b",\n")
    assert b"\r" not in content
    listed = {line.rstrip(",") for line in content.decode().splitlines()}
    assert all(len(number) == 10 and number.isdigit() for number in listed)
    assert listed == {patient.nhs_number for patient in hospital.population.patients if patient.opted_in}
    assert len(listed) == 38


def test_the_opt_out_answer_can_be_made_new(hospital: Hospital) -> None:
    now = datetime(2031, 5, 6, 7, 8, tzinfo=UTC)

    hospital.refresh_opt_out(now)

    assert [path.stat().st_mtime for path in hospital.opt_out.glob("*.dat")] == [now.timestamp()]


def test_a_chest_radiograph_has_realistic_size() -> None:
    pixels = chest(4, seed=1)

    assert pixels.shape == (CHEST_ROWS, CHEST_COLUMNS) == (2500, 2048)
    assert pixels.dtype.itemsize == 2
    assert pixels.max() < 4096, "12 bits"
    assert pixels.std() > 300, "anatomy, not a grey field"


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageUnwritable, match="can't be written"):
        build_hospital(tmp_path / "file" / "hospital", seed=1, today=DAY, scale=SCALE)


def test_a_full_disk_is_reported_and_the_build_done_again_later(hospital: Hospital, tmp_path: Path) -> None:
    script = (
        "import resource, sys; from datetime import date; from pathlib import Path\n"
        "from deployments.demo_hospital import build_hospital\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        f"build_hospital(Path(sys.argv[1]), seed={SEED}, today=date.fromisoformat('{DAY}'), scale={SCALE})\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert "StorageFull: The disk has no room for the demo hospital." in done.stderr
    assert not (tmp_path / "hospital.json").exists()

    again = build_hospital(tmp_path, seed=SEED, today=DAY, scale=SCALE)
    assert fingerprints(again.folder) == fingerprints(hospital.folder)


@pytest.mark.parametrize("character", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/-")
def test_text_is_drawn_visibly(character: str) -> None:
    pixels = chest(0, seed=1, scale=0.05) * 0

    draw_text(pixels, character, row=3, column=4, value=4095, size=2)

    assert pixels[3:17, 4:14].max() == 4095
    pixels[3:17, 4:14] = 0
    assert pixels.max() == 0, "nothing beside the character"
