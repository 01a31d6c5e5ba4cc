"""Studies that modalities and archives send unasked: into the raw cache, into requests, and on."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from prefect import get_run_logger, task
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from blocks import DicomNode, StorageNode
from safelight.archive.push import Inbox, PushedStudy, PushReceiver
from safelight.cohort.ingest import ingest
from safelight.cohort.patient_record import read_patient_record
from safelight.cohort.push import patients_of, pushed_delivery
from safelight.errors import ConfigurationError, StudyRejected, TransientError
from safelight.model import Reason, RequestState
from tasks.cohort import opt_out_answer
from tasks.nodes import tls_from
from tasks.pacs import raw_cache_of
from tasks.policies import RETRYING
from tasks.stages import words
from tasks.wiring import load_block, now, open_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from prefect.client.schemas import FlowRun

    from safelight.archive.settings import Push
    from safelight.model import StudyRequest
    from tasks.wiring import ProjectRun

POLL_SECONDS: Final = 1.0
#: Until it is tried again when the disk is full or the link database is away.
TROUBLE_SECONDS: Final = 30.0


@task(task_run_name="listen-{project}", **RETRYING)
def receive_pushed(project: str, minutes: float) -> dict[str, int]:
    """Take what registered senders push, make requests of complete studies, and start the pipeline for them.

    Args:
        project: slug; its file says who may send.
        minutes: for how long; 0: until the flow run is cancelled.
    """
    total: Counter[str] = Counter()
    started: UUID | None = None
    end = time.monotonic() + (minutes * 60 or float("inf"))
    with open_run(project) as run, listening(run) as (push, inbox, receiver):
        while time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            # It may run for weeks.
            run.project.check_approval(now().date())
            try:
                counts = enter_complete(run, inbox, push.quiet_seconds)
            except TransientError as error:
                # What has arrived stays in the inbox.
                get_run_logger().warning("%s", error)
                time.sleep(TROUBLE_SECONDS)
                continue
            total.update(counts)
            if counts:
                get_run_logger().info("Project %s was sent: %s.", project, words(counts))
            if counts["requests"] and push.then:
                started = start_pipeline(project, push.then, before=started)
            _warn(receiver)
    return dict(total)


@contextmanager
def listening(run: ProjectRun) -> Iterator[tuple[Push, Inbox, PushReceiver]]:
    """Listen for the project's senders while the block runs."""
    push = run.project.push
    if push is None:
        raise ConfigurationError(
            f"Nobody may push studies of project '{run.project.slug}'.",
            remedy="Give its file a section 'push' with the receiver's and the senders' blocks.",
        )
    node = load_block(StorageNode, push.receiver)
    senders = [load_block(DicomNode, sender) for sender in push.senders]
    inbox = Inbox(raw_cache_of(run), run.project.slug)
    inbox.ask_again()
    tls = tls_from(node, push.receiver)
    receiver = PushReceiver(inbox, node.ae_title, node.host, node.port, senders, tls=tls)
    with receiver:
        get_run_logger().info("Listening as %s on port %d.", node.ae_title, receiver.port)
        yield push, inbox, receiver


def enter_complete(run: ProjectRun, inbox: Inbox, quiet_seconds: float) -> Counter[str]:
    """Make requests of the studies that are complete. Returns counts by name; safe to repeat after a kill."""
    complete = list(inbox.complete(quiet_seconds=quiet_seconds, now=now()))
    if not complete:
        return Counter()
    counts: Counter[str] = Counter()
    patients = patients_of((one.request(run.project.slug) for one in complete), read_patient_record(run.record_folder))
    kept: list[tuple[PushedStudy, StudyRequest]] = []
    for study in complete:
        # Without a record there is nothing to look for in its texts; and nobody could say whether it may be used.
        try:
            if study.mrn not in patients:
                raise StudyRejected(Reason.NO_PATIENT_RECORD)
            kept.append((study, wanted(run, study, late=inbox.keep(study))))
        except StudyRejected as rejected:
            inbox.set_aside(study)
            counts[f"set aside ({rejected.reason.value})"] += 1
    if kept:
        requests = [request for _, request in kept]
        delivery = pushed_delivery(requests, patients, project=run.project.slug, generated=now())
        report = ingest(
            delivery,
            database=run.database,
            pseudonymizer=run.pseudonymizer,
            patients=patients.values(),
            opt_out=opt_out_answer(run),
        )
        counts.update({name: count for name, count in report.counts().items() if count})
    for study, request in kept:
        _forget_opted_out(run, request)
        inbox.done(study)
    return counts


def wanted(run: ProjectRun, study: PushedStudy, *, late: bool) -> StudyRequest:
    """Return the request for a study, or for those series of it that had more to come after it went on."""
    whole = study.request(run.project.slug)
    known = run.database.known(whole)
    if not late or known is None or known.state in {RequestState.REQUESTED, RequestState.LOCATED}:
        return whole
    return study.request_for_series(run.project.slug)


def _forget_opted_out(run: ProjectRun, request: StudyRequest) -> None:
    """Keep no pixel of a patient who opted out, unless another project has use for the study."""
    entered = run.database.known(request)
    if entered is not None and entered.state is RequestState.OPTED_OUT:
        raw_cache_of(run).remove([request.study_uid])


def start_pipeline(project: str, deployment: str, *, before: UUID | None) -> UUID | None:
    """Start a deployment for the project, unless the one started before has not begun yet. Returns the flow run's id."""
    try:
        with get_client(sync_client=True) as client:
            if before is not None and client.read_flow_run(before).start_time is None:
                return before
        started = run_deployment(deployment, parameters={"projects": [project]}, timeout=0, as_subflow=False)
    except ObjectNotFound:
        get_run_logger().warning("There is no deployment '%s': the nightly batch will take these requests.", deployment)
        return before
    get_run_logger().info("Started %s.", deployment)
    return cast("FlowRun", started).id


def _warn(receiver: PushReceiver) -> None:
    refusals, receiver.refusals = receiver.refusals, Counter()
    for why, count in sorted(refusals.items()):
        get_run_logger().warning("Refused %d times: %s.", count, why)
