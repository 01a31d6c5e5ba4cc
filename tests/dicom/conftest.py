"""One key, the shipped profiles, and all hard files, written once a session."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from safelight.dicom import DeidEngine
from safelight.dicom.duplicates import DuplicateGuard
from safelight.model import InstanceResult
from safelight.profile import DeidProfile, load_profile
from safelight.pseudonym import ProjectKey, Pseudonymizer
from tests.dicom.hard import Case, Hard, cases

PROFILES = Path(__file__).resolve().parents[2] / "profiles" / "deid"
SEED = 20260


@dataclass(frozen=True)
class Run:
    """What became of one hard file."""

    case: Case
    hard: Hard
    source: Path
    result: InstanceResult

    @property
    def output(self) -> bytes:
        return Path(self.result.path).read_bytes()


@pytest.fixture(scope="session")
def pseudonymizer() -> Pseudonymizer:
    return Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(100, 116))))


@pytest.fixture(scope="session")
def profile() -> Callable[[str], DeidProfile]:
    return functools.cache(lambda name: load_profile(PROFILES, name))


@pytest.fixture(scope="session")
def research(pseudonymizer: Pseudonymizer) -> DeidEngine:
    return DeidEngine(load_profile(PROFILES, "research").dicom, pseudonymizer)


def run_all(folder: Path, engine: DeidEngine) -> list[Run]:
    """Write all hard files and de-identify each."""
    runs = []
    for case, files in cases(SEED):
        raw = folder / "raw" / case.name
        raw.mkdir(parents=True, exist_ok=True)
        guard = DuplicateGuard(engine, folder / "out" / case.name)
        for number, hard in enumerate(files):
            source = raw / f"{number:03d}"
            source.write_bytes(hard.data)
            runs.append(Run(case, hard, source, guard.deidentify(source)))
    return runs


@pytest.fixture(scope="session")
def hard_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hard")


@pytest.fixture(scope="session")
def runs(hard_folder: Path, research: DeidEngine) -> list[Run]:
    return run_all(hard_folder, research)
