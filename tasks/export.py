"""Verified data to the lake and the DICOM destinations, under a manifest."""

from __future__ import annotations

from collections import Counter

from prefect import get_run_logger, task

import safelight
from safelight.linkage.images import image_rows
from safelight.linkage.outcomes import outcome_row
from safelight.release.batch import Export, export_project
from safelight.release.manifest import Terms
from safelight.release.retention import tidy_work
from safelight.release.schemas import TableSchema
from safelight.staging import read_staged
from tasks.destinations import destinations_of, lake_of
from tasks.policies import LEASE, RETRYING
from tasks.stages import by_name, worker_name
from tasks.validation import cleared_notes
from tasks.wiring import now, open_run


@task(task_run_name="tables-{project}", **RETRYING)
def write_tables(project: str) -> dict[str, int]:
    """Merge staged notes and record rows into the lake. Returns counts by name."""
    counts: Counter[str] = Counter()
    with open_run(project) as run:
        lake = lake_of(run)
        for path in cleared_notes(run, counts):
            counts["new note rows"] += lake.write(project, "note", read_staged(path)[1]).inserted
        for path in sorted(run.work.glob("records/*/*.parquet")):
            schema, batches = read_staged(path)
            result = lake.write(project, TableSchema.from_arrow(path.stem, schema), batches)
            counts[f"new {path.stem} rows"] += result.inserted
    return dict(counts)


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
