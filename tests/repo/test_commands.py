"""What a person is told to type exists."""

from __future__ import annotations

import re
import subprocess

import click
import pytest

from safelight.cli.main import main
from tests.repo import ROOT, tracked

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, flags=re.MULTILINE))
PAGES = ["README.md", *(str(path) for path in tracked("docs/**/*.md"))]


def _typed(page: str) -> str:
    """The parts of a page that are to be typed: fenced blocks and words in backticks."""
    text = (ROOT / page).read_text()
    fenced = re.findall(r"```(?:sh|console|bash)?\n(.*?)```", text, flags=re.DOTALL)
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))])


def test_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+) +\S", shown, flags=re.MULTILINE)) == TARGETS


def test_help_is_what_make_alone_does() -> None:
    alone, asked = (
        subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for words in ([], ["help"])
    )
    assert alone == asked


def test_every_target_is_phony() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)
    assert set(phony.split()) == TARGETS


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_that_a_page_names_exist(page: str) -> None:
    named = set(re.findall(r"^make ([a-z-]+)", _typed(page), flags=re.MULTILINE))
    assert named <= TARGETS
    if page == "README.md":
        assert {"demo", "test"} <= named


@pytest.mark.parametrize("page", PAGES)
def test_safelight_commands_that_a_page_names_exist(page: str) -> None:
    unknown = []
    for line in re.findall(r"^(?:\.venv/bin/)?safelight ([a-z][a-z -]*)", _typed(page), flags=re.MULTILINE):
        command: click.Command = main
        for word in line.split():
            if not isinstance(command, click.Group) or word.startswith("-"):
                break
            found = command.get_command(click.Context(command), word)
            if found is None:
                unknown.append(line)
                break
            command = found
    assert unknown == []


def test_ci_runs_what_the_front_door_names() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert {"check", "test"} <= set(re.findall(r"^(?:timeout .* )?make ([a-z-]+)", script, flags=re.MULTILINE))
