"""Upkeep of a project's lake."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_table_artifact

from safelight.release.accounts import tables_of
from safelight.release.upkeep import maintain
from tasks.destinations import lake_of
from tasks.policies import RETRYING
from tasks.wiring import open_run


@task(task_run_name="maintain-{project}", **RETRYING)
def maintain_lake(project: str) -> dict[str, int]:
    """Maintain every table of a project, and leave the counts as an artifact. Returns their sums by name."""
    with open_run(project) as run:
        lake = lake_of(run)
        done = {name: maintain(lake, project, name) for name in tables_of(lake, project, run.profile.records.tables)}
    rows = [
        {"table": name, "files put together": told.gathered, "into": told.made, "deleted": told.deleted}
        for name, told in done.items()
    ]
    create_table_artifact(key=f"{project}-lake", table=rows, description=f"Maintenance of the lake of project {project}")
    return {
        "tables": len(done),
        "files put together": sum(told.gathered for told in done.values()),
        "files deleted": sum(told.deleted for told in done.values()),
    }
