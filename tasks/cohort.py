"""Deliveries into requests."""

from __future__ import annotations

from prefect import get_run_logger, task

from safelight.cohort.delivery import delivery_names, open_delivery
from safelight.cohort.ingest import ingest
from safelight.cohort.opt_out import read_opt_out_answer
from safelight.cohort.patient_record import read_patient_record
from safelight.project import project_slugs
from tasks.parameters import profiles_folder
from tasks.policies import RETRYING
from tasks.wiring import now, open_run


@task(task_run_name="deliveries-{project}", **RETRYING)
def find_deliveries(project: str, delivery: str = "") -> list[str]:
    """Return the names of the deliveries in the cohort folder, or the one asked for."""
    with open_run(project) as run:
        return delivery_names(run.cohort_folder, run.project.cohort.kind, only=delivery)


@task(task_run_name="ingest-{delivery}", **RETRYING)
def ingest_delivery(project: str, delivery: str) -> dict[str, int]:
    """Read one delivery, take out who opted out, and enter its requests. Returns counts by name."""
    with open_run(project) as run:
        opt_out = run.project.cohort.opt_out
        answer = (
            read_opt_out_answer(run.folder(opt_out.folder), max_age_days=opt_out.max_age_days, now=now())
            if opt_out
            else None
        )
        report = ingest(
            open_delivery(
                run.cohort_folder / delivery,
                run.project.cohort.kind,
                project=project,
                projects=project_slugs(profiles_folder() / "projects"),
            ),
            database=run.database,
            pseudonymizer=run.pseudonymizer,
            patients=read_patient_record(run.record_folder),
            opt_out=answer,
        )
        for reason, count in report.set_aside.items():
            get_run_logger().warning("Delivery %s: %d rows set aside as %s.", delivery, count, reason)
        return report.counts()
