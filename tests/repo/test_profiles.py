"""Everything that a reviewer signs off loads."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
import yaml

from deployments.check_profiles import problems
from safelight.profile import load_profile
from safelight.project import load_project
from tests.repo import ROOT, tracked

PROFILES = ROOT / "profiles"
PROJECTS = sorted(path.stem for path in (PROFILES / "projects").glob("*.yaml"))
DEID = sorted(path.stem for path in (PROFILES / "deid").glob("*.yaml"))


@pytest.mark.parametrize("path", tracked("profiles/**/*.yaml"), ids=str)
def test_every_yaml_file_is_one_mapping(path: Path) -> None:
    assert isinstance(yaml.safe_load((ROOT / path).read_text()), dict)


@pytest.mark.parametrize("slug", PROJECTS)
def test_every_project_loads_with_its_profile(slug: str) -> None:
    project = load_project(PROFILES / "projects", slug)
    profile = load_profile(PROFILES / "deid", project.deid.profile, overrides=project.deid.overrides)
    assert project.slug == slug
    assert profile.fingerprint()
    project.check_approval(date(2026, 1, 1))


@pytest.mark.parametrize("name", DEID)
def test_every_deid_profile_loads_under_its_own_name(name: str) -> None:
    profile = load_profile(PROFILES / "deid", name)
    assert profile.name == name
    assert profile.describe()


def test_no_two_projects_or_profiles_are_the_same() -> None:
    projects = {load_project(PROFILES / "projects", slug).fingerprint() for slug in PROJECTS}
    profiles = {load_profile(PROFILES / "deid", name).fingerprint() for name in DEID}
    assert (len(projects), len(profiles)) == (len(PROJECTS), len(DEID))
    assert PROJECTS
    assert DEID


def test_every_file_fits_the_schema_that_editors_use() -> None:
    assert problems() == []


def test_the_check_against_the_schema_finds_a_wrong_word(tmp_path: Path) -> None:
    for folder in ("deid", "projects", "schema"):
        (tmp_path / folder).mkdir()
    for path in (PROFILES / "schema").glob("*.json"):
        (tmp_path / "schema" / path.name).write_text(path.read_text())
    slug = PROJECTS[0]
    wrong = yaml.safe_load((PROFILES / "projects" / f"{slug}.yaml").read_text()) | {"no_such_setting": 1}
    (tmp_path / "projects" / f"{slug}.yaml").write_text(json.dumps(wrong, default=str))
    (problem,) = problems(tmp_path)
    assert "no_such_setting" in problem
