"""What every stage does around its own work: check first, claim opaque ids, say how far it is."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from safelight.model import RequestState
from tasks.policies import LEASE, RETRYING
from tasks.sources import check_sources
from tasks.wiring import open_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safelight.link import StageCounts

#: The states from which each stage takes its requests.
TAKES: Final[dict[str, tuple[RequestState, ...]]] = {
    "retrieval": (RequestState.REQUESTED, RequestState.LOCATED),
    "deidentification": (RequestState.RETRIEVED, RequestState.DEIDENTIFIED),
    "export": (RequestState.VERIFIED,),
}
_POLL_SECONDS: Final = 3.0


def worker_name() -> str:
    """Return the name under which this flow run holds requests: its opaque id."""
    return str(flow_run.get_id() or "local")


@task(task_run_name="check-{project}", **RETRYING)
def check_project(project: str) -> None:
    """Find what is wrong with settings, keys, blocks and folders before anything is asked of an archive."""
    with open_run(project) as run:
        run.check()
        check_sources(run)
        get_run_logger().info("Project %s: settings, key, blocks and folders are in order.", project)


@task(task_run_name="ask-again-{project}", **RETRYING)
def ask_again(project: str, states: tuple[str, ...]) -> int:
    """Start set-aside requests over. Returns how many; those of patients who opted out stay out."""
    if not states:
        return 0
    with open_run(project) as run:
        count = run.database.requeue(project, states=[RequestState(state) for state in states])
    get_run_logger().info("Project %s: %d requests (%s) are asked for again.", project, count, ", ".join(states))
    return count


@task(task_run_name="claim-{stage}", **RETRYING)
def claim_requests(project: str, stage: str, size: int) -> list[int]:
    """Take up to ``size`` requests for this stage. Empty: nothing is left to do, here or in another worker's hands.

    A worker that was killed leaves its requests leased; they are waited for, so that no run ends with them in the air.
    """
    logger = get_run_logger()
    end = time.monotonic() + 2 * LEASE.total_seconds()
    with open_run(project) as run:
        while True:
            ids = run.database.claim(project, TAKES[stage], worker=worker_name(), limit=size, lease=LEASE)
            if ids:
                return ids
            held = run.database.leased(project, TAKES[stage])
            if not held or time.monotonic() > end:
                return []
            logger.info("Project %s: waiting for %d requests that another worker holds.", project, held)
            time.sleep(_POLL_SECONDS)


@task(task_run_name="report-{stage}", **RETRYING)
def report_stage(project: str, stage: str, batches: list[dict[str, int]]) -> dict[str, int]:
    """Add the batches up, log them, and leave them as an artifact of the flow run. Returns name -> count."""
    total: Counter[str] = Counter()
    for batch in batches:
        total.update(batch)
    rows = [{"result": name, "count": count} for name, count in sorted(total.items())]
    create_table_artifact(key=f"{project}-{stage}", table=rows, description=f"{stage} of project {project}")
    get_run_logger().info("Project %s, %s: %s.", project, stage, words(total))
    return dict(total)


def words(counts: Mapping[str, int]) -> str:
    """Return ``3 exported, 1 rejected (burned_in)`` for people."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count) or "nothing to do"


def by_name(project: str, counts: StageCounts) -> dict[str, int]:
    """Return what a stage did as name -> count, and log it: states, and reasons of what was set aside or waits."""
    named = dict(counts.moved) | ({"waiting for another attempt": counts.waiting} if counts.waiting else {})
    named |= {f"because {reason}": count for reason, count in counts.reasons.items()}
    get_run_logger().info("Project %s: of %d requests %s.", project, counts.taken, words(named))
    return named
