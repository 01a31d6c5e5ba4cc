"""The pipeline as a site has it: a real PACS, PostgreSQL, a lake in blob storage, DICOMweb, the key in a vault."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as parquet
import pytest
import requests
from deltalake import DeltaTable
from pydicom import dcmread

from blocks import (
    AzureBlobContainer,
    DeltaLake,
    DicomNode,
    DicomwebServer,
    FtpsServer,
    LinkStore,
    LocalFolder,
    PseudonymKeyVault,
    StorageNode,
)
from deployments.bootstrap import register_limits
from deployments.demo_hospital import Hospital, build_hospital
from flows.nightly_batch import nightly_batch
from flows.patient_withdrawal import patient_withdrawal
from safelight.link import LinkDatabase
from safelight.model import RequestState
from safelight.project import load_project
from safelight.pseudonym import ProjectKey, Pseudonymizer

if TYPE_CHECKING:
    from tests.services.azurite import Azurite
    from tests.services.key_vault import KeyVault
    from tests.services.orthanc import Orthanc, Peer
    from tests.services.vsftpd import Vsftpd

PROJECT = "site-test"
KEY, SALT, SEED = bytes(range(64)), bytes(range(100, 116)), bytes(range(32))
PROFILES = Path(__file__).resolve().parents[2] / "profiles"


def a_project(profiles: Path) -> None:
    """A project of its own, with one archive, and destinations of several kinds for DICOM and for tables."""
    text = (PROFILES / "projects" / "demo-hospital.yaml").read_text()
    secondary = text[text.index("  - block: demo-archive-secondary") : text.index("deid:")]
    text = text.replace(secondary, "").replace("slug: demo-hospital", f"slug: {PROJECT}").replace("demo-", "site-")
    places = [f"    - {{kind: {kind}, block: site-{kind}}}" for kind in ("dicomweb", "ftps", "blob")]
    dicom = text[text.index("  dicom:\n") : text.index("release:")]
    text = text.replace(dicom, "\n".join(["  dicom:", *places, "  parquet:", *places[1:], ""]))
    text += "site: {signing_key: site-signing-key}\n"
    shutil.copytree(PROFILES, profiles)
    (profiles / "projects" / "demo-hospital.yaml").unlink()
    (profiles / "projects" / f"{PROJECT}.yaml").write_text(text)


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return build_hospital(tmp_path / "hospital", seed=23, today=datetime.now(UTC).date(), scale=0.05)


@pytest.fixture
def database(postgresql_url: str) -> Any:
    link = LinkDatabase(postgresql_url, clock=lambda: datetime.now(UTC))
    link.migrate()
    yield link
    link.close()


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("prefect_server")
def test_everything_arrives_where_it_should(
    hospital: Hospital,
    database: LinkDatabase,
    postgresql_url: str,
    orthanc: Orthanc,
    second_orthanc: Orthanc,
    receiver_peer: Peer,
    azurite: Azurite,
    key_vault: KeyVault,
    vsftpd: Vsftpd,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    profiles = tmp_path / "profiles"
    a_project(profiles)
    monkeypatch.setenv("SAFELIGHT_PROFILES", str(profiles))
    orthanc.upload(sorted((hospital.folder / "archives" / "primary").rglob("*.dcm")))
    for name, value in (("site-key", KEY), ("site-salt", SALT), ("site-signing-key", SEED)):
        key_vault.set_secret(name, value)
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    shutil.copyfile(hospital.labelled_reports, labelled / "labelled.jsonl")
    container = azurite.new_container()
    lake = f"az://{container}/lake"
    documents: dict[str, Any] = {
        "link-database": LinkStore(url=postgresql_url),
        f"pseudonym-key-{PROJECT}": PseudonymKeyVault(
            vault_url=key_vault.url,
            key_secret="site-key",
            salt_secret="site-salt",
            tenant_id=key_vault.tenant_id,
            client_id=key_vault.client_id,
            client_secret=key_vault.client_secret,
            authority=key_vault.url,
            ca_file=key_vault.bundle,
            verify_challenge_resource=False,
        ),
        "site-signing-key": PseudonymKeyVault(
            vault_url=key_vault.url,
            key_secret="site-signing-key",
            tenant_id=key_vault.tenant_id,
            client_id=key_vault.client_id,
            client_secret=key_vault.client_secret,
            authority=key_vault.url,
            ca_file=key_vault.bundle,
            verify_challenge_resource=False,
        ),
        "raw-cache": LocalFolder(path=tmp_path / "raw-cache"),
        "work": LocalFolder(path=tmp_path / "work"),
        "storage-receiver": StorageNode(ae_title=receiver_peer.ae_title, host="127.0.0.1", port=receiver_peer.port),
        "site-deliveries": LocalFolder(path=hospital.deliveries),
        "site-patient-record": LocalFolder(path=hospital.record),
        "site-report-validation": LocalFolder(path=labelled),
        "site-opt-out": LocalFolder(path=hospital.opt_out),
        "site-lake": DeltaLake(uri=lake, storage_options=azurite.storage_options),
        "site-dicomweb": DicomwebServer(
            url=second_orthanc.dicomweb_url, username=second_orthanc.username, password=second_orthanc.password
        ),
        "site-ftps": FtpsServer(
            host=vsftpd.host,
            port=vsftpd.port,
            username=vsftpd.username,
            password=vsftpd.password,
            folder="inbox/site",
            ca_file=vsftpd.bundle,
        ),
        "site-blob": AzureBlobContainer(account_url=azurite.url, container=container, account_key=azurite.key),
        "site-archive-primary": DicomNode(
            ae_title=orthanc.ae_title, host="127.0.0.1", port=orthanc.port, calling_ae_title=receiver_peer.ae_title
        ),
    }
    for name, block in documents.items():
        block.save(name, overwrite=True)
    for use in load_project(profiles / "projects", PROJECT).archives:
        register_limits(use)

    first = nightly_batch((PROJECT,))[PROJECT]
    assert first["requested"] == sum(count for name, count in first.items() if name != "requested")
    exported = list(database.find(PROJECT, [RequestState.EXPORTED]))
    assert first["exported"] == len(exported) > 20

    # What a researcher sees on the DICOMweb node is what was written, under the pseudonyms of the vault's key.
    answer = requests.get(
        f"{second_orthanc.dicomweb_url}/studies",
        auth=(second_orthanc.username, second_orthanc.password),
        headers={"Accept": "application/dicom+json"},
        timeout=30,
    )
    delivered = {study["0020000D"]["Value"][0] for study in answer.json()}
    assert delivered == {request.pseudo_study_uid for request in exported}
    pseudonymizer = Pseudonymizer(ProjectKey(KEY, SALT))
    assert delivered == {pseudonymizer.uid(request.located_study_uid) for request in exported}
    studies = tmp_path / "work" / PROJECT / "studies"
    written = sorted(path for uid in delivered for path in (studies / uid).rglob("*.dcm"))
    assert len(second_orthanc.instances()) == len(written)
    some = dcmread(written[0], stop_before_pixels=True)
    assert second_orthanc.file(some.SOPInstanceUID) == written[0].read_bytes()

    tables = {
        name: DeltaTable(f"{lake}/{PROJECT}/{name}", storage_options=azurite.storage_options)
        for name in ("image_occurrence", "dicom_instance", "note", "person", "request_outcome", "release")
    }
    assert tables["dicom_instance"].to_pyarrow_table().num_rows == len(written)
    assert set(tables["image_occurrence"].to_pyarrow_table()["image_study_uid"].to_pylist()) == delivered
    assert tables["request_outcome"].to_pyarrow_table().num_rows == first["requested"]
    versions = {name: table.version() for name, table in tables.items()}

    assert nightly_batch((PROJECT,))[PROJECT] == first
    for table in tables.values():
        table.update_incremental()
    assert {name: table.version() for name, table in tables.items()} == versions
    assert len(second_orthanc.instances()) == len(written)

    # A safe haven has a zip file a study and the tables; so has the container of blobs, in files of their own.
    haven = vsftpd.inbox / "site" / PROJECT
    assert {path.stem for path in haven.glob("*.zip")} == delivered
    with azurite.client() as client:
        blobs = set(client.get_container_client(container).list_blob_names(name_starts_with=f"{PROJECT}/"))
    assert len([name for name in blobs if name.endswith(".dcm")]) == len(written)
    assert {name.partition("/parquet/")[2] for name in blobs if name.endswith(".parquet")} == {
        str(path.relative_to(extract / "parquet")) for extract in haven.iterdir() for path in extract.rglob("*.parquet")
    }
    (linker,) = haven.rglob("IMAGE_LINKER.parquet")
    assert set(parquet.read_table(linker)["pseudo_study_uid"].to_pylist()) == delivered

    # A patient withdraws: what can't be taken back is told.
    gone = {request.pseudo_study_uid for request in exported if request.mrn == exported[0].mrn}
    told = patient_withdrawal(PROJECT, exported[0].pseudo_patient_id)
    assert told["left at site-dicomweb"] == told["studies removed from destinations"] == len(gone)
    assert {path.stem for path in haven.glob("*.zip")} == delivered - gone
    assert set(parquet.read_table(linker)["pseudo_study_uid"].to_pylist()) == delivered - gone
    tables["dicom_instance"].update_incremental()
    assert set(tables["dicom_instance"].to_pyarrow_table()["StudyInstanceUID"].to_pylist()) == delivered - gone
    assert nightly_batch((PROJECT,))[PROJECT]["exported"] == first["exported"] - len(gone)
