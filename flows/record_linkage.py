"""Record linkage: rows of the record get the same key and date shift as the images."""

from __future__ import annotations

from prefect import flow

from tasks.linkage import find_record_sources, link_records
from tasks.parameters import ProjectSlug
from tasks.stages import check_project, report_stage


@flow(name="record-linkage", flow_run_name="record-linkage-{project}")
def record_linkage(project: ProjectSlug) -> dict[str, int]:
    """Take the allow-listed columns of the project's record tables, for patients of the cohort.

    Args:
        project: the project whose deliveries, files and warehouses are read.
    """
    check_project(project)
    return report_stage(project, "linkage", [link_records(project, name) for name in find_record_sources(project)])
