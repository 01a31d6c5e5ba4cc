"""Each command of the front door runs, on what the demo left behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.demo import PROJECT, database_url, open_database
from safelight.model import RequestState
from tests.system.conftest import CHECKOUT, Demo

README = (Path(CHECKOUT) / "README.md").read_text()
#: What is typed, less its placeholders: up to the first word in capitals or option.
NAMED = {
    " ".join(re.match(r"(?:[a-z]+ ?)+", words).group(0).split())  # type: ignore[union-attr]
    for words in re.findall(r"`(?:\.venv/bin/)?safelight ([a-z][^`]*)`", README)
}


def arguments(command: str, demo: Demo, folder: Path) -> list[str]:
    """Return what stands for the placeholders of a command of the README."""
    url = ["--database", database_url(demo.folder)]
    keys = ["--key-file", str(demo.folder / "keys" / "key"), "--salt-file", str(demo.folder / "keys" / "salt")]
    raw = next((demo.hospital.folder / "archives").rglob("*.dcm"))
    database = open_database(demo.folder)
    pseudonym = next(database.find(PROJECT, [RequestState.EXPORTED])).pseudo_study_uid
    database.close()
    patient = json.loads((demo.hospital.record / "patients.jsonl").read_text().splitlines()[0])
    (folder / "in.jsonl").write_text(json.dumps({"id": "1", "text": "No fracture.", "patient": patient}) + "\n")
    manifests = sorted((demo.folder / "work" / PROJECT / "manifests").glob("*.json"))
    return {
        "project check": [PROJECT],
        "project describe": [PROJECT],
        "dicom explain": [str(raw), "--profile", "research"],
        "dicom deid": [str(raw.parent), str(folder / "out"), "--profile", "research", *keys],
        "cohort check": [str(demo.hospital.deliveries / "extract-1"), "--project", PROJECT],
        "reports deid": [
            str(folder / "in.jsonl"),
            str(folder / "out.jsonl"),
            "--profile",
            str(Path(CHECKOUT) / "profiles" / "deid" / "research.yaml"),
            "--site",
            str(demo.hospital.record),
            *keys,
        ],
        "trace": [pseudonym, "--project", PROJECT, *url],
        "cache status": [*url, "--folder", str(demo.folder / "raw-cache")],
        "archive stop": ["an-archive-of-nobody", *url],
        "release verify": [str(manifests[0]), "--folder", str(demo.folder / "dicom" / PROJECT)],
        "release synapse": [PROJECT, "--lake", "abfss://lake@example.dfs.core.windows.net", "--output", str(folder)],
        "key new": [str(folder / "keys")],
        "key signing": [str(folder / "signing")],
        "db audit": url,
        "db migrate": url,
    }[command]


def test_the_front_door_names_commands() -> None:
    assert len(NAMED) >= 12


@pytest.mark.parametrize("command", sorted(NAMED))
def test_each_command_runs(command: str, demo: Demo, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "safelight.cli", *command.split(), *arguments(command, demo, tmp_path)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    # 1 says that something was set aside, which the demo sees to.
    assert done.returncode == (1 if command in ("cohort check", "dicom deid") else 0), done.stdout + done.stderr
    assert done.stdout
    canaries = [] if command == "trace" else demo.hospital.canaries()
    assert not [canary for canary in canaries if canary in done.stdout + done.stderr]
