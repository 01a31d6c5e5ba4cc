"""Dataset export: verified data goes to the lake and the DICOM destinations, with a release manifest."""

from __future__ import annotations

from prefect import flow

from tasks.export import export_dataset, tidy_work_folder, write_tables
from tasks.parameters import ProjectSlug
from tasks.stages import check_project, report_stage


@flow(name="dataset-export", flow_run_name="dataset-export-{project}")
def dataset_export(project: ProjectSlug) -> dict[str, int]:
    """Write the tables, send the DICOM, and record what left in a manifest. Nothing is delivered twice.

    Args:
        project: the project whose verified data is exported.
    """
    check_project(project)
    return report_stage(project, "export", [write_tables(project), export_dataset(project), tidy_work_folder(project)])
