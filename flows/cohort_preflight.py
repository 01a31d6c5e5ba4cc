"""Cohort pre-flight: what retrieving the waiting requests would bring and take."""

from __future__ import annotations

from prefect import flow

from tasks.pacs import check_archives, need_archives
from tasks.parameters import LookedAt, ProjectSlug
from tasks.preflight import look_for_studies
from tasks.stages import check_project


@flow(name="cohort-preflight", flow_run_name="cohort-preflight-{project}")
def cohort_preflight(project: ProjectSlug, at_most: LookedAt = 1000) -> dict[str, int]:
    """Ask the archives for each waiting request's study, within their budgets. No image moves and no request changes.

    Args:
        project: the project whose requests are looked for.
        at_most: so many requests are looked at, spread evenly; the expected end is that of all.
    """
    check_project(project)
    need_archives(check_archives(project), {})
    return look_for_studies(project, at_most)
