"""Nightly batch: every stage for every due project. A stage that was cut off goes on where it was."""

from __future__ import annotations

from prefect import flow

from flows.cohort_ingest import cohort_ingest
from flows.dataset_export import dataset_export
from flows.dicom_deidentification import dicom_deidentification
from flows.pacs_retrieval import pacs_retrieval
from flows.record_linkage import record_linkage
from flows.report_deidentification import report_deidentification
from tasks.outcomes import due_projects, finish_batch, run_stages, summarise_project
from tasks.parameters import ProjectSlugs

STAGES = (
    cohort_ingest,
    pacs_retrieval,
    dicom_deidentification,
    report_deidentification,
    record_linkage,
    dataset_export,
)


@flow(name="nightly-batch")
def nightly_batch(projects: ProjectSlugs = ()) -> dict[str, dict[str, int]]:
    """Run all stages for the projects, one project after the other; one that fails does not stop the next.

    Args:
        projects: the projects to run; none chosen: every project whose approval is in force.
    """
    stopped = {slug: run_stages(slug, STAGES) for slug in due_projects(list(projects))}
    return finish_batch(stopped, {slug: summarise_project(slug) for slug, why in stopped.items() if not why})
