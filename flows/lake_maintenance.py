"""Lake maintenance: fewer and larger files, and none that no reader needs any more."""

from __future__ import annotations

from prefect import flow
from prefect.futures import wait

from tasks.maintenance import maintain_lake
from tasks.outcomes import due_projects
from tasks.parameters import ProjectSlugs


@flow(name="lake-maintenance")
def lake_maintenance(projects: ProjectSlugs = ()) -> dict[str, dict[str, int]]:
    """Compact, vacuum and checkpoint every table of the projects' lakes. What the tables hold stays the same.

    Args:
        projects: the projects whose lakes are maintained; none chosen: every project whose approval is in force.
    """
    running = {slug: maintain_lake.submit(slug) for slug in due_projects(list(projects))}
    wait(list(running.values()))  # one that fails does not stop the next
    return {slug: future.result() for slug, future in running.items()}
