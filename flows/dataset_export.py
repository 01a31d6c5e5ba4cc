"""Dataset export: verified data goes to the lake and the destinations, once somebody let it, with a signed manifest."""

from __future__ import annotations

from prefect import flow

from tasks.approval import ask_for_approval
from tasks.export import prepare_release, send_release, tidy_work_folder
from tasks.parameters import ProjectSlug
from tasks.stages import check_project, report_stage


@flow(name="dataset-export", flow_run_name="dataset-export-{project}")
def dataset_export(project: ProjectSlug) -> dict[str, int]:
    """Prepare and verify a release, ask a person where the project wants one asked, and send it if it may go.

    Args:
        project: the project whose verified data is exported.
    """
    check_project(project)
    prepared = prepare_release(project)
    ask_for_approval(project)
    return report_stage(project, "export", [prepared, send_release(project), tidy_work_folder(project)])
