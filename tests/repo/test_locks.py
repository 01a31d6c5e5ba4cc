"""The lock files say exactly what is installed, for everything that pyproject.toml asks for."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import version
from itertools import pairwise

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.repo import ROOT

LOCKS = ("requirements.txt", "requirements-models.txt", "requirements-dev.txt")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOMAIN = PYPROJECT["project"]["dependencies"]
GROUPS = PYPROJECT["dependency-groups"]
DEV = [*GROUPS["models"], *(asked for asked in GROUPS["dev"] if isinstance(asked, str))]
WANTED = {
    "requirements.txt": DOMAIN + GROUPS["app"],
    "requirements-models.txt": DOMAIN + GROUPS["app"] + GROUPS["models"],
    "requirements-dev.txt": DOMAIN + GROUPS["app"] + DEV,
}


def _entries(lock: str) -> list[str]:
    """Each pinned package with its hashes, on one line."""
    text = (ROOT / "deployments" / lock).read_text()
    return re.findall(r"^[a-z0-9].*", text.replace("\\\n", ""), flags=re.MULTILINE)


def _pins(lock: str) -> dict[str, Requirement]:
    requirements = [Requirement(entry.partition(" --hash")[0]) for entry in _entries(lock)]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_asked_for_is_pinned_within_its_bounds(lock: str) -> None:
    pins = _pins(lock)
    for asked in map(Requirement, WANTED[lock]):
        (pin,) = pins[canonicalize_name(asked.name)].specifier
        assert Version(pin.version) in asked.specifier, asked.name


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_exact_and_carries_hashes(lock: str) -> None:
    entries = _entries(lock)
    assert len(entries) > 100
    inexact = [entry[:60] for entry in entries if not re.match(r"[a-z0-9.-]+==[^\s*]+( ;[^-]*)? +--hash=sha256:", entry)]
    assert inexact == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_says_where_packages_come_from(lock: str) -> None:
    text = (ROOT / "deployments" / lock).read_text()
    assert re.findall(r"://|^-|index-url|find-links|@ ", text, flags=re.MULTILINE) == []


def test_each_lock_is_the_one_before_and_more() -> None:
    for less, more in pairwise(map(_pins, LOCKS)):
        assert {name: str(pin) for name, pin in less.items()} == {name: str(more[name]) for name in less}
        assert len(more) > len(less)


def test_what_would_fetch_models_is_in_no_lock() -> None:
    assert [lock for lock in LOCKS if {"arcjet", "huggingface-hub"} & set(_pins(lock))] == []


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_python_that_we_support_gets_every_package_it_needs(python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux"}
    assert python in SpecifierSet(PYPROJECT["project"]["requires-python"])
    pins = _pins("requirements.txt")
    for asked in map(Requirement, WANTED["requirements.txt"]):
        if asked.marker is None or asked.marker.evaluate(environment):
            marker = pins[canonicalize_name(asked.name)].marker
            assert marker is None or Marker(str(marker)).evaluate(environment), asked.name


def test_the_tests_run_on_the_locked_versions() -> None:
    pins = {name: pin for name, pin in _pins("requirements-dev.txt").items() if pin.marker is None or pin.marker.evaluate()}
    installed = {name: version(name) for name in pins}
    assert installed == {name: next(iter(pin.specifier)).version for name, pin in pins.items()}


def test_azurite_is_pinned_with_everything_it_needs() -> None:
    folder = ROOT / "deployments" / "azurite"
    lock = json.loads((folder / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    asked = json.loads((folder / "package.json").read_text())["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in asked} == asked
    assert [name for name, entry in packages.items() if not entry.get("integrity") or "resolved" in entry] == []
