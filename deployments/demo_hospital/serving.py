"""The archives' own process."""

from __future__ import annotations

import json
import select
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from safelight.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0


@contextmanager
def running(command: list[str], *, cwd: Path) -> Iterator[dict[str, int]]:
    """Run the archives' process; yields the ports that it prints when it listens."""
    server = subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None  # noqa: S101  piped above
        ready, _, _ = select.select([server.stdout], [], [], _START_SECONDS)
        line = server.stdout.readline() if ready else ""
        if not line:
            raise ConfigurationError(
                "The demo hospital's archives did not start.",
                remedy="See what 'python -m deployments.demo_hospital serve FOLDER' says.",
            )
        yield json.loads(line)
    finally:
        server.terminate()
        try:
            server.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.communicate()
