"""Manifests: the same content is the same release, and a changed one is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from safelight.errors import IntegrityError, StorageUnwritable
from safelight.release.journal import Journal
from safelight.release.manifest import DeliveredFile, Manifest, TableState, read_manifest, write_manifest
from tests.release.hospital import NOW, TERMS, output_files

FILES = [DeliveredFile(f"2.25.1/2.25.2/2.25.{n}.dcm", n, f"{n:064x}", ("folder",)) for n in (4, 3)]
TABLES = [TableState("note", 2, "a" * 64), TableState("image_occurrence", 1, "b" * 64)]
MANIFEST = Manifest("trial", TERMS, NOW, 1, 1, FILES, TABLES)


def test_order_and_time_do_not_make_another_release() -> None:
    turned = replace(MANIFEST, files=FILES[::-1], tables=TABLES[::-1], created=NOW + timedelta(hours=1))
    assert turned.release_id == MANIFEST.release_id
    assert replace(turned, created=NOW).to_bytes() == MANIFEST.to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"project": "other"},
        {"terms": replace(TERMS, profile_fingerprint="0")},
        {"terms": replace(TERMS, project_fingerprint="0")},
        {"terms": replace(TERMS, software_version="0")},
        {"terms": replace(TERMS, profile="0")},
        {"requests": 2},
        {"studies": 2},
        {"files": FILES[:1]},
        {"tables": TABLES[:1]},
        {"refused": [{"destination": "x", "sop_instance_uid": "2.25.1", "reason": "destination_refused"}]},
    ],
)
def test_anything_else_does(change: dict[str, object]) -> None:
    assert replace(MANIFEST, **change).release_id != MANIFEST.release_id  # type: ignore[arg-type]


def test_writing_again_later_finds_the_first(tmp_path: Path) -> None:
    first = write_manifest(tmp_path, MANIFEST)
    assert write_manifest(tmp_path, replace(MANIFEST, created=NOW + timedelta(days=1))) == first
    assert [path.name for path in tmp_path.iterdir()] == [f"{MANIFEST.release_id}.json"]
    assert read_manifest(first[0])["created"] == NOW.isoformat()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"size": 4', '"size": 5'),
        lambda text: text.replace('"rows": 2', '"rows": 3'),
        lambda text: text.replace("safelight-release/1", "safelight-release/2"),
        lambda text: text[:-20],
        lambda _: "[]",
        lambda _: json.dumps({"format": "safelight-release/1"}),
    ],
)
def test_a_changed_manifest_is_noticed(damage: object) -> None:
    text = MANIFEST.to_bytes().decode()
    read_manifest(text.encode())
    changed = damage(text)  # type: ignore[operator]
    assert changed != text
    with pytest.raises(IntegrityError):
        read_manifest(changed.encode())


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnwritable, match="manifests"):
        write_manifest(tmp_path / "file" / "folder", MANIFEST)


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
    Journal(path).conclude("f00")
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        cut = Journal(path)
        assert cut.concluding == set()
        sent = cut.split("one", files)[1]
        assert sent == files[: len(sent)]
        cut.add("one", files[2:])
        assert files[2] in Journal(path).split("one", files)[1]
    path.write_bytes(whole)
    assert Journal(path).concluding == {"f00"}
