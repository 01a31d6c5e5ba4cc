"""DICOM de-identification: complete studies in the raw cache become verified, de-identified ones."""

from __future__ import annotations

from prefect import flow

from tasks.dicom import deidentify_studies
from tasks.parameters import BatchSize, ProjectSlug
from tasks.policies import BATCH
from tasks.stages import check_project, claim_requests, report_stage


@flow(name="dicom-deidentification", flow_run_name="dicom-deidentification-{project}")
def dicom_deidentification(project: ProjectSlug, batch_size: BatchSize = BATCH) -> dict[str, int]:
    """De-identify by the project's profile, and look for the patient's own identifiers in what came out.

    Args:
        project: the project whose retrieved studies are worked on.
        batch_size: requests a task works on at once.
    """
    check_project(project)
    done = []
    while ids := claim_requests(project, "deidentification", batch_size):
        done.append(deidentify_studies(project, ids))
    return report_stage(project, "deidentification", done)
