"""The container image, as far as it can be shown without building it: what goes in is enough to run every flow."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.repo import ROOT

DOCKERFILE = (ROOT / "deployments" / "Dockerfile").read_text()
COPIED = [
    source
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, flags=re.MULTILINE)
    for source in sources.split()
]
LOAD = """
import sys
from prefect.flows import load_flow_from_entrypoint
for entrypoint in sys.argv[1:]:
    load_flow_from_entrypoint(entrypoint)
import safelight.cli.main
print(safelight.__file__)
"""


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image's folder holds: the named paths of this checkout, and nothing beside them."""
    folder = tmp_path_factory.mktemp("app")
    for source in COPIED:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            (folder / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / source, folder / source)
    return folder


def test_everything_named_exists_and_passes_the_ignore_file() -> None:
    lines = (ROOT / "deployments" / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines
    assert {source.partition("/")[0] for source in COPIED} == allowed
    assert [source for source in COPIED if not (ROOT / source).exists()] == []


def test_every_flow_loads_from_what_is_in_the_image(contents: Path, tmp_path: Path) -> None:
    deployments = yaml.safe_load((contents / "prefect.yaml").read_text())["deployments"]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *sorted({deployment["entrypoint"] for deployment in deployments})],
        cwd=contents,
        env={"PYTHONPATH": str(contents / "src"), "PATH": "", "HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert Path(done.stdout.split()[-1]).is_relative_to(contents)


def test_it_installs_what_is_locked_and_does_not_run_as_root() -> None:
    assert "--require-hashes --requirement deployments/requirements.txt" in DOCKERFILE
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (\S+)$", last_stage, flags=re.MULTILINE)
    assert users == ["safelight"]


def test_its_worker_serves_the_pool_of_the_deployments() -> None:
    (command,) = re.findall(r"^CMD (.*)$", DOCKERFILE, flags=re.MULTILINE)
    words = yaml.safe_load(command)
    pools = {
        deployment["work_pool"]["name"] for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    assert {words[words.index("--pool") + 1]} == pools
