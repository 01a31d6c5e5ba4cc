"""Deliveries into requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import get_run_logger, task

from safelight.cohort.delivery import delivery_names, open_delivery
from safelight.cohort.ingest import ingest
from safelight.cohort.opt_out import read_opt_out_answer
from safelight.cohort.patient_record import read_patient_record
from safelight.cohort.view import read_view
from safelight.project import project_slugs
from tasks.parameters import profiles_folder
from tasks.policies import RETRYING
from tasks.sources import open_warehouse
from tasks.wiring import now, open_run

if TYPE_CHECKING:
    from safelight.cohort import Delivery
    from safelight.cohort.opt_out import OptOutAnswer
    from tasks.wiring import ProjectRun


@task(task_run_name="deliveries-{project}", **RETRYING)
def find_deliveries(project: str, delivery: str = "") -> list[str]:
    """Return the names of the deliveries in the cohort folder, or the one asked for."""
    with open_run(project) as run:
        if run.project.cohort.kind == "sql":
            return [run.project.cohort.requests]
        return delivery_names(run.cohort_folder, run.project.cohort.kind, only=delivery)


@task(task_run_name="ingest-{delivery}", **RETRYING)
def ingest_delivery(project: str, delivery: str) -> dict[str, int]:
    """Read one delivery, take out who opted out, and enter its requests. Returns counts by name."""
    with open_run(project) as run:
        report = ingest(
            _open(run, delivery),
            database=run.database,
            pseudonymizer=run.pseudonymizer,
            patients=read_patient_record(run.record_folder),
            opt_out=opt_out_answer(run),
        )
        for reason, count in report.set_aside.items():
            get_run_logger().warning("Delivery %s: %d rows set aside as %s.", delivery, count, reason)
        return report.counts()


def opt_out_answer(run: ProjectRun) -> OptOutAnswer | None:
    """Return who may be used; None where the approval exempts the project."""
    opt_out = run.project.cohort.opt_out
    if opt_out is None:
        return None
    return read_opt_out_answer(run.folder(opt_out.folder), max_age_days=opt_out.max_age_days, now=now())


def _open(run: ProjectRun, delivery: str) -> Delivery:
    cohort, project = run.project.cohort, run.project.slug
    if cohort.kind == "sql":
        with open_warehouse(cohort.warehouse) as warehouse:
            return read_view(warehouse, cohort.requests, project=project, generated=now())
    slugs = project_slugs(profiles_folder() / "projects")
    return open_delivery(run.cohort_folder / delivery, cohort.kind, project=project, projects=slugs)
