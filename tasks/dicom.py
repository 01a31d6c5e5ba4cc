"""Raw instances into de-identified ones, verified, or set aside with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task

from safelight.dicom import DeidEngine
from safelight.dicom.batch import deidentify_requests
from safelight.model import KnownIdentifiers
from tasks.pacs import raw_cache_of
from tasks.policies import LEASE, RETRYING
from tasks.reports import text_cleaner
from tasks.stages import by_name, worker_name
from tasks.wiring import open_run

if TYPE_CHECKING:
    from safelight.link import Request
    from tasks.wiring import ProjectRun


def known_identifiers(run: ProjectRun, request: Request) -> KnownIdentifiers:
    """Return what is known about a request's patient: the record, and the request's own identifiers."""
    record = run.database.patient(run.project.slug, request.mrn) or KnownIdentifiers(mrn=request.mrn)
    return record.model_copy(
        update={
            "mrn": request.mrn,
            "accession": request.accession_number or record.accession,
            "study_uid": request.located_study_uid or request.study_uid,
            "study_date": request.study_date or record.study_date,
        }
    )


def engine_of(run: ProjectRun) -> DeidEngine:
    """Return the engine with the project's profile; the text de-identifier is built only where a rule needs it."""
    rules = run.profile.dicom
    return DeidEngine(
        rules,
        run.pseudonymizer,
        shift_scope=run.project.deid.shift_scope,
        clean_text=text_cleaner(run),
    )


@task(task_run_name="deidentify-studies", **RETRYING)
def deidentify_studies(project: str, ids: list[int]) -> dict[str, int]:
    """De-identify the instances of these requests and verify what came out. Returns counts by state and reason."""
    with open_run(project) as run:
        counts = deidentify_requests(
            ids,
            database=run.database,
            engine=engine_of(run),
            filters=run.project.filters,
            cache_paths=raw_cache_of(run).paths,
            work=run.work / "studies",
            worker=worker_name(),
            lease=LEASE,
            known=lambda request: known_identifiers(run, request),
        )
        return by_name(project, counts)
