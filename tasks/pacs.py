"""Requests into the raw cache, within the archives' budgets."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from blocks import LocalFolder
from safelight.archive import Archive, RawCache, locate_and_retrieve
from safelight.archive.circuit import Circuit
from safelight.errors import ArchiveBusy, ArchiveClosed, ArchiveUnreachable
from safelight.model import RequestState
from tasks.nodes import archive_of, receiver_of
from tasks.pace import shown_pace
from tasks.policies import LEASE, RETRYING
from tasks.stages import by_name, worker_name
from tasks.throttle import OrchestratorThrottle
from tasks.wiring import load_block, now, open_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.errors import TransientError
    from tasks.wiring import ProjectRun


@contextmanager
def archives_of(run: ProjectRun) -> Iterator[list[Archive]]:
    """Yield the project's archives in order of preference, each behind its own budget."""
    with ExitStack() as budgets:
        yield [
            archive_of(use, budgets.enter_context(OrchestratorThrottle(use.block, shown_pace(use, run.database))))
            for use in run.project.archives
        ]


def raw_cache_of(run: ProjectRun) -> RawCache:
    """Return the raw cache that all projects share."""
    folder = load_block(LocalFolder, run.project.site.raw_cache)
    return RawCache(run.writable(run.project.site.raw_cache), run.database, folder.max_bytes or None)


@task(task_run_name="echo-archives", **RETRYING)
def check_archives(project: str) -> str:
    """Ask each archive whether it is there (C-ECHO), before any request is touched.

    One that knows us not, or by another name, stops the run. One that is closed, stopped or resting is not asked, and one
    that does not answer is left alone by all workers until it has rested. The run then takes what the raw cache has, and
    what the other archives have; the rest waits.

    Returns:
        What is wrong, when no archive answered; otherwise nothing.
    """
    with open_run(project) as run, archives_of(run) as archives:
        away = []
        for archive in archives:
            circuit = Circuit(archive, run.database, now)
            try:
                if circuit.is_closed():
                    archive.echo()
            except ArchiveClosed as error:
                get_run_logger().warning("%s", error)
            except (ArchiveBusy, ArchiveUnreachable) as error:
                circuit.is_away(error)
                away.append(str(error))
                get_run_logger().warning("%s", error)
        return away[0] if len(away) == len(archives) else ""


@task(task_run_name="see-who-was-there", **{**RETRYING, "retries": 0})
def need_archives(away: str, counts: dict[str, int]) -> None:
    """Fail the run when no archive was there and the raw cache had nothing for it either: somebody has to look.

    Args:
        away: what ``check_archives`` found.
        counts: what the run came to.
    """
    if away and not counts.get(RequestState.RETRIEVED):
        raise ArchiveUnreachable("No archive answered, and the raw cache has none of these studies.", remedy=away)


@task(task_run_name="retrieve-studies", **RETRYING)
def retrieve_studies(project: str, ids: list[int]) -> dict[str, int]:
    """Locate and fetch the studies of these requests. Returns counts by state and reason."""
    logger, causes = get_run_logger(), []

    def tell(error: TransientError) -> None:
        logger.warning("%s", error)
        causes.append(f"- {error}")

    with open_run(project) as run, archives_of(run) as archives:
        cache = raw_cache_of(run)
        with receiver_of(run.project.site.receiver, archives, cache) as receiver:
            counts = locate_and_retrieve(
                ids,
                database=run.database,
                archives=archives,
                receiver=receiver,
                cache=cache,
                worker=worker_name(),
                lease=LEASE,
                clock=now,
                modalities=run.project.filters.modalities,
                on_trouble=tell,
            )
        if causes:
            description = f"Why studies of project {project} wait"
            create_markdown_artifact("\n".join(causes), key=f"{project}-waits", description=description)
        return by_name(project, counts)
