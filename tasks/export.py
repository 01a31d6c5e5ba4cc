"""Verified data to the lake and the destinations: prepared and verified, decided on, sent under a signed manifest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prefect import get_run_logger, task

import safelight
from safelight.linkage.images import image_rows
from safelight.linkage.outcomes import outcome_row
from safelight.release.batch import prepare_to_send
from safelight.release.export import Export, StagedTable
from safelight.release.inspection import known_patients
from safelight.release.manifest import Terms
from safelight.release.retention import tidy_work
from safelight.release.sending import send
from tasks.destinations import destinations_of, lake_of, parquet_destinations_of
from tasks.policies import LEASE, RETRYING
from tasks.stages import by_name, worker_name
from tasks.validation import cleared_notes
from tasks.wiring import now, open_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.wiring import ProjectRun


def staged_tables(run: ProjectRun, counts: Counter[str]) -> list[StagedTable]:
    """Return what the stages before left for the lake: the one place where notes and record rows enter a release."""
    notes = [StagedTable("note", f"notes/{path.stem}", path) for path in cleared_notes(run, counts)]
    records = sorted(run.work.glob("records/*/*.parquet"))
    return notes + [StagedTable(path.stem, f"records/{path.parent.name}/{path.stem}", path) for path in records]


def export_of(run: ProjectRun, tables: Sequence[StagedTable] = ()) -> Export:
    """Return what preparing and sending need of this project."""
    return Export(
        project=run.project.slug,
        database=run.database,
        lake=lake_of(run),
        destinations=destinations_of(run),
        terms=Terms(run.profile.name, run.profile.fingerprint(), run.project.fingerprint(), safelight.__version__),
        policy=run.project.release,
        key=run.signing_key,
        verifier=lambda: known_patients(
            run.database, run.project.slug, lambda person_id: run.pseudonymizer.secure_hash(person_id, "person")
        ),
        images=lambda request, files: image_rows(files, request, run.pseudonymizer),
        outcome=lambda request, instances: outcome_row(request, instances, run.pseudonymizer),
        work=run.work / "studies",
        pending=run.work / "release",
        manifests=run.work / "manifests",
        clock=now,
        worker=worker_name(),
        lease=LEASE,
        tables=tables,
        title=run.project.title,
        record_tables=sorted(run.profile.records.tables),
        parquet=parquet_destinations_of(run),
    )


@task(task_run_name="prepare-{project}", **RETRYING)
def prepare_release(project: str) -> dict[str, int]:
    """Freeze and verify what will leave, and let it go where the project's limits do. Returns counts by name."""
    counts: Counter[str] = Counter()
    with open_run(project) as run:
        prepared = prepare_to_send(export_of(run, staged_tables(run, counts)))
        if prepared.pending is not None:
            release = prepared.pending.release_id
            get_run_logger().info("Project %s: release %s is prepared and verified.", project, release)
            for reason in prepared.reasons:
                get_run_logger().warning("Project %s: release %s needs a person's approval: %s.", project, release, reason)
        return by_name(project, prepared.counts) | dict(counts)


@task(task_run_name="send-{project}", **RETRYING)
def send_release(project: str) -> dict[str, int]:
    """Send the prepared release, if it was approved. Returns counts by name."""
    with open_run(project) as run:
        result = send(export_of(run))
        for destination, count in result.refused.items():
            get_run_logger().warning("Destination %s refused %d instances.", destination, count)
        if result.waiting:
            get_run_logger().warning("Project %s: %s. Start 'dataset-export' to decide.", project, result.waiting)
            return {"releases awaiting approval": 1}
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
