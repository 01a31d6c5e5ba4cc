"""Retries, leases and names, in one place."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from safelight.errors import TransientError

if TYPE_CHECKING:
    from prefect import State, Task
    from prefect.client.schemas import TaskRun

#: How long a worker may be silent before another takes its requests over. Stages renew it while they work. Longer than
#: the longest silence of a healthy one: sending a group of 200 MB to a destination.
LEASE: Final = timedelta(seconds=float(os.environ.get("SAFELIGHT_LEASE_SECONDS", "90")))
#: Requests a task takes at once: minutes of work, so that the orchestrator's cost (3 ms and 16 kB a task run) vanishes.
BATCH: Final = 20
RETRIES: Final = 2
RETRY_DELAYS: Final = [2.0, 10.0]


def retry_if_transient(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Tell whether a failed task should run again: only where trying again may help."""
    if not state.is_failed():
        return True
    try:
        state.result()
    except TransientError:
        return True
    except Exception:  # noqa: BLE001  whatever else it was, it is not ours to retry
        return False
    return False


#: Options of every task that talks to something.
RETRYING: Final[dict[str, Any]] = {
    "retries": RETRIES,
    "retry_delay_seconds": RETRY_DELAYS,
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": retry_if_transient,
    # Nothing is stored or reused by the orchestrator: the link database is what remembers.
    "persist_result": False,
    "cache_policy": None,
}


def operations_limit(archive_block: str) -> str:
    """Return the name of the global concurrency limit that is the archive's rate."""
    return f"archive-{archive_block}-operations"


def associations_limit(archive_block: str) -> str:
    """Return the name of the global concurrency limit that counts the archive's associations in flight."""
    return f"archive-{archive_block}-associations"


def kilobytes_limit(archive_block: str) -> str:
    """Return the name of the global concurrency limit of what the archive sends; a slot is 1,000 bytes."""
    return f"archive-{archive_block}-kilobytes"
