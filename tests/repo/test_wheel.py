"""The wheel is the domain and nothing else, complete, and needs no orchestrator."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.repo import ROOT, tracked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder / "built")],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = (folder / "built").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_the_domain_only(wheel: Path) -> None:
    names = {path.name.partition("-")[0] for path in wheel.iterdir()}
    assert names == {"safelight"}


def test_the_wheel_holds_all_of_the_domain(wheel: Path) -> None:
    """Word lists, migrations and tables of the standard too."""
    wanted = {path.relative_to("src") for path in tracked("src/safelight/")}
    packed = {path.relative_to(wheel) for path in (wheel / "safelight").rglob("*") if path.is_file()}
    assert wanted - packed == set()


IMPORT_ALL = """
import importlib, importlib.abc, pkgutil, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"prefect", "flows", "tasks", "blocks", "deployments"}:
            raise ImportError(f"the domain must not need {name}")
sys.meta_path.insert(0, Refuse())
import safelight
names = [info.name for info in pkgutil.walk_packages(safelight.__path__, "safelight.")]
for name in names:
    # Migration scripts are run by Alembic, which gives them their context; __main__ runs the command.
    if ".migrations." not in name and not name.endswith(".__main__"):
        importlib.import_module(name)
print(safelight.__file__, len(names))
"""


def test_the_wheel_works_without_the_orchestrator(wheel: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    where, count = done.stdout.split()
    assert Path(where).is_relative_to(wheel)
    assert int(count) > 40
