"""Fixtures of the export's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from safelight.release.lake import Lake
from tests.release.hospital import Hospital


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital on SQLite, without requests yet."""
    made = Hospital(tmp_path, f"sqlite:///{tmp_path / 'link.db'}")
    yield made
    made.database.close()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in a local folder."""
    return Lake(str(tmp_path / "lake"))
