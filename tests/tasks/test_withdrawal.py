"""The flow that takes a patient's data back: by pseudonym, or without naming anybody; also when the approval has ended."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from prefect.exceptions import ParameterTypeError

from blocks import DeltaLake, LinkStore, LocalFolder, PseudonymKeyFile
from flows.patient_withdrawal import patient_withdrawal
from safelight.errors import ConfigurationError, KeyUnavailable
from safelight.model import Reason
from safelight.release.batch import export_project
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from tests.release.hospital import CANARY, NOW, PROJECT, PSEUDONYMIZER, Hospital

PROFILES = Path(__file__).parents[2] / "profiles"


@pytest.fixture
def delivered(tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    """A hospital of which three studies left, for a project whose approval has ended since."""
    shutil.copytree(PROFILES, tmp_path / "profiles")
    file = tmp_path / "profiles" / "projects" / "demo-hospital.yaml"
    text = file.read_text().replace("slug: demo-hospital", f"slug: {PROJECT}").replace("2036-12-31", "2020-12-31")
    (tmp_path / "profiles" / "projects" / f"{PROJECT}.yaml").write_text(text)
    monkeypatch.setenv("SAFELIGHT_PROFILES", str(tmp_path / "profiles"))
    hospital = Hospital(tmp_path, f"sqlite:///{tmp_path / 'link.db'}")
    hospital.verify([1, 2, 3])
    export_project(hospital.export(Lake(str(tmp_path / "lake")), [FolderDestination(tmp_path / "dicom")]))
    hospital.database.close()
    key, salt = tmp_path / "key", tmp_path / "salt"
    key.write_bytes(PSEUDONYMIZER.project_key.key)
    salt.write_bytes(PSEUDONYMIZER.project_key.salt)
    documents = {
        "link-database": LinkStore(url=hospital.url),
        f"pseudonym-key-{PROJECT}": PseudonymKeyFile(key_file=key, salt_file=salt),
        "raw-cache": LocalFolder(path=tmp_path / "raw-cache"),
        "work": LocalFolder(path=tmp_path / "work"),
        "demo-lake": DeltaLake(uri=str(tmp_path / "lake")),
        "demo-dicom": LocalFolder(path=tmp_path / "dicom"),
    }
    for name, block in documents.items():
        block.save(name, overwrite=True)
    return hospital


def studies(hospital: Hospital) -> set[str]:
    return {path.name for path in (hospital.folder / "dicom" / PROJECT).iterdir()}


def test_one_by_pseudonym_and_one_who_opted_out(delivered: Hospital) -> None:
    uids = {number: PSEUDONYMIZER.uid(f"1.2.3.{number}") for number in (1, 2, 3)}
    assert studies(delivered) == set(uids.values())
    patient = PSEUDONYMIZER.secure_hash(f"{CANARY}-1", "patient")
    first = patient_withdrawal(PROJECT, patient)
    assert (first["requests withdrawn"], first["requests taken back"], first["rows removed from the lake"]) == (1, 1, 3)
    assert studies(delivered) == {uids[2], uids[3]}
    assert patient_withdrawal(PROJECT, patient) == {"requests withdrawn": 0}
    assert patient_withdrawal(PROJECT) == {}

    extract = delivered.database.register_extract(PROJECT, name="x", sha256="1" * 64, generated=NOW, source="test")
    out = {f"{CANARY}-2": Reason.NOT_ON_OPT_OUT_LIST}
    delivered.database.add_requests(extract, [], pseudonymizer=PSEUDONYMIZER, opted_out=out)
    assert patient_withdrawal(PROJECT)["studies removed from destinations"] == 1
    assert studies(delivered) == {uids[3]}
    lake = Lake(str(delivered.folder / "lake"))
    assert set(lake.read(PROJECT, "dicom_instance").column("StudyInstanceUID").to_pylist()) == {uids[3]}
    events = [event.event for event in delivered.database.audit_events()]
    assert (events.count("trace"), events.count("withdraw"), events.count("remove")) == (2, 2, 2)
    delivered.database.close()


def test_with_another_key_nothing_is_done(delivered: Hospital) -> None:
    """A key that was rotated would find nobody, and look as if nothing was left."""
    extract = delivered.database.register_extract(PROJECT, name="x", sha256="1" * 64, generated=NOW, source="test")
    out = {f"{CANARY}-2": Reason.NOT_ON_OPT_OUT_LIST}
    delivered.database.add_requests(extract, [], pseudonymizer=PSEUDONYMIZER, opted_out=out)
    (delivered.folder / "key").write_bytes(bytes(range(1, 65)))
    with pytest.raises(KeyUnavailable, match="not the one") as caught:
        patient_withdrawal(PROJECT)
    assert "never rotated" in caught.value.remedy
    assert len(studies(delivered)) == 3
    (delivered.folder / "key").write_bytes(PSEUDONYMIZER.project_key.key)
    assert patient_withdrawal(PROJECT)["requests taken back"] == 1
    delivered.database.close()


def test_nothing_but_a_pseudonym_of_this_project_is_taken(delivered: Hospital) -> None:
    for wrong in (f"{CANARY}-1", "1234567", "943 476 5919", "1.2.3.1", "2.25.1"):
        with pytest.raises(ParameterTypeError):
            patient_withdrawal(PROJECT, wrong)
    with pytest.raises(ConfigurationError, match="this pseudonym"):
        patient_withdrawal(PROJECT, "A" * 64)
    assert len(studies(delivered)) == 3
