"""A delivery is checked against its manifests, also from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from safelight.cli.main import main
from safelight.errors import IntegrityError
from safelight.release.batch import export_project
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from safelight.release.manifest import read_manifest
from safelight.release.verification import verify_delivery
from tests.release.hospital import PROJECT, Hospital


@pytest.fixture
def delivery(hospital: Hospital, lake: Lake, tmp_path: Path) -> tuple[list[Path], Path]:
    """Two releases: their manifests, and the project's folder."""
    for number in (1, 2):
        hospital.verify([number])
        export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    return sorted((tmp_path / "manifests").glob("*.json")), tmp_path / "dicom" / PROJECT


def _verify(manifests: list[Path], folder: Path, *more: str) -> tuple[int, str]:
    arguments = ["release", "verify", *map(str, manifests), "--folder", str(folder), *more]
    done = CliRunner().invoke(main, arguments)
    return done.exit_code, done.output


def test_what_was_delivered_is_what_the_manifests_say(delivery: tuple[list[Path], Path]) -> None:
    code, output = _verify(*delivery, "--json")
    assert (code, json.loads(output)) == (0, {"good": True, "intact": 4, "missing": [], "changed": [], "unlisted": []})
    assert _verify(*delivery)[0] == 0


def test_a_file_that_is_missing_changed_or_too_many_is_named(delivery: tuple[list[Path], Path]) -> None:
    manifests, folder = delivery
    one, two, *_ = sorted(path.relative_to(folder) for path in folder.rglob("*.dcm"))
    (folder / one).unlink()
    data = (folder / two).read_bytes()
    (folder / two).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (folder / "more.txt").write_text("")
    code, output = _verify(manifests, folder, "--json")
    found = json.loads(output)
    assert code == 1
    assert (found["intact"], found["missing"], found["changed"], found["unlisted"]) == (
        2,
        [str(one)],
        [str(two)],
        ["more.txt"],
    )
    assert str(one) in _verify(manifests, folder)[1]


def test_a_manifest_that_was_changed_is_wrong_use(delivery: tuple[list[Path], Path]) -> None:
    manifests, folder = delivery
    manifests[0].write_text(manifests[0].read_text().replace('"size": ', '"size": 1'))
    assert _verify(manifests, folder)[0] == 2


def test_a_manifest_can_not_point_out_of_the_folder(delivery: tuple[list[Path], Path]) -> None:
    manifest = read_manifest(delivery[0][0].read_bytes())
    manifest["files"][0]["path"] = "../../link.db"
    with pytest.raises(IntegrityError, match="leaves"):
        verify_delivery([manifest], delivery[1])
    with pytest.raises(IntegrityError, match="several"):
        verify_delivery([manifest, {**manifest, "project": "other"}], delivery[1])


def test_only_the_files_of_one_destination_are_asked_for(delivery: tuple[list[Path], Path]) -> None:
    manifests = [read_manifest(path.read_bytes()) for path in delivery[0]]
    assert verify_delivery(manifests, delivery[1], destination="folder").good
    assert len(verify_delivery(manifests, delivery[1], destination="elsewhere").unlisted) == 4
