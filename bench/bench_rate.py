"""Rate: an archive's own count of operations in a minute, asked by 1, 4 and 8 worker processes, and after a change"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS, SETTLING, AFTERWARDS = 60.0, 5.0, 15.0
#: The orchestrator's database, worker processes, operations a second, and what the rate is changed to after a minute.
RUNS = (
    ("SQLite", 1, 10.0, 20.0),
    ("SQLite", 4, 10.0, 5.0),
    ("SQLite", 8, 10.0, 20.0),
    ("SQLite", 4, 50.0, 25.0),
    ("PostgreSQL", 4, 50.0, 25.0),
    ("PostgreSQL", 8, 10.0, 20.0),
)


def main() -> list[dict[str, Any]]:
    """Run each; returns workers, budget, what the archive counted as a share of it, and the same after the change."""
    from safelight.link import LinkDatabase
    from tasks.wiring import now
    from tests.services.postgresql import Postgresql

    postgresql = Postgresql()
    try:
        rows = []
        for database, *run in RUNS:
            with tempfile.TemporaryDirectory() as folder:
                link = LinkDatabase(url := f"sqlite:///{folder}/link.sqlite", clock=now)
                link.migrate()
                link.close()
                of_its_own = postgresql.new_database().replace("psycopg2", "asyncpg") if database == "PostgreSQL" else ""
                with _orchestrator(Path(folder), of_its_own):
                    rows.append({"orchestrator on": database, **_run(*run, url)})
        return rows
    finally:
        postgresql.stop()


@contextmanager
def _orchestrator(folder: Path, database: str) -> Iterator[None]:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from bench.orchestrator import server
    from tests.services.process import free_port

    port = free_port()
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}), server(folder, port, database):
        yield


def _run(count: int, rate: float, changed_to: float, link: str) -> dict[str, Any]:
    from deployments.bootstrap import register_limits
    from safelight.archive.budget import Budget
    from safelight.archive.settings import ArchiveUse
    from tests.archive.tiring import TiringArchive
    from tests.tasks.rate_worker import CLIENTS, workers

    block = "bench"
    budget = Budget(operations_per_second=rate, associations=min(50, count * CLIENTS))
    register_limits(ArchiveUse(block=block, budget=budget))
    archive = TiringArchive(knee=1000, unloaded=0.0)
    archive.start()
    try:
        with workers(count, block, archive, link) as begin:
            time.sleep(max(0.0, begin + SECONDS - time.monotonic()))
            _change(block, changed_to)
            changed = time.monotonic()
            time.sleep(SETTLING + AFTERWARDS)
    finally:
        archive.stop()
    counted = archive.rate(begin, begin + SECONDS) / rate
    after = archive.rate(changed + SETTLING, changed + SETTLING + AFTERWARDS) / changed_to
    kept = 0.9 <= counted <= 1.02
    return {
        "workers": count,
        "budget /s": rate,
        "counted": f"{counted:.1%}",
        "changed to /s": changed_to,
        "counted from 5 s on": f"{after:.1%}",
        "within +2 % and -10 %": "yes" if kept else "no",
    }


def _change(block: str, rate: float) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    from tasks.policies import operations_limit
    from tasks.throttle import SLOTS_AN_OPERATION

    with get_client(sync_client=True) as client:
        client.update_global_concurrency_limit(
            operations_limit(block), GlobalConcurrencyLimitUpdate(slot_decay_per_second=rate * SLOTS_AN_OPERATION)
        )
