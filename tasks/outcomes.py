"""The batch as a whole: which projects are due, how each stage ended, and whether everything is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from safelight.errors import ApprovalExpired, IntegrityError, PermanentError, SafelightError
from safelight.project import load_project, project_slugs
from tasks.parameters import profiles_folder
from tasks.policies import RETRYING
from tasks.stages import words
from tasks.wiring import now, open_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect import Flow


@task(**RETRYING)
def due_projects(asked: list[str]) -> list[str]:
    """Return the projects to run: those asked for, or all whose approval is in force."""
    folder = profiles_folder() / "projects"
    due = []
    for slug in asked or project_slugs(folder):
        try:
            load_project(folder, slug).check_approval(now().date())
        except ApprovalExpired as error:
            if asked:
                raise
            get_run_logger().warning("%s", error)
        else:
            due.append(slug)
    return due


def run_stages(project: str, stages: Sequence[Flow[..., Any]]) -> str:
    """Run the stages of one project as flow runs. Returns the error's code and words, or nothing.

    Not a task: the stages are flow runs of their own, with their own retries.
    """
    for stage in stages:
        try:
            stage(project)
        except SafelightError as error:
            get_run_logger().error("Project %s stopped in %s: %s", project, stage.name, error)
            return f"{stage.name}: {error}"
    return ""


@task(task_run_name="summarise-{project}", **RETRYING)
def summarise_project(project: str) -> dict[str, int]:
    """Return where the project's requests are, checked: requested = the sum of all outcomes."""
    with open_run(project) as run:
        summary = run.database.summary(project)
    if summary.requested != sum(summary.outcomes.values()):
        raise IntegrityError(
            f"Project '{project}' has {summary.requested} requests and {sum(summary.outcomes.values())} outcomes.",
            remedy="Stop the project and restore the link database: rows were changed from outside.",
        )
    rows: list[dict[str, Any]] = [{"outcome": "requested", "reason": "", "requests": summary.requested}]
    for state, count in sorted(summary.outcomes.items()):
        reasons = summary.reasons.get(state, {})
        rows += [{"outcome": state, "reason": reason, "requests": n} for reason, n in sorted(reasons.items())]
        if count > sum(reasons.values()):
            rows.append({"outcome": state, "reason": "", "requests": count - sum(reasons.values())})
    create_table_artifact(key=f"{project}-outcomes", table=rows, description=f"Requests of project {project}")
    get_run_logger().info("Project %s: %d requested, %s.", project, summary.requested, words(summary.outcomes))
    return {"requested": summary.requested, **summary.outcomes}


def finish_batch(stopped: dict[str, str], summaries: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Return the summaries, or fail the batch with what stopped each project."""
    reasons = [f"{slug} ({why})" for slug, why in stopped.items() if why]
    if reasons:
        raise PermanentError(f"{len(reasons)} of {len(stopped)} projects stopped: {'; '.join(reasons)}")
    return summaries
