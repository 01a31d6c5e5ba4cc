"""No identifier leaves the hospital, nor reaches the orchestrator: planted ones are looked for everywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.system.conftest import Demo

#: What the demo leaves behind that must not identify: all but the hospital itself, the link database and the raw cache.
CLEAN = ("dicom", "lake", "work", "prefect", "summary.json")
IDENTIFIABLE = {"hospital", "link.sqlite", "link.sqlite-wal", "link.sqlite-shm", "raw-cache", "keys", "report-validation"}


def test_everything_the_demo_made_is_either_searched_or_stays_in_the_hospital(demo: Demo) -> None:
    assert {path.name for path in demo.folder.iterdir()} - IDENTIFIABLE == set(CLEAN)


@pytest.mark.parametrize("name", [name for name in CLEAN if "." not in name])
def test_nothing_identifying_is_left(demo: Demo, name: str) -> None:
    # Shown without the canary: a failing test is a log, too.
    assert not sorted(demo.hospital.leaks(demo.folder / name))


def test_nothing_identifying_is_shown(demo: Demo) -> None:
    shown = (demo.output + json.dumps(demo.summary)).casefold()
    assert not [canary for canary in demo.hospital.canaries() if canary.casefold() in shown]


def test_the_hospital_itself_is_full_of_canaries(demo: Demo) -> None:
    """The search finds what is there: each file of the raw cache holds many."""
    found = demo.hospital.leaks(demo.folder / "raw-cache" / "studies")
    assert all(len(canaries) > 10 for name, canaries in found.items() if name.endswith(".dcm"))
    assert len(found) > 50


@pytest.mark.parametrize("how", ["bytes", "upper case", "utf-16", "parquet", "name"])
def test_a_planted_leak_is_found(demo: Demo, tmp_path: Path, how: str) -> None:
    """The test above can fail: one identifier in one place of a clean tree is enough."""
    canary = next(text for text in demo.hospital.canaries() if text.isalpha() and len(text) > 8)
    source = next((demo.folder / "dicom").rglob("*.dcm"))
    target = tmp_path / "clean" / "image.dcm"
    target.parent.mkdir()
    shutil.copyfile(source, target)
    assert demo.hospital.leaks(tmp_path / "clean") == {}
    if how == "parquet":
        table = pa.table({"note_text": [f"Discussed with {canary}." for _ in range(50)]})
        pq.write_table(table, tmp_path / "clean" / "part.parquet", compression="snappy")
    elif how == "name":
        target.rename(target.with_name(f"{canary}.dcm"))
    else:
        text = {
            "bytes": canary.encode(),
            "upper case": canary.upper().encode(),
            "utf-16": b"\0" + canary.encode("utf-16-le"),
        }
        target.write_bytes(target.read_bytes()[:5000] + text[how] + target.read_bytes()[5000:])
    assert demo.hospital.leaks(tmp_path / "clean")
