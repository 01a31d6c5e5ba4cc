"""PACS retrieval: requests become complete studies in the raw cache."""

from __future__ import annotations

from prefect import flow

from tasks.pacs import check_archives, need_archives, retrieve_studies
from tasks.parameters import AskAgain, BatchSize, ProjectSlug
from tasks.policies import BATCH
from tasks.stages import ask_again, check_project, claim_requests, report_stage


@flow(name="pacs-retrieval", flow_run_name="pacs-retrieval-{project}")
def pacs_retrieval(project: ProjectSlug, batch_size: BatchSize = BATCH, again: AskAgain = ()) -> dict[str, int]:
    """Find each study in the project's archives and fetch what the raw cache lacks, within the archives' budgets.

    Args:
        project: the project whose requests are worked on.
        batch_size: requests a task works on at once.
        again: set-aside requests to start over first.
    """
    check_project(project)
    away = check_archives(project)
    ask_again(project, again)
    done = []
    while ids := claim_requests(project, "retrieval", batch_size):
        done.append(retrieve_studies(project, ids))
    counts = report_stage(project, "retrieval", done)
    need_archives(away, counts)
    return counts
