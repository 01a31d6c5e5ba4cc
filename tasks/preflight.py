"""What retrieving a project's requests would bring and take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from safelight.archive.preflight import foresee
from tasks.pacs import archives_of, raw_cache_of
from tasks.policies import RETRYING
from tasks.wiring import now, open_run

if TYPE_CHECKING:
    from safelight.archive.preflight import Preflight

_GIGABYTE: Final = 10**9
_TOLD_EVERY: Final = 100


@task(task_run_name="look-for-studies", **RETRYING)
def look_for_studies(project: str, at_most: int) -> dict[str, int]:
    """Ask the archives for the studies of waiting requests, within their budgets, and leave a table of what is there."""
    logger = get_run_logger()

    def tell(done: int, total: int) -> None:
        if done % _TOLD_EVERY == 0:
            logger.info("Project %s: looked at %d of %d requests.", project, done, total)

    with open_run(project) as run, archives_of(run) as archives:
        found = foresee(
            project,
            database=run.database,
            archives=archives,
            cache=raw_cache_of(run),
            clock=now,
            modalities=run.project.filters.modalities,
            at_most=at_most,
            on_progress=tell,
        )
    rows = rows_of(found)
    create_table_artifact(key=f"{project}-preflight", table=rows, description=words_of(project, found))
    logger.info("%s", words_of(project, found))
    return {str(row["what"]): row["count"] for row in rows if isinstance(row["count"], int)}


def rows_of(found: Preflight) -> list[dict[str, str | int | float]]:
    """Return the table's rows: what, how many, and where that comes from."""
    rows: list[tuple[str, int | float, str]] = [
        ("requests that wait for retrieval", found.requests, "link database"),
        ("looked at", found.looked_at, "spread evenly over all"),
        ("found", found.found, ""),
        ("found in the raw cache", found.cached, "cost the archive nothing"),
        ("found for an earlier request, too", found.repeated, "fetched once"),
        ("missing", found.missing, "in no archive"),
        *((f"would be set aside: {reason.value}", count, "") for reason, count in sorted(found.set_aside.items())),
        ("not known", found.unknown, "an archive did not answer, or is closed"),
        ("instances in the raw cache", found.cached_instances, "counted"),
        ("gigabytes in the raw cache", round(found.cached_bytes / _GIGABYTE, 3), "counted"),
    ]
    for name, work in sorted(found.archives.items()):
        rows += [
            (f"{name}: studies", work.studies, "counted"),
            (f"{name}: series", work.series, "counted"),
            (f"{name}: instances", work.instances, "as the archive says"),
            (f"{name}: gigabytes", round(work.bytes / _GIGABYTE, 3), "estimated by modality: archives tell no sizes"),
            (f"{name}: operations", work.operations, "queries and retrievals"),
        ]
    return [{"what": what, "count": count, "from": origin} for what, count, origin in rows]


def words_of(project: str, found: Preflight) -> str:
    """Return the sum of it in words."""
    end = "not within a year" if found.expected_end is None else f"{found.expected_end:%Y-%m-%d %H:%M} UTC at the earliest"
    return (
        f"Pre-flight of project {project}: {found.looked_at} of {found.requests} waiting requests were looked at; "
        f"{found.found} found, {found.missing} missing, {found.set_aside.total()} to set aside, {found.unknown} not known. "
        f"Started now, all would be there {end}, at the full budget and in the archives' hours."
    )
