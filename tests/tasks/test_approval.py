"""A release that needs a person: the flow run is suspended, and goes on by the form's answer, through the real API."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow

from blocks import DeltaLake, DicomNode, LinkStore, LocalFolder, PseudonymKeyFile, StorageNode
from flows.dataset_export import dataset_export
from flows.lake_maintenance import lake_maintenance
from safelight.release.lake import Lake
from safelight.release.manifest import read_manifest
from tests.release.hospital import CANARY, PROJECT, Hospital
from tests.release.test_lake import row

PROFILES = Path(__file__).parents[2] / "profiles"
ANSWER = {"decision": "approve", "name": "A. Governor", "reason": "Read the datasheet."}


class Site:
    """A project with two verified studies, whose releases a person must approve; and the deployment that asks."""

    def __init__(self, folder: Path, client: SyncPrefectClient) -> None:
        self.folder, self.client = folder, client
        self.hospital = Hospital(folder, f"sqlite:///{folder / 'link.db'}", time=datetime.now(UTC))
        self.hospital.work = folder / "work" / PROJECT / "studies"
        self.hospital.verify([1, 2], instances=1)
        flow_id = client.create_flow(dataset_export)
        self.deployment = client.create_deployment(flow_id, f"approval-{folder.name}", enforce_parameter_schema=False)

    def start(self) -> UUID:
        """Start the deployment, as the form in the UI does."""
        return self.client.create_flow_run_from_deployment(self.deployment, parameters={"project": PROJECT}).id

    def work_on(self, run: UUID) -> FlowRun:
        """Run it until it ends or is suspended, as a worker does; returns how it is then."""
        given = self.client.read_flow_run(run)
        with suppress(Pause):  # this is how the worker's process ends
            run_flow(dataset_export, flow_run=given, parameters=given.parameters, return_type="state")
        return self.client.read_flow_run(run)

    def answer(self, run: UUID, answer: dict[str, str] | None) -> SetStateStatus:
        """Answer the form, as the UI does."""
        return self.client.resume_flow_run(run, run_input=answer).status

    def delivered(self) -> int:
        return len(list((self.folder / "dicom").rglob("*.dcm")))

    def tables(self) -> int:
        return len(list((self.folder / "lake").rglob("*.parquet")))


@pytest.fixture
def site(tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    profiles = tmp_path / "profiles"
    shutil.copytree(PROFILES, profiles)
    path = profiles / "projects" / "demo-hospital.yaml"
    project = yaml.safe_load(path.read_text())
    path.unlink()
    project |= {"slug": PROJECT, "release": {"approval": "required"}, "reports": {"include": False}}
    (profiles / "projects" / f"{PROJECT}.yaml").write_text(yaml.safe_dump(project))
    monkeypatch.setenv("SAFELIGHT_PROFILES", str(profiles))
    for name, size in (("key", 64), ("salt", 16), ("signing", 32)):
        (tmp_path / name).write_bytes(bytes(range(size)))
    folders = {"demo-deliveries": "deliveries", "demo-patient-record": "record", "demo-opt-out": "opt-out"}
    for folder in (*folders.values(), "work"):
        (tmp_path / folder).mkdir()
    blocks: dict[str, Any] = {
        "link-database": LinkStore(url=f"sqlite:///{tmp_path / 'link.db'}"),
        f"pseudonym-key-{PROJECT}": PseudonymKeyFile(key_file=tmp_path / "key", salt_file=tmp_path / "salt"),
        "release-signing-key": PseudonymKeyFile(key_file=tmp_path / "signing"),
        **{name: LocalFolder(path=tmp_path / folder) for name, folder in folders.items()},
        **{name: LocalFolder(path=tmp_path / name.removeprefix("demo-")) for name in ("raw-cache", "work", "demo-dicom")},
        "storage-receiver": StorageNode(),
        "demo-lake": DeltaLake(uri=str(tmp_path / "lake")),
        **{f"demo-archive-{name}": DicomNode(ae_title="A", host="127.0.0.1", port=1) for name in ("primary", "secondary")},
    }
    for name, block in blocks.items():
        block.save(name, overwrite=True)
    with get_client(sync_client=True) as client:
        made = Site(tmp_path, client)
        yield made
        made.hospital.database.close()


@flow
def batch() -> dict[str, int]:
    """Several projects, one after the other."""
    return dataset_export(PROJECT)


def test_nothing_leaves_before_a_person_approved_and_everything_does_then(site: Site) -> None:
    # In a batch, nobody is asked and nobody is waited for.
    assert batch()["releases awaiting approval"] == 1
    run = site.start()
    suspended = site.work_on(run)
    assert (suspended.state_type, suspended.state_name) == ("PAUSED", "Suspended")
    assert (site.delivered(), site.tables()) == (0, 0)
    assert site.hospital.states() == {"verified": 2}

    # What the UI shows: the form with its three fields, and counts; nothing that identifies.
    inputs = site.client.request("POST", f"/flow_runs/{run}/input/filter", json={"prefix": ""}).json()
    (form,) = [json.loads(entry["value"]) for entry in inputs if entry["key"].endswith("-schema")]
    assert set(form["properties"]) == {"decision", "name", "reason"}
    artifacts = site.client.request("POST", "/artifacts/filter", json={}).json()
    mine = [item for item in artifacts if item["flow_run_id"] == str(run)]
    (sheet,) = [item["data"] for item in mine if item["key"] == f"{PROJECT}-release"]
    assert "| studies | 2 |" in sheet
    assert CANARY not in json.dumps([inputs, artifacts])

    # Wrong input is refused by the form, and the run goes on waiting.
    for wrong in ({**ANSWER, "decision": "perhaps"}, {**ANSWER, "name": ""}, {"decision": "approve"}, {}):
        assert site.answer(run, wrong) is SetStateStatus.REJECT, wrong
    assert site.client.read_flow_run(run).state_type == "PAUSED"

    assert site.answer(run, ANSWER) is SetStateStatus.ACCEPT
    assert site.work_on(run).state_type == "COMPLETED"
    assert site.delivered() == 2
    assert site.hospital.states() == {"exported": 2}
    (path,) = (site.folder / "work" / PROJECT / "manifests").glob("*.json")
    assert read_manifest(path.read_bytes())["approval"]["by"] == "A. Governor"
    assert "Read the datasheet" not in path.read_text()
    (row,) = Lake(str(site.folder / "lake")).read(PROJECT, "release").to_pylist()
    assert (row["approved_by"], row["release_id"]) == ("A. Governor", path.stem)

    # Again: there is nothing to ask, and nothing changes.
    before = site.tables()
    assert site.work_on(site.start()).state_type == "COMPLETED"
    assert (site.delivered(), site.tables()) == (2, before)
    site.hospital.database.verify_audit()


def test_a_refusal_keeps_everything_and_says_why_and_who_is_late_is_asked_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = site.start()
    site.work_on(run)
    assert site.answer(run, {**ANSWER, "decision": "refuse", "reason": "Too few people."}) is SetStateStatus.ACCEPT
    assert site.work_on(run).state_type == "COMPLETED"
    assert (site.delivered(), site.tables()) == (0, 0)
    assert site.hospital.states() == {"verified": 2}
    decision = json.loads((site.folder / "work" / PROJECT / "release" / "decision.json").read_text())
    assert (decision["approved"], decision["by"], decision["reason"]) == (False, "A. Governor", "Too few people.")

    # An answer that comes too late counts for nothing.
    with monkeypatch.context() as patch:
        patch.setattr("tasks.approval._DAY", 1 / 14)  # one second in all
        late = site.start()
        site.work_on(late)
    time.sleep(1.5)
    assert site.answer(late, ANSWER) is SetStateStatus.REJECT
    assert site.hospital.states() == {"verified": 2}

    later = site.start()
    assert site.work_on(later).state_type == "PAUSED"
    assert site.answer(later, ANSWER) is SetStateStatus.ACCEPT
    assert site.work_on(later).state_type == "COMPLETED"
    assert site.hospital.states() == {"exported": 2}


def test_maintenance_keeps_what_the_lake_holds(site: Site) -> None:
    lake = Lake(str(site.folder / "lake"))
    for number in range(6):
        lake.write(PROJECT, "release", [[row("release", f"r{number}")]])
    before = lake.digest(PROJECT, "release")
    told = lake_maintenance((PROJECT,))[PROJECT]
    assert (told["tables"], told["files put together"]) == (1, 6)
    assert lake.digest(PROJECT, "release") == before
    assert lake_maintenance((PROJECT,))[PROJECT]["files put together"] == 0
    artifacts = site.client.request("POST", "/artifacts/filter", json={}).json()
    assert any(item["key"] == f"{PROJECT}-lake" and '"into": 1' in item["data"] for item in artifacts)
