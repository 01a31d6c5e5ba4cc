"""How fast each archive is asked, shown while a batch runs."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from safelight.archive.load import LoadResponse
from safelight.archive.pace import Pace
from tasks.wiring import now

if TYPE_CHECKING:
    from uuid import UUID

    from safelight.archive.settings import ArchiveUse
    from safelight.link import ArchivePace, LinkDatabase


def shown_pace(use: ArchiveUse, database: LinkDatabase) -> Pace:
    """Return the pace of an archive; each of its changes goes to the log and to an artifact of the running task."""
    # Changes come in threads that know of no run: logger and artifact are made in the task's own.
    logger = get_run_logger()
    paces = database.archive_paces(use.block)
    artifact = create_progress_artifact(
        progress=100 * (paces[0].share if paces else use.load.least_share),
        key=f"archive-{use.block}-share",
        description=f"Share of its budget that archive {use.block} gets now",
    )

    def show(pace: ArchivePace) -> None:
        logger.info("Archive %s gets %.0f %% of its budget: %s.", use.block, 100 * pace.share, pace.cause)
        # Retrieval goes on when it can't be shown.
        with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
            client.update_artifact(cast("UUID", artifact), ArtifactUpdate(data=100 * pace.share))

    return Pace(use, LoadResponse(use.block, use.load, database, clock=time.monotonic, on_change=show), now)
