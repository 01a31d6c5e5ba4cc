"""Requests into the raw cache, within the archives' budgets."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from prefect import get_run_logger, task

from blocks import LocalFolder
from safelight.archive import Archive, RawCache, locate_and_retrieve
from safelight.errors import ArchiveClosed, ArchiveUnreachable
from tasks.nodes import archive_of, receiver_of
from tasks.pace import shown_pace
from tasks.policies import LEASE, RETRYING
from tasks.stages import by_name, worker_name
from tasks.throttle import OrchestratorThrottle
from tasks.wiring import load_block, now, open_run

if TYPE_CHECKING:
    from collections.abc import Iterator

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
def check_archives(project: str) -> None:
    """Ask each archive whether it is there (C-ECHO), before any request is touched.

    One that knows us not, or by another name, stops the run. One that is not there is passed over, unless it is the
    only one. One that is closed or stopped is not asked: the run then takes what the raw cache has, and the rest waits.
    """
    with open_run(project) as run, archives_of(run) as archives:
        away = []
        for archive in archives:
            try:
                archive.echo()
            except ArchiveClosed as error:
                # Studies in the raw cache need no archive; the others wait until it opens.
                get_run_logger().warning("%s", error)
            except ArchiveUnreachable as error:
                away.append(error)
                get_run_logger().warning("%s", error)
        if len(away) == len(archives):
            raise away[0]


@task(task_run_name="retrieve-studies", **RETRYING)
def retrieve_studies(project: str, ids: list[int]) -> dict[str, int]:
    """Locate and fetch the studies of these requests. Returns counts by state and reason."""
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
            )
        return by_name(project, counts)
