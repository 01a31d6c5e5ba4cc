"""A modality pushes studies of a project: they become requests, and the pipeline takes them to the destination."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from io import BytesIO
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from pydicom import Dataset, dcmread

from blocks import DicomNode, StorageNode
from deployments.demo import PROJECT, open_database
from flows.cohort_ingest import cohort_ingest
from flows.dataset_export import dataset_export
from flows.dicom_deidentification import dicom_deidentification
from flows.pacs_retrieval import pacs_retrieval
from flows.study_listener import study_listener
from safelight.link import Request
from safelight.model import RequestState
from safelight.release.lake import Lake
from tests.services.process import accepts_connections, free_port, program
from tests.system.conftest import Site

pytestmark = pytest.mark.usefixtures("prefect_server")
PROFILES = Path(__file__).resolve().parents[2] / "profiles"
PUSH = """push:
  receiver: push-receiver
  senders: [modality]
  quiet_seconds: 1
  then: pipeline/of-the-test
archives:"""


@flow
def pipeline(projects: list[str]) -> None:
    """What the listener starts; a worker would run it."""


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> int:
    """A project that takes pushes, and whose archives are not there; returns the port that they go to."""
    shutil.copytree(PROFILES, tmp_path / "profiles")
    file = tmp_path / "profiles" / "projects" / f"{PROJECT}.yaml"
    file.write_text(file.read_text().replace("archives:", PUSH, 1))
    monkeypatch.setenv("SAFELIGHT_PROFILES", str(tmp_path / "profiles"))
    port = free_port()
    StorageNode(ae_title="RESEARCH", host="127.0.0.1", port=port).save("push-receiver", overwrite=True)
    DicomNode(ae_title="MODALITY", host="127.0.0.1", port=104).save("modality", overwrite=True)
    return port


def listen_and_send(port: int, files: list[Path], *, minutes: float = 0.2) -> dict[str, int]:
    """Run the listener, and push to it meanwhile."""

    def send() -> None:
        end = time.monotonic() + 60
        while not accepts_connections(port) and time.monotonic() < end:
            time.sleep(0.1)
        sender = [program("dcmsend"), "-aet", "MODALITY", "-aec", "RESEARCH", "127.0.0.1", str(port)]
        subprocess.run([*sender, *map(str, files)], check=True, capture_output=True)

    sending = threading.Thread(target=send)
    sending.start()
    counts = study_listener(PROJECT, minutes)
    sending.join()
    return counts


def a_study_of(template: Path, folder: Path, mrn: str, number: int, *, instances: tuple[int, ...] = (1, 2)) -> list[Path]:
    """A new study of a patient, or some instances of it, made from a file of the hospital."""
    folder.mkdir()
    data: Dataset = dcmread(template)
    data.PatientID = mrn
    data.StudyInstanceUID = f"1.2.826.0.1.3680043.9.7433.77.{number}"
    data.SeriesInstanceUID = f"{data.StudyInstanceUID}.1"
    data.AccessionNumber = f"PUSHED{number}"
    paths = []
    for instance in instances:
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{data.SeriesInstanceUID}.{instance}"
        content = BytesIO()
        data.save_as(content, enforce_file_format=True)
        paths.append(folder / f"{instance}.dcm")
        paths[-1].write_bytes(content.getvalue())
    return paths


def requests(site: Site) -> list[Request]:
    database = open_database(site.folder)
    try:
        return list(database.find(PROJECT, list(RequestState)))
    finally:
        database.close()


def template_of(site: Site) -> Path:
    """A plain radiograph of the hospital's archive."""
    for path in sorted((site.hospital.folder / "archives" / "primary").rglob("*.dcm")):
        data = dcmread(path, stop_before_pixels=True)
        if data.get("Modality") in {"CR", "DX"} and data.get("BurnedInAnnotation", "NO") == "NO":
            return path
    raise AssertionError("no radiograph in the hospital")


@pytest.mark.timeout(600)
def test_a_pushed_study_goes_through_the_pipeline(
    site: Site, port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cohort_ingest(PROJECT)
    known = requests(site)
    before = {one.id for one in known}
    allowed = next(one for one in known if one.state is RequestState.REQUESTED and one.nhs_number)
    refused = next(one for one in known if one.state is RequestState.OPTED_OUT)
    record = (site.hospital.record / "patients.jsonl").read_text()
    assert "STRANGERMRN" not in record
    template = template_of(site)
    studies = {
        mrn: a_study_of(template, tmp_path / f"study-{number}", mrn, number)
        for number, mrn in enumerate((allowed.mrn, refused.mrn, "STRANGERMRN"), start=1)
    }
    deployment = pipeline.to_deployment("of-the-test").apply()

    counts = listen_and_send(port, [path for paths in studies.values() for path in paths])
    assert counts["set aside (no_patient_record)"] == 1
    assert (counts["requests"], counts["opted out"]) == (2, 1)
    new = {one.mrn: one for one in requests(site) if one.id not in before}
    assert new.keys() == {allowed.mrn, refused.mrn}
    assert new[allowed.mrn].state is RequestState.REQUESTED
    assert new[allowed.mrn].pseudo_patient_id == allowed.pseudo_patient_id
    assert new[refused.mrn].state is RequestState.OPTED_OUT
    cached = site.folder / "raw-cache"
    assert len(list((cached / "studies").rglob("*.dcm"))) == 2, "what may not be used is not kept"
    assert len(list((cached / "pushed").rglob("*.dcm"))) == 2, "who is not in the record waits for a person"
    with get_client(sync_client=True) as client:
        (run,) = [one for one in client.read_flow_runs() if one.deployment_id == deployment]
    assert run.parameters == {"projects": [PROJECT]}

    # The rest of the pipeline. The archives are not running: what was pushed does not need them, and the others wait.
    ids = new[allowed.mrn].id
    counts = pacs_retrieval(PROJECT)
    assert counts["retrieved"] == 1
    assert counts["because archive_closed"] == counts["waiting for another attempt"] > 1
    dicom_deidentification(PROJECT)
    (done,) = [one for one in requests(site) if one.id == ids]
    assert (done.state, done.received) == (RequestState.VERIFIED, 2)
    dataset_export(PROJECT)
    (done,) = [one for one in requests(site) if one.id == ids]
    assert done.state is RequestState.EXPORTED
    delivered = [dcmread(path) for path in (site.folder / "dicom").rglob("*.dcm")]
    assert {str(one.PatientID) for one in delivered} == {allowed.pseudo_patient_id}
    assert len(delivered) == 2

    # What comes late is asked for by series, each time.
    for instance in (3, 4):
        late = a_study_of(template, tmp_path / f"late-{time.monotonic_ns()}", allowed.mrn, 1, instances=(instance,))
        listen_and_send(port, late, minutes=0.1)
    parts = [one for one in requests(site) if one.study_uid == done.study_uid and one.series_uids]
    assert [one.pseudo_study_uid for one in parts] == [done.pseudo_study_uid] * 2
    assert parts[0].series_uids == parts[1].series_uids
    pacs_retrieval(PROJECT)
    dicom_deidentification(PROJECT)
    dataset_export(PROJECT)
    of_study = [one for one in requests(site) if one.study_uid == done.study_uid]
    assert {one.state for one in of_study} == {RequestState.EXPORTED}
    delivered = [dcmread(path) for path in (site.folder / "dicom").rglob("*.dcm")]
    assert len({one.SOPInstanceUID for one in delivered}) == len(delivered) == 4
    assert {str(one.PatientID) for one in delivered} == {allowed.pseudo_patient_id}
    for table, key in (
        ("dicom_instance", "SOPInstanceUID"),
        ("image_occurrence", "image_series_uid"),
        ("request_outcome", "request_key"),
    ):
        keys = Lake(str(site.folder / "lake"), {}).read(PROJECT, table, [key])[key].to_pylist()
        expected = {"dicom_instance": 4, "image_occurrence": 1}.get(table, len(requests(site)))
        assert len(set(keys)) == len(keys) == expected

    texts = caplog.text
    assert not [text for text in (allowed.mrn, "STRANGERMRN", "PUSHED1", "7433.77") if text in texts]
