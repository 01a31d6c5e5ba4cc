"""Workers that are killed -9 in the middle of an operation: ``python -m tests.tasks.killed_worker``.

One process loads everything and forks each of them, so that twenty cost seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from prefect.settings import PREFECT_API_URL

from safelight.archive.budget import Load
from safelight.archive.load import LoadResponse
from safelight.archive.pace import Pace
from safelight.archive.settings import ArchiveUse
from safelight.link import LinkDatabase
from safelight.model import RequestState
from tasks.policies import LEASE
from tasks.throttle import OrchestratorThrottle
from tasks.wiring import now

CHECKOUT = Path(__file__).resolve().parents[2]


def kill(count: int, block: str, link: str, project: str, *, lease_seconds: float) -> None:
    """Start so many workers, one after another, and kill each while it holds a request, an association and an operation."""
    environment = {
        **os.environ,
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "SAFELIGHT_LEASE_SECONDS": str(lease_seconds),
        "PYTHONPATH": str(CHECKOUT),
    }
    command = [sys.executable, "-m", "tests.tasks.killed_worker", str(count), block, link, project]
    subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, timeout=300)


def _work(number: int, block: str, link: str, project: str, holding: int) -> None:
    database = LinkDatabase(link, clock=now)
    assert database.claim(project, [RequestState.REQUESTED], worker=f"killed-{number}", limit=1, lease=LEASE)
    use = ArchiveUse(block=block, load=Load(least_share=1))
    pace = Pace(use, LoadResponse(block, use.load, database, clock=time.monotonic), now)
    with OrchestratorThrottle(block, pace) as throttle, throttle.association():
        throttle.operation()
        os.write(holding, b"!")
        time.sleep(600)


def main(count: str, block: str, link: str, project: str) -> None:
    """Fork and kill."""
    for number in range(int(count)):
        told, holding = os.pipe()
        if not (worker := os.fork()):
            try:
                _work(number, block, link, project, holding)
            finally:
                os._exit(1)
        os.close(holding)
        held = os.read(told, 1)
        os.close(told)
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        assert held == b"!", "it ended before it held anything"


if __name__ == "__main__":
    main(*sys.argv[1:])
