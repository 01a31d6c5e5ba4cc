"""Where things are and what they are called."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.repo import ROOT, tracked

BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc", "manager", "managers"}
TOP_LEVEL = {
    ".ci", ".gitignore", ".dockerignore", "Makefile", "README.md", "prefect.yaml", "pyproject.toml",
    "bench", "blocks", "deployments", "docs", "flows", "profiles", "src", "tasks", "tests",
}  # fmt: skip
LONGEST_MODULE = 450
LONGEST_TEST = 500
MODULES = tracked("*.py")


def test_the_top_level_is_the_agreed_one() -> None:
    assert {path.parts[0] for path in tracked()} <= TOP_LEVEL


def test_there_are_modules() -> None:
    assert len(MODULES) > 50


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {(path, part.removesuffix(".py")) for path in MODULES for part in path.parts}
    assert [str(path) for path, part in sorted(parts) if part in BANNED_NAMES] == []


def test_no_module_is_longer_than_a_person_can_keep_in_mind() -> None:
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in MODULES}
    longest = {path: LONGEST_TEST if path.parts[0] == "tests" else LONGEST_MODULE for path in lengths}
    assert {str(path): length for path, length in lengths.items() if length > longest[path]} == {}


def test_every_folder_of_modules_is_a_package() -> None:
    """Else a folder such as tests/tasks would hide the root's tasks."""
    folders = {path.parent for path in MODULES}
    folders |= {parent for folder in folders for parent in folder.parents if parent.parts[:1] == ("tests",)}
    without = {folder for folder in folders if not (ROOT / folder / "__init__.py").is_file()}
    assert without == set()


def test_test_folders_mirror_the_domain() -> None:
    """A stage without a folder of tests has none, whatever the coverage says."""
    stages = {path.parts[2] for path in tracked("src/safelight/**/*.py") if len(path.parts) > 3}
    tested = {path.parts[1] for path in tracked("tests/**/test_*.py") if len(path.parts) > 2}
    assert stages - tested == set()


def test_profiles_hold_no_code() -> None:
    assert {path.suffix for path in tracked("profiles/")} <= {".yaml", ".json", ".md", ".txt", ".sql"}


# Put together from parts, so that this file is not its own finding.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"), ("golang", "org"), ("crates", "io"),
    )
]  # fmt: skip
FOLDERS = "|".join(("work", "root", "tmp", "home/[a-z]+", "opt/wheels", "Users/[a-z]+"))
MACHINE_PATH = re.compile(rf"(?<![\w.*~$}}/)-])/(?:{FOLDERS})(?:/|\b(?!-))")


def _texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content[:8000]:
            found.append((path, content.decode("utf-8")))
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_no_file_names_a_package_registry(host: str) -> None:
    """Where packages come from is the machine's own setting, and a site's mirror must be enough."""
    assert [str(path) for path, text in _texts() if host in text] == []


def test_no_file_holds_a_path_of_somebodys_machine() -> None:
    found = {str(path): match.group() for path, text in _texts() if (match := MACHINE_PATH.search(text))}
    assert found == {}


def test_the_search_for_paths_finds_one() -> None:
    assert MACHINE_PATH.search('open("/' + 'work/x")')
    assert MACHINE_PATH.search("/" + "tmp/spool")
    assert not MACHINE_PATH.search("frame" + "work/x, https://example.org/" + "work")


LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", tracked("*.md"), ids=str)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text()
    assert [target for target in LINK.findall(text) if not (ROOT / page.parent / target).exists()] == []


def test_nothing_under_version_control_is_ignored() -> None:
    """What is ignored is left out of the wheel too, without a word."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == ""
