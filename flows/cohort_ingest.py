"""Cohort ingest: deliveries of a project become requests."""

from __future__ import annotations

from prefect import flow

from tasks.cohort import find_deliveries, ingest_delivery
from tasks.parameters import DeliveryName, ProjectSlug
from tasks.stages import check_project, report_stage


@flow(name="cohort-ingest", flow_run_name="cohort-ingest-{project}")
def cohort_ingest(project: ProjectSlug, delivery: DeliveryName = "") -> dict[str, int]:
    """Read OMOP-ES extracts, CSV files or a view, take out who opted out, issue pseudonyms.

    Args:
        project: the project whose cohort folder is read.
        delivery: one delivery by name; empty reads all, and what is known already changes nothing.
    """
    check_project(project)
    return report_stage(project, "ingest", [ingest_delivery(project, name) for name in find_deliveries(project, delivery)])
