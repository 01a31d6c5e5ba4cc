"""Kill: 20 workers killed -9 while each holds a study and an association, then the server, too: when all is free again"""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

KILLED = 20


def main() -> list[dict[str, Any]]:
    """Run both; returns what was killed, places held then, seconds until all were free, and studies free to claim."""
    return [_run(server_too=False), _run(server_too=True)]


def _run(*, server_too: bool) -> dict[str, Any]:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from bench.orchestrator import server
    from deployments.bootstrap import register_limits
    from safelight.archive.budget import Budget
    from safelight.archive.settings import ArchiveUse
    from safelight.link import LinkDatabase
    from safelight.model import RequestState
    from safelight.pseudonym import ProjectKey, Pseudonymizer
    from tasks.policies import associations_limit
    from tasks.wiring import now
    from tests.archive.conftest import PROJECT, a_request
    from tests.archive.studies import Study
    from tests.services.process import free_port
    from tests.tasks.killed_worker import kill

    port = free_port()
    with tempfile.TemporaryDirectory() as folder, temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
        link = f"sqlite:///{folder}/link.sqlite"
        database = LinkDatabase(link, clock=now)
        database.migrate()
        extract = database.register_extract(PROJECT, name="e", sha256="0" * 64, generated=now(), source="bench")
        pseudonymizer = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
        requests = [a_request(Study(number)) for number in range(KILLED)]
        database.add_requests(extract, requests, pseudonymizer=pseudonymizer, opted_out={})

        def held() -> int:
            with get_client(sync_client=True) as client:
                return client.read_global_concurrency_limit_by_name(associations_limit("deadly")).active_slots

        with server(Path(folder), port):
            register_limits(ArchiveUse(block="deadly", budget=Budget(operations_per_second=100, associations=KILLED)))
            kill(KILLED, "deadly", link, PROJECT, lease_seconds=1)
            killed, places = time.monotonic(), held()
            if not server_too:
                seconds = _until_free(held, killed)
        if server_too:
            with server(Path(folder), port):
                seconds = _until_free(held, killed)
        claimed = database.claim(PROJECT, [RequestState.REQUESTED], worker="next", limit=100, lease=timedelta(minutes=1))
        database.close()
    return {
        "killed": f"{KILLED} workers{' and the server' if server_too else ''}",
        "places held then": places,
        "all free after s": round(seconds, 1),
        "studies free to claim": len(claimed),
    }


def _until_free(held: Any, since: float) -> float:  # noqa: ANN401  a function
    while held():
        if time.monotonic() - since > 300:
            return float("inf")
        time.sleep(0.5)
    return time.monotonic() - since
