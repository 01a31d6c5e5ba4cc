"""The archive's own count of operations, asked by several processes. A minute with up to eight: ``make bench ARGS=rate``."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

from deployments.bootstrap import register_limits
from safelight.archive.budget import Budget
from safelight.archive.settings import ArchiveUse
from safelight.link import LinkDatabase
from tasks.policies import operations_limit
from tasks.throttle import SLOTS_AN_OPERATION, burst
from tasks.wiring import now
from tests.archive.tiring import TiringArchive
from tests.tasks.rate_worker import CLIENTS, workers

RATE, FASTER, WORKERS = 8.0, 20.0, 2


@pytest.mark.usefixtures("prefect_server")
def test_several_processes_keep_one_rate_and_follow_its_change(tmp_path: Path) -> None:
    link = f"sqlite:///{tmp_path / 'link.sqlite'}"
    database = LinkDatabase(link, clock=now)
    database.migrate()
    database.close()
    register_limits(ArchiveUse(block="counted", budget=Budget(operations_per_second=RATE, associations=WORKERS * CLIENTS)))
    archive = TiringArchive(knee=1000, unloaded=0.0)
    archive.start()
    try:
        with workers(WORKERS, "counted", archive, link) as begin:
            time.sleep(max(0.0, begin + 6 - time.monotonic()))
            with get_client(sync_client=True) as client:
                client.update_global_concurrency_limit(
                    operations_limit("counted"),
                    GlobalConcurrencyLimitUpdate(slot_decay_per_second=FASTER * SLOTS_AN_OPERATION),
                )
            changed = time.monotonic()
            time.sleep(7.5)
    finally:
        archive.stop()
    before = archive.rate(begin, changed)
    assert 0.7 * RATE <= before <= RATE + burst(RATE) / (changed - begin)
    after = archive.rate(changed + 5, changed + 7.5)
    assert 0.7 * FASTER <= after <= FASTER + burst(RATE) / 2.5
