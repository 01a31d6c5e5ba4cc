"""Pre-flight from the form."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from deployments.demo import PROJECT
from flows.cohort_ingest import cohort_ingest
from flows.cohort_preflight import cohort_preflight
from tests.system.conftest import Site
from tests.system.test_bad_input import running

pytestmark = pytest.mark.usefixtures("prefect_server")


def test_it_leaves_a_table_and_moves_nothing(site: Site) -> None:
    with running(site):
        cohort_ingest(PROJECT, preflight=True, at_most=3)
        assert "3 of " in shown()
        before = site.states()
        foreseen = cohort_preflight(PROJECT, at_most=12)
        assert site.states() == before
    assert not list(site.folder.rglob("*.dcm"))
    assert foreseen["requests that wait for retrieval"] == before["requested"] > foreseen["looked at"] == 12
    assert foreseen["found"] > 0
    aside = sum(count for name, count in foreseen.items() if name.startswith("would be set aside"))
    assert foreseen["found"] + foreseen["missing"] + aside + foreseen["not known"] == foreseen["looked at"]

    assert "12 of " in shown()
    assert "estimated by modality" in shown()
    assert "at the earliest" in shown()


def shown() -> str:
    """Return what the artifact shows."""
    key = ArtifactFilterKey(any_=[f"{PROJECT}-preflight"])
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=key))
    return " ".join(f"{one.data} {one.description}" for one in found)
