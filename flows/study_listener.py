"""Study listener: studies that modalities and archives push become requests, and go through the pipeline."""

from __future__ import annotations

from prefect import flow

from tasks.parameters import ListenMinutes, ProjectSlug
from tasks.push import receive_pushed
from tasks.stages import check_project, report_stage


@flow(name="study-listener", flow_run_name="study-listener-{project}")
def study_listener(project: ProjectSlug, minutes: ListenMinutes = 0) -> dict[str, int]:
    """Listen for the project's registered senders. A study is complete when nothing more of it came for a while.

    Args:
        project: the project that the studies are for; its file says who may send, and to which of our nodes.
        minutes: how long to listen; 0 until the run is cancelled.
    """
    check_project(project)
    return report_stage(project, "push", [receive_pushed(project, minutes)])
