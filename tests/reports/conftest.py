"""What the tests of reports share: a corpus, its site, a configuration and a pseudonymiser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from safelight.pseudonym import ProjectKey, Pseudonymizer
from safelight.reports.workers import Setup
from safelight.text.site import Directory, Site
from tests.text.corpus import corpus


@pytest.fixture(scope="session")
def labelled() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Labelled documents and the directory of their hospital."""
    return corpus(40, seed=77)


@pytest.fixture(scope="session")
def documents(labelled: tuple[list[dict[str, Any]], dict[str, Any]]) -> list[dict[str, Any]]:
    """Labelled documents."""
    return labelled[0]


@pytest.fixture(scope="session")
def setup(labelled: tuple[list[dict[str, Any]], dict[str, Any]]) -> Setup:
    """Rules only: quick to build, also in other processes."""
    return Setup(Site(Directory.model_validate(labelled[1])), ner=())


@pytest.fixture(scope="session")
def pseudonymizer() -> Pseudonymizer:
    """A project's."""
    return Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))


@pytest.fixture
def labelled_file(documents: list[dict[str, Any]], tmp_path: Path) -> Path:
    """The labelled documents as JSON lines."""
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    return path
