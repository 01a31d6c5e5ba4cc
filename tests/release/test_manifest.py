"""Manifests: the same content is the same release, and a changed one is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from safelight.errors import IntegrityError, StorageUnwritable
from safelight.release.approval import Decision
from safelight.release.journal import Journal
from safelight.release.manifest import DeliveredFile, Manifest, TableState, read_manifest, write_manifest
from safelight.release.signing import PublicKey, SigningKey
from tests.release.hospital import KEY, NOW, TERMS, output_files

FILES = [DeliveredFile(f"2.25.1/2.25.2/2.25.{n}.dcm", n, f"{n:064x}", ("folder",)) for n in (4, 3)]
TABLES = [TableState("note", 2, "a" * 64), TableState("image_occurrence", 1, "b" * 64)]
DECISION = Decision("a" * 32, True, "A. Governor", NOW, "looked at it")
MANIFEST = Manifest("trial", "a" * 32, TERMS, NOW, DECISION, {"extracts": []}, {"studies": 1}, 1, 1, FILES, TABLES)
OTHER = SigningKey(bytes(32))


def test_order_does_not_make_another_manifest_and_signing_again_gives_the_same_bytes() -> None:
    turned = replace(MANIFEST, files=FILES[::-1], tables=TABLES[::-1])
    assert turned.to_bytes(KEY) == MANIFEST.to_bytes(KEY) != MANIFEST.to_bytes(OTHER)


def test_why_somebody_approved_stays_in_the_hospital() -> None:
    found = read_manifest(MANIFEST.to_bytes(KEY))
    assert found["approval"] == {"by": "A. Governor", "at": NOW.isoformat()}
    assert "looked at it" not in str(found)


def test_writing_again_later_finds_the_first(tmp_path: Path) -> None:
    first = write_manifest(tmp_path, MANIFEST, KEY)
    assert write_manifest(tmp_path, replace(MANIFEST, created=NOW + timedelta(days=1)), KEY) == first
    assert {path.name for path in tmp_path.iterdir()} == {f"{'a' * 32}.json", f"{KEY.public.name}.pem"}
    assert PublicKey.of_text((tmp_path / f"{KEY.public.name}.pem").read_text()) == KEY.public
    assert read_manifest(first, public_key=KEY.public)["created"] == NOW.isoformat()


def test_the_row_of_the_lake_which_has_no_files_is_checked_as_well() -> None:
    row = {name: value for name, value in read_manifest(MANIFEST.to_bytes(KEY)).items() if name != "files"}
    assert read_manifest(json.dumps(row), public_key=KEY.public)["counts"]["instances"] == 2
    with pytest.raises(IntegrityError, match="changed"):
        read_manifest(json.dumps({**row, "files_sha256": "0" * 64}))


def test_a_manifest_that_somebody_else_signed_is_noticed_by_who_knows_the_key() -> None:
    forged = replace(MANIFEST, requests=2).to_bytes(OTHER)
    read_manifest(forged)
    with pytest.raises(IntegrityError, match=f"signed by key '{OTHER.public.name}', not by '{KEY.public.name}'"):
        read_manifest(forged, public_key=KEY.public)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"size": 4', '"size": 5'),
        lambda text: text.replace('"rows": 2', '"rows": 3'),
        lambda text: text.replace("A. Governor", "B. Governor"),
        lambda text: text.replace('"path": "2.25.1', '"path": "2.25.9'),
        lambda text: text.replace("safelight-release/2", "safelight-release/3"),
        lambda text: text.replace(KEY.public.text, OTHER.public.text),
        lambda text: text.replace(KEY.public.text, "no key"),
        lambda text: text[:-20],
        lambda _: "[]",
        lambda _: json.dumps({"format": "safelight-release/2"}),
    ],
)
def test_a_changed_manifest_is_noticed(damage: object) -> None:
    text = MANIFEST.to_bytes(KEY).decode()
    read_manifest(text)
    changed = damage(text)  # type: ignore[operator]
    assert changed != text
    with pytest.raises(IntegrityError):
        read_manifest(changed)


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnwritable, match="manifests"):
        write_manifest(tmp_path / "file" / "folder", MANIFEST, KEY)


def test_the_journal_knows_what_was_sent_where_and_forgets_what_changed(tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=3)
    path = tmp_path / "journal"
    Journal(path).add("one", files[:2])
    again = Journal(path)
    assert again.split("one", files) == (files[2:], files[:2])
    assert again.split("two", files) == (files, [])
    files[0].path.write_bytes(files[0].path.read_bytes() + b"\0")
    assert Journal(path).split("one", files) == ([files[0], files[2]], [files[1]])
    again.clear()
    assert Journal(path).split("one", files[1:]) == (files[1:], [])


def test_a_line_that_a_kill_cut_short_counts_for_nothing(tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=3)
    path = tmp_path / "journal"
    Journal(path).add("one", files[:2])
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        cut = Journal(path)
        sent = cut.split("one", files)[1]
        assert sent == files[: len(sent)]
        cut.add("one", files[2:])
        assert files[2] in Journal(path).split("one", files)[1]
