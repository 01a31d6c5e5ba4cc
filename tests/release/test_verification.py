"""A delivery is checked against its manifests, also from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from safelight.cli.main import main
from safelight.errors import IntegrityError, KeyUnavailable
from safelight.release.batch import export_project
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from safelight.release.manifest import read_manifest
from safelight.release.signing import PublicKey, SigningKey
from safelight.release.verification import verify_delivery
from tests.release.hospital import KEY, PROJECT, Hospital
from tests.release.test_lake import row


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
    found = json.loads(output)
    assert (code, found["good"], found["signed"], found["keys"]) == (0, True, 2, [KEY.public.name])
    assert found["files"] == {"intact": 4, "missing": [], "changed": [], "unlisted": []}
    assert _verify(*delivery)[0] == 0


def test_who_signed_is_checked_against_the_published_key(delivery: tuple[list[Path], Path], tmp_path: Path) -> None:
    manifests, folder = delivery
    published = tmp_path / "manifests" / f"{KEY.public.name}.pem"
    assert _verify(manifests, folder, "--public-key", str(published))[0] == 0
    other = tmp_path / "other.pem"
    other.write_text(SigningKey(bytes(32)).public.pem)
    code, output = _verify(manifests, folder, "--public-key", str(other))
    assert code == 2
    assert "was signed by key" in output
    other.write_text("no key")
    assert _verify(manifests, folder, "--public-key", str(other))[0] == 2


def test_the_lake_is_checked_too(delivery: tuple[list[Path], Path], lake: Lake) -> None:
    manifests, folder = delivery
    code, output = _verify(manifests, folder, "--lake", lake.uri, "--json")
    assert (code, json.loads(output)["tables"]) == (0, {"intact": 3, "missing": [], "changed": [], "unlisted": []})
    lake.write(PROJECT, "note", [[row("note", "more")]])
    shutil.rmtree(lake.location(PROJECT, "image_occurrence"))
    code, output = _verify(manifests, folder, "--lake", lake.uri, "--json")
    tables = json.loads(output)["tables"]
    assert (code, tables["intact"], tables["missing"], tables["changed"]) == (1, 1, ["image_occurrence"], ["note"])


def test_a_file_that_is_missing_changed_or_too_many_is_named(delivery: tuple[list[Path], Path]) -> None:
    manifests, folder = delivery
    one, two, *_ = sorted(path.relative_to(folder) for path in folder.rglob("*.dcm"))
    (folder / one).unlink()
    data = (folder / two).read_bytes()
    (folder / two).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (folder / "more.txt").write_text("")
    code, output = _verify(manifests, folder, "--json")
    found = json.loads(output)["files"]
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
    code, output = _verify(manifests, folder)
    assert code == 2
    assert manifests[0].name in output


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


def test_a_signing_key_is_made_once_and_its_public_half_checks_what_it_signs(tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["key", "signing", str(tmp_path / "keys")])
    assert made.exit_code == 0
    seed, public = (Path(line) for line in made.output.split())
    assert seed.stat().st_mode & 0o777 == 0o600
    signature = SigningKey(seed.read_bytes()).sign(b"data")
    assert PublicKey.of_text(public.read_text()).verifies(b"data", signature)
    assert not PublicKey.of_text(public.read_text()).verifies(b"date", signature)
    assert CliRunner().invoke(main, ["key", "signing", str(tmp_path / "keys")]).exit_code == 2
    with pytest.raises(KeyUnavailable, match="32 bytes"):
        SigningKey(b"short")
