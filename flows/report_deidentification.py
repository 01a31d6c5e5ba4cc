"""Report de-identification: reports and notes of the project's deliveries, cleaned and checked."""

from __future__ import annotations

from prefect import flow

from tasks.linkage import find_record_sources
from tasks.parameters import ProjectSlug
from tasks.reports import deidentify_delivery_reports
from tasks.stages import check_project, report_stage
from tasks.validation import validate_changed_configuration


@flow(name="report-deidentification", flow_run_name="report-deidentification-{project}")
def report_deidentification(project: ProjectSlug) -> dict[str, int]:
    """De-identify the reports of patients in the cohort; a text that still identifies is quarantined.

    Args:
        project: the project whose deliveries are read.
    """
    check_project(project)
    validate_changed_configuration(project)
    return report_stage(
        project, "reports", [deidentify_delivery_reports(project, name) for name in find_record_sources(project)]
    )
