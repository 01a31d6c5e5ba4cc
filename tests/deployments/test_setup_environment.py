"""``make setup`` knows what it has done and what it needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from deployments import setup_environment
from deployments.setup_environment import Environment
from tests.repo import ROOT

SCRIPT = ROOT / "deployments" / "setup_environment.py"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A new, empty environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    return Environment(tmp_path / "venv")


def _note(environment: Environment, kind: str) -> None:
    (environment.folder / f"{kind}.installed").write_text(setup_environment.wanted(kind))


def test_an_environment_that_nobody_filled_holds_nothing(environment: Environment) -> None:
    assert not environment.holds(dev=False)
    assert not environment.holds(dev=True)


def test_the_environment_for_developers_serves_users_too(environment: Environment) -> None:
    _note(environment, "dev")
    assert environment.holds(dev=True)
    assert environment.holds(dev=False)


def test_the_environment_for_users_does_not_serve_developers(environment: Environment) -> None:
    _note(environment, "runtime")
    assert environment.holds(dev=False)
    assert not environment.holds(dev=True)


def test_another_lock_file_is_another_environment(environment: Environment) -> None:
    (environment.folder / "runtime.installed").write_text("of an older lock file")
    assert not environment.holds(dev=False)


def test_an_environment_whose_python_is_gone_holds_nothing(environment: Environment) -> None:
    _note(environment, "dev")
    environment.python.unlink()
    assert not environment.holds(dev=True)


def test_a_second_run_does_nothing_and_says_nothing(environment: Environment) -> None:
    _note(environment, "dev")
    before = sorted(environment.folder.rglob("*"))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--dev", "--folder", str(environment.folder)],
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip
    assert done.stdout + done.stderr == ""
    assert sorted(environment.folder.rglob("*")) == before


def test_a_python_that_is_too_old_can_still_read_the_script() -> None:
    """Else its user would meet a SyntaxError in place of the message."""
    ast.parse(SCRIPT.read_text(), feature_version=(3, 7))


def test_nothing_but_the_standard_library_is_needed() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(SCRIPT.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
