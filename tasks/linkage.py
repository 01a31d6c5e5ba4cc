"""Rows of the record under the images' keys and dates."""

from __future__ import annotations

from prefect import get_run_logger, task

from safelight.cohort.omop import SUMMARY, read_summary
from safelight.records.source import record_files
from safelight.records.tables import deidentify_table
from safelight.staging import write_staged
from tasks.policies import RETRYING
from tasks.reports import text_cleaner
from tasks.wiring import open_run


@task(task_run_name="records-of-{delivery}", **RETRYING)
def link_records(project: str, delivery: str) -> dict[str, int]:
    """Put the allow-listed columns of one delivery's public tables into the work folder. Returns counts by name."""
    counts: dict[str, int] = {}
    with open_run(project) as run:
        if run.project.cohort.kind == "csv":
            return {}  # a CSV file brings no record
        people = run.people()
        rules = run.profile.records
        files = record_files(run.cohort_folder / delivery)
        generated = read_summary(run.cohort_folder / delivery / SUMMARY)[0]
        for name in sorted(set(files) - set(rules.tables)):
            get_run_logger().info("Delivery %s: the profile lets nothing of table %s leave.", delivery, name)
        for name in sorted(set(files) & set(rules.tables)):
            table = deidentify_table(
                files[name],
                name,
                rules,
                run.pseudonymizer,
                mrn_of=people.get,
                generated=generated,
                clean_text=text_cleaner(run),
                known_of=lambda mrn: run.database.patient(project, mrn),
            )
            write_staged(run.work / "records" / delivery / f"{name}.parquet", table.schema, table)
            counts[f"{name} rows"] = table.counts.delivered
            for reason, count in table.counts.set_aside.items():
                counts[f"{name} rows set aside ({reason})"] = count
    return counts
