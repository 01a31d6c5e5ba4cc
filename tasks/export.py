"""Verified data to the lake and the DICOM destinations, under a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import get_run_logger, task

import safelight
from blocks import DeltaLake, DicomwebServer, LocalFolder
from safelight.linkage.images import image_rows
from safelight.linkage.outcomes import outcome_row
from safelight.release.batch import Export, export_project
from safelight.release.dicomweb import DicomwebDestination
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from safelight.release.manifest import Terms
from safelight.release.retention import tidy_work
from safelight.release.schemas import TableSchema
from safelight.staging import read_staged
from tasks.policies import LEASE, RETRYING
from tasks.stages import by_name, worker_name
from tasks.wiring import load_block, now, open_run

if TYPE_CHECKING:
    from safelight.release.destination import Destination
    from tasks.wiring import ProjectRun


def destinations_of(run: ProjectRun) -> list[Destination]:
    """Return the project's DICOM destinations."""
    found: list[Destination] = []
    for destination in run.project.destinations.dicom:
        if destination.kind == "folder":
            found.append(FolderDestination(load_block(LocalFolder, destination.block).path, name=destination.block))
        else:
            server = load_block(DicomwebServer, destination.block)
            auth = (server.username, server.password.get_secret_value()) if server.username else None
            found.append(DicomwebDestination(server.url, auth=auth, ca=server.ca_file, name=destination.block))
    return found


def lake_of(run: ProjectRun) -> Lake:
    """Return the project's lake."""
    block = load_block(DeltaLake, run.project.destinations.lake)
    return Lake(block.uri, block.options())


@task(task_run_name="tables-{project}", **RETRYING)
def write_tables(project: str) -> dict[str, int]:
    """Merge staged notes and record rows into the lake. Returns counts by name."""
    counts: dict[str, int] = {}
    with open_run(project) as run:
        lake = lake_of(run)
        for path in sorted(run.work.glob("notes/*.parquet")):
            result = lake.write(project, "note", read_staged(path)[1])
            counts["new note rows"] = counts.get("new note rows", 0) + result.inserted
        for path in sorted(run.work.glob("records/*/*.parquet")):
            schema, batches = read_staged(path)
            result = lake.write(project, TableSchema.from_arrow(path.stem, schema), batches)
            counts[f"new {path.stem} rows"] = counts.get(f"new {path.stem} rows", 0) + result.inserted
    return counts


@task(task_run_name="export-{project}", **RETRYING)
def export_dataset(project: str) -> dict[str, int]:
    """Send what is verified, write its rows and the manifest, move the requests. Returns counts by name."""
    with open_run(project) as run:
        terms = Terms(run.profile.name, run.profile.fingerprint(), run.project.fingerprint(), safelight.__version__)
        result = export_project(
            Export(
                project=project,
                database=run.database,
                lake=lake_of(run),
                destinations=destinations_of(run),
                terms=terms,
                images=lambda request, files, locations: image_rows(files, request, run.pseudonymizer, locations=locations),
                outcome=lambda request, instances: outcome_row(request, instances, run.pseudonymizer),
                work=run.work / "studies",
                manifests=run.work / "manifests",
                clock=now,
                worker=worker_name(),
                lease=LEASE,
                record_tables=sorted(run.profile.records.tables),
            )
        )
        for destination, count in result.refused.items():
            get_run_logger().warning("Destination %s refused %d instances.", destination, count)
        if result.release_id:
            get_run_logger().info("Project %s: release %s, %d instances.", project, result.release_id, result.instances)
        return by_name(project, result.counts) | {"instances delivered": result.instances}


@task(task_run_name="tidy-{project}", **RETRYING)
def tidy_work_folder(project: str) -> dict[str, int]:
    """Remove de-identified copies that the project does not keep any longer. Returns counts by name."""
    with open_run(project) as run:
        days = run.project.retention.work_days
        removed = tidy_work(
            run.database, project, run.work / "studies", pseudonymizer=run.pseudonymizer, days=days, now=now()
        )
        return {"studies tidied away": removed} if removed else {}
