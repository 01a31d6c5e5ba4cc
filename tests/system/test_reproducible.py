"""The same inputs give byte-identical DICOM outputs, wherever, whenever and however they are made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deployments.demo_hospital import Hospital
from tests.release.hospital import tree
from tests.system.conftest import CHECKOUT


def outputs(hospital: Hospital, folder: Path, *, workers: int, **environment: str) -> dict[str, str]:
    """De-identify both archives of the hospital in a process of its own."""
    for name, size in (("key", 64), ("salt", 16)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(range(size)))
    shutil.copytree(hospital.folder / "archives", folder / "raw")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "safelight.cli", "dicom", "deid", str(folder / "raw"), str(folder / "clean")),
            *("--key-file", str(folder / "key"), "--salt-file", str(folder / "salt")),
            *("--known", str(hospital.record / "patients.jsonl"), "--workers", str(workers)),
        ],
        cwd=CHECKOUT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr[-2000:]  # 1: some instances are set aside, as they must be
    return tree(folder / "clean")


def test_folder_workers_time_zone_and_hash_seed_change_no_byte(a_hospital: Hospital, tmp_path: Path) -> None:
    one = outputs(a_hospital, tmp_path / "one", workers=1, PYTHONHASHSEED="1", TZ="Pacific/Auckland", LC_ALL="C")
    there = {"PYTHONHASHSEED": "4242", "TZ": "America/Los_Angeles", "LC_ALL": "C.UTF-8"}
    other = outputs(a_hospital, tmp_path / "a longer" / "way", workers=2, **there)
    assert len(one) > 50
    assert one == other
