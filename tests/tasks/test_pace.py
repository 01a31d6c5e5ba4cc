"""The pace is shown while a batch runs: in the log and as an artifact, also when it changes in another thread."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from deployments.bootstrap import agreed
from safelight.archive.budget import Budget, Hours, Period
from safelight.archive.settings import ArchiveUse
from safelight.errors import ArchiveClosed, ConfigurationError
from tasks.pace import shown_pace
from tests.archive.conftest import clock as clock
from tests.archive.conftest import database as database

if TYPE_CHECKING:
    from safelight.link import LinkDatabase


@pytest.mark.usefixtures("prefect_server")
def test_every_change_is_shown(database: LinkDatabase, caplog: pytest.LogCaptureFixture) -> None:
    use = ArchiveUse(block="shown")

    @task
    def retrieve() -> None:
        pace = shown_pace(use, database)
        time.sleep(1.1)
        with ThreadPoolExecutor(1) as thread:
            for _ in range(3):
                thread.submit(pace.answered, "study query", 0.01).result()

    @flow
    def run() -> None:
        retrieve()

    run()
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["archive-shown-share"]))
        (artifact,) = client.read_artifacts(artifact_filter=wanted)
    assert (artifact.type, artifact.data) == ("progress", 15.0)
    assert "Archive shown gets 15 % of its budget: study query [0] took 0.010 s, as usual." in caplog.text


@pytest.mark.usefixtures("prefect_server")
def test_a_lower_rate_by_period_and_no_rate_outside_the_hours(database: LinkDatabase) -> None:
    @task
    def rates() -> list[float]:
        slow = ArchiveUse(block="slow", hours=Hours(periods=(Period(operations_per_second=5),)))
        closed = ArchiveUse(block="closed", hours=Hours(periods=(Period(days=("holiday",)),)))
        with pytest.raises(ArchiveClosed, match="does not open within a year"):
            shown_pace(closed, database).rate(50)
        pace = shown_pace(slow, database)
        return [pace.rate(50), pace.rate(2)]

    @flow
    def run() -> list[float]:
        return rates()

    # The lower bound of the response to load, of what the period leaves.
    assert run() == [pytest.approx(0.5), pytest.approx(0.2)]


def test_several_projects_have_the_lowest_budget_and_one_calendar() -> None:
    fast, small = Budget(operations_per_second=9, associations=2), Budget(operations_per_second=3, associations=8)
    uses = [ArchiveUse(block="a", budget=fast), ArchiveUse(block="b"), ArchiveUse(block="a", budget=small)]
    assert agreed(uses) == [
        ArchiveUse(block="a", budget=Budget(operations_per_second=3, associations=2)),
        ArchiveUse(block="b"),
    ]
    with pytest.raises(ConfigurationError, match="different hours"):
        agreed([*uses, ArchiveUse(block="a", hours=Hours(time_zone="UTC"))])
