"""Rows of the record under the images' keys and dates."""

from __future__ import annotations

from prefect import get_run_logger, task

from safelight.records.tables import deidentify_table
from safelight.staging import write_staged
from tasks.policies import RETRYING
from tasks.reports import text_cleaner
from tasks.sources import open_source, source_names
from tasks.wiring import open_run


@task(task_run_name="sources-{project}", **RETRYING)
def find_record_sources(project: str) -> list[str]:
    """Return the names of the deliveries and other places that records and notes come from."""
    with open_run(project) as run:
        return source_names(run)


@task(task_run_name="records-of-{source}", **RETRYING)
def link_records(project: str, source: str) -> dict[str, int]:
    """Put the allow-listed columns of one source's tables into the work folder. Returns counts by name."""
    counts: dict[str, int] = {}
    with open_run(project) as run, open_source(run, source) as found:
        people = run.people()
        rules = run.profile.records
        tables = set(found.tables) - {"note"}
        for name in sorted(tables - set(rules.tables)):
            get_run_logger().info("Source %s: the profile lets nothing of table %s leave.", source, name)
        for name in sorted(tables & set(rules.tables)):
            table = deidentify_table(
                found.tables[name],
                name,
                rules,
                run.pseudonymizer,
                mrn_of=people.get,
                generated=found.generated,
                clean_text=text_cleaner(run),
                known_of=lambda mrn: run.database.patient(project, mrn),
            )
            write_staged(run.work / "records" / source / f"{name}.parquet", table.schema, table)
            counts[f"{name} rows"] = table.counts.delivered
            for reason, count in table.counts.set_aside.items():
                counts[f"{name} rows set aside ({reason})"] = count
    return counts
