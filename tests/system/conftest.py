"""One whole run of the pipeline, as a new user starts it, for all tests of its results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployments.demo import PROJECT, open_database, register
from deployments.demo_hospital import Hospital, build_hospital
from tests.services.process import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
#: Small images: what is tested here is what happens to them, not how long it takes.
SCALE = 0.1
SEED = 7


@dataclass(frozen=True)
class Demo:
    """A finished run of ``safelight demo`` and the hospital that it ran on."""

    folder: Path
    hospital: Hospital
    output: str
    summary: dict[str, Any]


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``safelight demo`` to its end in a process of its own."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "safelight.cli",
            "demo",
            "--folder",
            str(folder),
            "--seed",
            str(SEED),
            "--scale",
            str(SCALE),
            *arguments,
        ],
        cwd=CHECKOUT,
        env={**os.environ, "COLUMNS": "150"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def finished(folder: Path, done: subprocess.CompletedProcess[str]) -> Demo:
    """Return the run's results. Fails with the output of a run that failed."""
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return Demo(
        folder,
        build_hospital(folder / "hospital", seed=SEED, today=datetime.now(UTC).date(), scale=SCALE),
        done.stdout + done.stderr,
        json.loads((folder / "summary.json").read_text()),
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The first run."""
    folder = tmp_path_factory.mktemp("demo")
    return finished(folder, run_demo(folder))


class Site:
    """The demo's site: its folder, its hospital, and what was entered so far."""

    def __init__(self, folder: Path, hospital: Hospital) -> None:
        self.folder = folder
        self.hospital = hospital

    def states(self) -> dict[str, int]:
        database = open_database(self.folder)
        try:
            return dict(database.summary(PROJECT).outcomes)
        finally:
            database.close()


@pytest.fixture(scope="session")
def a_hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return build_hospital(tmp_path_factory.mktemp("hospital"), seed=11, today=datetime.now(UTC).date(), scale=0.05)


@pytest.fixture
def site(a_hospital: Hospital, tmp_path: Path) -> Site:
    """A site with its blocks registered; its archives are not running."""
    a_hospital.primary = a_hospital.secondary = type(a_hospital.primary)("DEMOPACS", "127.0.0.1", free_port())
    register(tmp_path, a_hospital, free_port())
    return Site(tmp_path, a_hospital)
