"""A worker process that asks an archive as fast as its budget lets it: ``python -m tests.tasks.rate_worker``."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.settings import PREFECT_API_URL

from safelight.archive.budget import Load
from safelight.archive.load import LoadResponse
from safelight.archive.pace import Pace
from safelight.archive.settings import ArchiveUse
from safelight.link import LinkDatabase
from tasks.throttle import OrchestratorThrottle
from tasks.wiring import now
from tests.archive.tiring import TiringArchive, ask_for

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
CLIENTS = 4


class _Peer(TiringArchive):
    """The archive of the process that started this one."""

    def __init__(self, port: int) -> None:
        super().__init__(knee=1, unloaded=0)
        self.port = port


@contextmanager
def workers(count: int, block: str, archive: TiringArchive, link: str) -> Iterator[float]:
    """Start worker processes; yields the instant (monotonic) from which all of them ask, until the end of the block."""
    command = [sys.executable, "-m", "tests.tasks.rate_worker", block, str(archive.port), link]
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value()), "PYTHONPATH": str(CHECKOUT)}
    running = [
        subprocess.Popen(
            command, cwd=CHECKOUT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for _ in range(count)
    ]
    try:
        for worker in running:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"ready\n"
        begin = time.monotonic() + 0.5
        for worker in running:
            assert worker.stdin is not None
            worker.stdin.write(f"{begin}\n".encode())
            worker.stdin.close()
        yield begin
        assert [worker.poll() for worker in running] == [None] * count, "all of them asked to the end"
    finally:
        for worker in running:
            worker.kill()
            worker.wait()
            assert worker.stdout is not None
            worker.stdout.close()


def main(block: str, port: str, link: str) -> None:
    """Say ready, wait for the begin, ask until killed."""
    database = LinkDatabase(link, clock=now)
    use = ArchiveUse(block=block, load=Load(least_share=1))
    pace = Pace(use, LoadResponse(block, use.load, database, clock=time.monotonic), now)
    with OrchestratorThrottle(block, pace) as throttle:
        print("ready", flush=True)
        begin = float(sys.stdin.readline())
        time.sleep(max(0.0, begin - time.monotonic()))
        ask_for(math.inf, _Peer(int(port)), [throttle], clients=CLIENTS, operations=25)


if __name__ == "__main__":
    main(*sys.argv[1:])
