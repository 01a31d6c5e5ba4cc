"""Cohort ingest: deliveries of a project become requests."""

from __future__ import annotations

from prefect import flow

from tasks.cohort import find_deliveries, ingest_delivery
from tasks.pacs import check_archives, need_archives
from tasks.parameters import DeliveryName, LookedAt, PreflightToo, ProjectSlug
from tasks.preflight import look_for_studies
from tasks.stages import check_project, report_stage


@flow(name="cohort-ingest", flow_run_name="cohort-ingest-{project}")
def cohort_ingest(
    project: ProjectSlug, delivery: DeliveryName = "", preflight: PreflightToo = False, at_most: LookedAt = 1000
) -> dict[str, int]:
    """Read OMOP-ES extracts, CSV files or a view, take out who opted out, issue pseudonyms.

    Args:
        project: the project whose cohort folder is read.
        delivery: one delivery by name; empty reads all, and what is known already changes nothing.
        preflight: look for the waiting requests' studies afterwards, as 'cohort-preflight' does; no image moves.
        at_most: so many requests are looked at in that.
    """
    check_project(project)
    done = [ingest_delivery(project, name) for name in find_deliveries(project, delivery)]
    counts = report_stage(project, "ingest", done)
    if preflight:
        need_archives(check_archives(project), {})
        look_for_studies(project, at_most)
    return counts
