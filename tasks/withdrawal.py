"""Patients who do not take part any more: their data comes back from wherever it went."""

from __future__ import annotations

from prefect import get_run_logger, task

from safelight.archive import RawCache
from safelight.errors import ConfigurationError
from safelight.linkage.outcomes import outcome_row
from safelight.release.schemas import TABLES
from safelight.release.withdrawal import Withdrawal, take_back
from tasks.destinations import destinations_of, lake_of, parquet_destinations_of
from tasks.policies import RETRYING
from tasks.stages import worker_name
from tasks.wiring import now, open_run


@task(task_run_name="withdraw-{project}", **RETRYING)
def withdraw_patient(project: str, pseudonym: str) -> dict[str, int]:
    """Withdraw, for good, the patient behind a pseudonym; none: nobody. Audited. Returns counts by name."""
    if not pseudonym:
        return {}
    with open_run(project, approved=False) as run:
        found = run.database.trace(project, pseudonym, actor=worker_name())
        if not found:
            raise ConfigurationError(
                "Nothing of this project has this pseudonym.", remedy="Check it, and that the project is the right one."
            )
        mrns = {request.mrn for request in found}
        if len(mrns) > 1:
            raise ConfigurationError(
                "This pseudonym is of several patients.", remedy="Give a pseudonym of the patient, not of a study."
            )
        moved = run.database.withdraw_patient(project, mrns.pop(), actor=worker_name())
    return {"requests withdrawn": moved}


@task(task_run_name="take-back-{project}", **RETRYING)
def take_back_data(project: str) -> dict[str, int]:
    """Take back what left of everybody who opted out or withdrew since the last time. Returns counts by name."""
    with open_run(project, approved=False) as run:
        # Another key would find nobody, and look as if nothing was left.
        run.database.check_key(project, run.pseudonymizer)
        cache = RawCache(run.writable(run.project.site.raw_cache), run.database)
        result = take_back(
            Withdrawal(
                project=project,
                database=run.database,
                pseudonymizer=run.pseudonymizer,
                lake=lake_of(run),
                tables=sorted({*TABLES, *run.profile.records.tables}),
                destinations=destinations_of(run),
                parquet=parquet_destinations_of(run),
                outcome=lambda request, instances: outcome_row(request, instances, run.pseudonymizer),
                work=run.work,
                studies=run.work / "studies",
                staged=sorted([*run.work.glob("notes/*.parquet"), *run.work.glob("records/*/*.parquet")]),
                prepared=[run.work / "release", run.work / "parquet"],
                forget_raw=cache.remove,
                clock=now,
                actor=worker_name(),
            )
        )
        for name, items in sorted(result.left.items()):
            get_run_logger().warning(
                "Destination %s still has %d items; the work folder's 'withdrawals' lists them.", name, len(items)
            )
        return result.counts() if result.requests else {}
