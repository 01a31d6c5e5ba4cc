"""Between preparing and sending: what was approved leaves, all of it that still may, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from safelight.errors import IntegrityError
from safelight.model import Reason
from safelight.release.approval import Decision, exceeded
from safelight.release.batch import decide, export_project
from safelight.release.export import ExportResult
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from safelight.release.manifest import read_manifest
from safelight.release.pending import Pending
from safelight.release.policy import ReleaseLimits, ReleasePolicy
from safelight.release.preparation import prepare
from tests.release.hospital import CANARY, NOW, PROJECT, PSEUDONYMIZER, Hospital
from tests.release.test_inspection import notes

COUNTS = {"studies": 95, "studies_quarantined": 5, "rows_withheld": 0, "smallest_cell": 5}


@pytest.mark.parametrize(
    ("limits", "counts", "words"),
    [
        ({}, {}, ""),
        ({"max_studies": 95}, {}, ""),
        ({"max_studies": 94}, {}, "95 studies, and the limit is 94"),
        ({}, {"studies_quarantined": 6}, "stopped 6 of 101 studies"),
        ({}, {"rows_withheld": 1}, "withheld 1 rows"),
        ({}, {"smallest_cell": 4}, "a combination of 4 people"),
        ({"min_cell": 0}, {"smallest_cell": 1}, ""),
        ({}, {"smallest_cell": 0}, ""),  # there is nobody
    ],
)
def test_each_limit_asks_for_a_person_when_it_is_exceeded(
    limits: dict[str, Any], counts: dict[str, int], words: str
) -> None:
    reasons = exceeded(ReleasePolicy(approval="automatic", limits=ReleaseLimits(**limits)), COUNTS | counts)
    assert len(reasons) == bool(words)
    assert words in "".join(reasons)


def test_a_project_that_says_nothing_asks_for_a_person() -> None:
    assert exceeded(ReleasePolicy(), COUNTS)


class Trial:
    """A project whose releases of more than one study wait for a person."""

    def __init__(self, hospital: Hospital, lake: Lake, folder: Path) -> None:
        self.hospital, self.lake, self.folder = hospital, lake, folder
        self.settings: dict[str, Any] = {
            "policy": ReleasePolicy(approval="automatic", limits=ReleaseLimits(max_studies=1, min_cell=0))
        }

    def export(self) -> ExportResult:
        places = [FolderDestination(self.folder / "dicom")]
        return export_project(self.hospital.export(self.lake, places, **self.settings))

    def decide(self, approved: bool) -> str:
        pending = Pending.find(self.folder / "pending")
        assert pending is not None
        decide(self.hospital.export(self.lake, []), pending, approved=approved, by="A. Governor", reason="Because.")
        return pending.release_id

    def sent(self) -> int:
        return len(list((self.folder / "dicom").rglob("*.dcm")))


@pytest.fixture
def trial(hospital: Hospital, lake: Lake, tmp_path: Path) -> Iterator[Trial]:
    hospital.verify([1, 2], instances=1)
    made = Trial(hospital, lake, tmp_path)
    told = made.export()
    assert told.waiting.endswith("awaits approval")
    assert (told.release_id, made.sent(), lake.open(PROJECT, "release")) == (None, 0, None)
    yield made
    hospital.database.verify_audit()


def test_what_is_verified_later_is_not_in_what_was_approved(trial: Trial) -> None:
    trial.hospital.verify([3], instances=1)
    assert trial.export().waiting
    release_id = trial.decide(True)
    told = trial.export()
    assert (told.release_id, told.instances, trial.sent()) == (release_id, 2, 2)
    # The third is a release of its own, and within the limit.
    assert (trial.export().instances, trial.sent()) == (1, 3)
    assert (trial.export().release_id, trial.hospital.states()) == (None, {"exported": 3})


def test_who_withdraws_while_it_waits_does_not_leave(trial: Trial, tmp_path: Path) -> None:
    trial.decide(False)
    trial.settings["tables"] = [notes(tmp_path / "notes.parquet", "No mass.", "No fracture.")]
    assert trial.export().waiting.endswith("awaits approval")  # there is more in it than was refused
    trial.decide(True)
    trial.hospital.database.withdraw_patient(PROJECT, f"{CANARY}-1", actor="test")
    told = trial.export()
    assert (told.instances, trial.sent()) == (1, 1)
    assert trial.hospital.states() == {"exported": 1, "opted_out": 1}
    assert trial.lake.read(PROJECT, "note").column("note_text").to_pylist() == ["No fracture."]
    (path,) = (tmp_path / "manifests").glob("*.json")
    assert read_manifest(path.read_bytes())["verification"]["rows_opted_out_since"] == 1


def test_a_file_that_is_not_what_was_approved_does_not_leave(trial: Trial) -> None:
    trial.decide(True)
    changed = next(trial.hospital.work.rglob("*.dcm"))
    data = changed.read_bytes()
    changed.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    told = trial.export()
    assert dict(told.counts.moved) == {"exported": 1, "retrieved": 1}
    assert trial.sent() == 1


def test_a_refusal_holds_until_something_is_different(trial: Trial) -> None:
    refused = trial.decide(False)
    for _ in range(2):
        told = trial.export()
        assert told.waiting == f"release {refused} was refused by A. Governor"
        assert trial.hospital.states() == {"verified": 2}
    trial.hospital.verify([3], instances=1)
    assert trial.export().waiting.endswith("awaits approval")
    assert trial.decide(True) != refused
    assert (trial.export().instances, trial.sent()) == (3, 3)


def test_a_decision_is_on_one_release(trial: Trial) -> None:
    pending = Pending.find(trial.folder / "pending")
    assert pending is not None
    with pytest.raises(IntegrityError, match="another release"):
        pending.decide(Decision("0" * 32, True, "A. Governor", NOW))
    assert trial.export().waiting


def test_a_damaged_preparation_is_told(trial: Trial) -> None:
    trial.decide(True)
    (trial.folder / "pending" / "requests.jsonl").write_text("{")
    with pytest.raises(IntegrityError, match="damaged"):
        trial.export()
    assert trial.sent() == 0


def test_what_happened_is_in_the_audit_trail(trial: Trial, tmp_path: Path) -> None:
    trial.decide(True)
    trial.export()
    with trial.hospital.database._read() as connection:
        rows = connection.exec_driver_sql("SELECT event, actor FROM audit_event ORDER BY number").all()
    assert [tuple(row) for row in rows] == [
        ("release-prepared", "safelight"),
        ("release-approved", "A. Governor"),
        ("release-sent", "A. Governor"),
    ]
    assert CANARY not in str(rows)
    assert PSEUDONYMIZER.uid("1.2.3.1") not in str(rows)
    assert Reason.RESIDUAL_IDENTIFIER.value not in str(rows)


def test_two_who_prepare_at_once_prepare_one_release(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1, 2], instances=1)
    settings = {"policy": ReleasePolicy()}
    together = threading.Barrier(2)

    def work(_: int) -> str:
        together.wait(30)
        made = prepare(hospital.export(lake, [FolderDestination(tmp_path / "dicom")], **settings)).pending
        assert made is not None
        return made.release_id

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(work, range(2)))) == 1
    events = hospital.database.verify_audit()
    assert events == 1
