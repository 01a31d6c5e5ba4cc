"""Flows are named so that Prefect's loader can take them, and each is a deployment."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import yaml

from tests.repo import ROOT, tracked

STEMS = {path.stem for path in tracked("flows/*.py")} - {"__init__"}
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def test_no_flow_hides_another_module() -> None:
    """Prefect executes ``flows/x.py`` as a module named ``x``, which then is what every later ``import x`` gets."""
    roots = {path.name.removesuffix(".py") for folder in (ROOT, ROOT / "src") for path in folder.iterdir()}
    assert STEMS & (set(packages_distributions()) | sys.stdlib_module_names | roots) == set()


def test_flows_are_noun_phrases() -> None:
    assert {stem for stem in STEMS if "_" not in stem} == set()
    assert STEMS


def test_every_flow_file_is_a_deployment_and_every_deployment_a_flow_file() -> None:
    files = {Path(deployment["entrypoint"].partition(":")[0]) for deployment in DEPLOYMENTS}
    assert files == {Path("flows") / f"{stem}.py" for stem in STEMS}


def test_every_deployment_says_what_it_is_for() -> None:
    assert [deployment["name"] for deployment in DEPLOYMENTS if not deployment.get("description")] == []


LOAD = """
import json, sys
from prefect.flows import load_flow_from_entrypoint
found = {}
for entrypoint in sys.argv[1:]:
    flow = load_flow_from_entrypoint(entrypoint)
    found[entrypoint] = {"name": flow.name, "schema": flow.parameters and dict(flow.parameters.model_dump())}
import safelight, tasks, blocks
json.dump({"flows": found, "safelight": safelight.__file__, "tasks": tasks.__file__}, sys.stdout)
"""


def test_prefect_loads_every_entrypoint_and_fills_its_form(tmp_path: Path) -> None:
    """In a process of its own, as a worker does: the loader changes the module search path for good."""
    entrypoints = sorted({deployment["entrypoint"] for deployment in DEPLOYMENTS})
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *entrypoints],
        cwd=ROOT,
        env={"PATH": "", "HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path), "PREFECT_LOGGING_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert set(found["flows"]) == set(entrypoints)
    assert Path(found["safelight"]).is_relative_to(ROOT / "src")
    assert Path(found["tasks"]).is_relative_to(ROOT / "tasks")
    for deployment in DEPLOYMENTS:
        allowed = found["flows"][deployment["entrypoint"]]["schema"].get("properties", {})
        assert set(deployment.get("parameters") or {}) <= set(allowed), deployment["name"]
        for name, field in allowed.items():
            assert field.get("title") or field.get("description"), f"{deployment['name']}: {name}"
