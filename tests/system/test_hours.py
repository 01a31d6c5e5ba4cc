"""Outside an archive's hours nothing is sent: the run ends at once, says until when, and the requests wait."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployments import bootstrap
from deployments.demo import PROJECT, open_database
from flows.cohort_ingest import cohort_ingest
from flows.pacs_retrieval import pacs_retrieval
from safelight.model import Reason, RequestState
from tests.system.conftest import Site

pytestmark = pytest.mark.usefixtures("prefect_server")
PROFILES = Path(__file__).resolve().parents[2] / "profiles"


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose archives open the day after tomorrow; returns the project's file."""
    day = (datetime.now(UTC) + timedelta(days=2)).strftime("%a").lower()
    shutil.copytree(PROFILES, tmp_path / "profiles")
    file = tmp_path / "profiles" / "projects" / f"{PROJECT}.yaml"
    hours = f"    hours: {{time_zone: UTC, periods: [{{days: [{day}]}}]}}\n    budget:"
    file.write_text(file.read_text().replace("    budget:", hours))
    monkeypatch.setenv("SAFELIGHT_PROFILES", str(tmp_path / "profiles"))
    return file


def test_nothing_is_sent_and_everything_waits(site: Site, closed: Path, caplog: pytest.LogCaptureFixture) -> None:
    cohort_ingest(PROJECT)
    before = site.states()
    # No archive is running: whoever called one would fail.
    counts = pacs_retrieval(PROJECT)
    waiting = before["requested"]
    assert counts == {"waiting for another attempt": waiting, "because archive_closed": waiting}
    assert site.states() == before
    opens = (datetime.now(UTC) + timedelta(days=2)).strftime("%a %d %b %Y at 00:00 UTC")
    assert f"closed by its hours. It opens on {opens}" in caplog.text
    database = open_database(site.folder)
    try:
        requests = list(database.find(PROJECT, [RequestState.REQUESTED]))
    finally:
        database.close()
    assert {(one.reason, one.attempts) for one in requests} == {(Reason.ARCHIVE_CLOSED, 0)}
    assert pacs_retrieval(PROJECT) == {}
    assert site.states() == before


def test_projects_that_disagree_about_hours_are_refused(closed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = closed.with_name("other.yaml")
    other.write_text((PROFILES / "projects" / closed.name).read_text().replace(f"slug: {PROJECT}", "slug: other"))
    assert bootstrap.main() == 2
    assert "different hours" in capsys.readouterr().err
    other.write_text(closed.read_text().replace(f"slug: {PROJECT}", "slug: other"))
    assert bootstrap.main() == 0
