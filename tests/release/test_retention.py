"""Copies in the work folder are taken away when the project does not keep them any longer, and never too early."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from safelight.model import RequestState
from safelight.release.batch import export_project
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from safelight.release.retention import tidy_work
from tests.release.hospital import LEASE, NOW, PROJECT, PSEUDONYMIZER, Hospital


def tidied(hospital: Hospital, *, days: int, later: timedelta) -> int:
    for folder in hospital.work.iterdir():
        os.utime(folder, (NOW.timestamp(), NOW.timestamp()))
    return tidy_work(hospital.database, PROJECT, hospital.work, pseudonymizer=PSEUDONYMIZER, days=days, now=NOW + later)


def test_what_is_not_exported_yet_is_never_taken_away(hospital: Hospital) -> None:
    hospital.verify([1, 2])
    assert tidied(hospital, days=0, later=timedelta(days=999)) == 0
    # A worker that de-identifies a study has not said yet under which pseudonym.
    (again,) = hospital.database.claim(PROJECT, [RequestState.VERIFIED], worker="w", limit=1, lease=LEASE)
    (request,) = hospital.database.requests([again])
    facts = {"pseudo_study_uid": "", "located_study_uid": request.study_uid}
    hospital.database.move(again, RequestState.RETRIEVED, worker="w", **facts)
    assert tidied(hospital, days=0, later=timedelta(days=999)) == 0


def test_what_is_exported_is_kept_for_its_days_and_then_taken_away(hospital: Hospital, lake: Lake, tmp_path: Path) -> None:
    hospital.verify([1, 2])
    export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    assert tidied(hospital, days=30, later=timedelta(days=29)) == 0
    assert tidied(hospital, days=30, later=timedelta(days=30)) == 2
    assert not list(hospital.work.iterdir())
    assert tidied(hospital, days=30, later=timedelta(days=31)) == 0
    again = export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    assert again.release_id is None
