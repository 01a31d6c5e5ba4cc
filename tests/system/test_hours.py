"""Outside an archive's hours nothing is sent: the run ends at once, says until when, and the requests wait."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from deployments import bootstrap
from deployments.demo import PROJECT, open_database
from flows.cohort_ingest import cohort_ingest
from flows.pacs_retrieval import pacs_retrieval
from safelight.archive import circuit
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
    assert "closed by its hours" in shown(f"{PROJECT}-waits")
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


def test_a_stopped_archive_is_not_even_greeted(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """By 'safelight archive stop': whoever called an archive would fail, since none is running."""
    cohort_ingest(PROJECT)
    before = site.states()
    database = open_database(site.folder)
    try:
        for archive in ("demo-archive-primary", "demo-archive-secondary"):
            circuit.stop(database, archive, cause="upgrade", clock=lambda: datetime.now(UTC))
    finally:
        database.close()
    for _ in range(2):
        pacs_retrieval(PROJECT)
        assert site.states() == before
    assert "'demo-archive-primary' is stopped by its manager: upgrade" in caplog.text
    assert "'demo-archive-secondary' is stopped by its manager: upgrade" in shown(f"{PROJECT}-waits")
    assert "reached" not in caplog.text


def shown(key: str) -> str:
    """Return what an artifact shows in the UI."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return " ".join(str(one.data) for one in found)


def test_projects_that_disagree_about_hours_are_refused(closed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = closed.with_name("other.yaml")
    other.write_text((PROFILES / "projects" / closed.name).read_text().replace(f"slug: {PROJECT}", "slug: other"))
    assert bootstrap.main() == 2
    assert "different hours" in capsys.readouterr().err
    other.write_text(closed.read_text().replace(f"slug: {PROJECT}", "slug: other"))
    assert bootstrap.main() == 0
