"""Asks a person whether a prepared release may go, by a form in the Prefect UI.

The flow run is suspended meanwhile, not paused: it gives its place and its process back, so that neither other projects nor
a restart of the worker are in its way. It begins again when somebody has answered; every step before finds its work done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from prefect import get_run_logger, suspend_flow_run, task
from prefect.artifacts import create_markdown_artifact
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from pydantic import Field

from safelight.release.approval import exceeded
from safelight.release.batch import decide
from safelight.release.pending import Pending
from tasks.export import export_of
from tasks.policies import RETRYING
from tasks.wiring import open_run

if TYPE_CHECKING:
    from safelight.release.policy import ReleasePolicy

_DAY = 24 * 60 * 60


class ReleaseDecision(RunInput):
    """What the approver enters."""

    decision: Literal["approve", "refuse"] = Field(title="Decision", description="Refusing keeps everything as it is.")
    name: str = Field(title="Your name", description="It stands in the manifest.", min_length=2, max_length=100)
    reason: str = Field(
        title="Reason",
        description="Kept in the hospital's audit trail. Nothing about a patient, please.",
        min_length=2,
        max_length=500,
    )


def ask_for_approval(project: str) -> None:
    """Suspend this flow run until a person has decided on the prepared release, where one is needed.

    Not a task: only a flow run can be suspended. One that belongs to a batch, or to no deployment, can't; there the release
    stays prepared, and the deployment ``dataset-export`` asks.
    """
    form = release_form(project)
    if form is None or not deployment.id or flow_run.parent_flow_run_id:
        return
    release_id, description, days = form
    asked = ReleaseDecision.with_initial_data(description=description)
    # One question for each release: a run that begins again finds the answer by this key.
    answer = suspend_flow_run(wait_for_input=asked, key=release_id, timeout=days * _DAY)
    record_decision(project, release_id, answer.decision, answer.name, answer.reason)


@task(task_run_name="form-{project}", **RETRYING)
def release_form(project: str) -> tuple[str, str, int] | None:
    """Return id, description and days of the release that waits for a person, and show its datasheet; or None."""
    with open_run(project) as run:
        pending = Pending.find(run.work / "release")
        if pending is None or (pending.decision is not None and pending.decision.approved):
            return None
        create_markdown_artifact(
            key=f"{project}-release",
            markdown=f"{describe(project, pending, run.project.release)}\n\n{pending.datasheet}",
            description=f"Release {pending.release_id} of project {project}, before approval",
        )
        return pending.release_id, describe(project, pending, run.project.release), run.project.release.days_to_answer


@task(task_run_name="decide-{project}", **RETRYING)
def record_decision(project: str, release_id: str, decision: str, name: str, reason: str) -> None:
    """Write down what a person decided on exactly this release."""
    with open_run(project) as run:
        export = export_of(run)
        pending = Pending.find(export.pending)
        if pending is None or pending.release_id != release_id:
            get_run_logger().warning("Project %s: release %s is not prepared any more.", project, release_id)
            return
        if pending.decision is None or not pending.decision.approved:
            decide(export, pending, approved=decision == "approve", by=name.strip(), reason=reason.strip())


def describe(project: str, pending: Pending, policy: ReleasePolicy) -> str:
    """Return what the approver reads above the form, in Markdown: counts and reasons, no identifiers."""
    why = "".join(f"- {reason}\n" for reason in exceeded(policy, pending.counts)) or "- it was refused before\n"
    counts = "".join(f"| {name.replace('_', ' ')} | {count:,} |\n" for name, count in sorted(pending.counts.items()))
    before = ""
    if pending.decision is not None:
        before = f"\nRefused by {pending.decision.by}: {pending.decision.reason}\n"
    return (
        f"## Release of project {project}\n\n`{pending.release_id}`: nothing of it has left.\n{before}\n"
        f"**It needs a person because**\n\n{why}\n| | |\n|---|---|\n{counts}\n"
        f"The datasheet is the artifact `{project}-release`; small cells, which identify, are in the file "
        "`release/governance.md` of the project's work folder."
    )
