"""Prefect's server for benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.ui import LEASES


@contextmanager
def server(folder: Path, port: int, database: str = "") -> Iterator[None]:
    """A server as a site runs it, for as long as the block runs; killed -9 at the end.

    Args:
        folder: for what it keeps.
        port: where it listens.
        database: URL of its PostgreSQL database; SQLite in the folder without one.
    """
    environment = {
        **os.environ,
        **LEASES,
        "PREFECT_HOME": str(folder / "server"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        **({"PREFECT_SERVER_DATABASE_CONNECTION_URL": database} if database else {}),
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    running = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        end = time.monotonic() + 180
        while not _answers(port):
            if running.poll() is not None or time.monotonic() > end:
                raise SystemExit("the server did not start")
            time.sleep(0.5)
        yield
    finally:
        os.killpg(running.pid, 9)
        running.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
