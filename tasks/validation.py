"""The gate of the reports: their de-identification is measured on labelled texts before any of them leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from safelight.errors import ConfigurationError
from safelight.reports.staging import configuration_of
from safelight.reports.validation import measured, require_validation, validate
from safelight.staging import read_staged
from tasks.policies import RETRYING
from tasks.reports import report_setup
from tasks.wiring import now, open_run

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from safelight.reports.validation import ValidationRecord
    from tasks.wiring import ProjectRun

_BY_ITSELF = "report stage (the project's file says again: on-change)"


@task(task_run_name="validate-{project}", **RETRYING)
def validate_reports(project: str, who: str, labelled_set: str = "") -> dict[str, float]:
    """Measure each labelled set with the project's present configuration, and keep the records. Returns the figures.

    Raises:
        ConfigurationError: there is no such set, or the figures do not reach the project's thresholds.
    """
    with open_run(project) as run:
        setup, records, thresholds = report_setup(run), _records(run), run.project.reports.thresholds
        for path in _labelled_sets(run, labelled_set):
            record = validate(path, setup=setup, who=who, at=now(), thresholds=thresholds)
            record.save(records)
            _show(project, path.stem, record)
        return _figures(require_validation(records, configuration=setup.fingerprint(), thresholds=thresholds))


@task(task_run_name="validated-{project}", **RETRYING)
def validate_changed_configuration(project: str) -> None:
    """Measure a configuration that was never measured, where the project lets the report stage do so."""
    with open_run(project) as run:
        policy = run.project.reports
        if not policy.include or policy.validation is None or policy.validation.again == "by-hand":
            return
        if measured(_records(run), report_setup(run).fingerprint()):
            return
    try:
        validate_reports.fn(project, _BY_ITSELF)
    except ConfigurationError as error:
        # The texts are still worth cleaning and counting; it is the export that lets none of them out.
        get_run_logger().error("Project %s: no report can leave. %s", project, error)


def cleared_notes(run: ProjectRun, counts: Counter[str]) -> Iterator[Path]:
    """Yield the staged notes that may leave; count and tell of those that may not, because nobody measured the rules."""
    for path in sorted(run.work.glob("notes/*.parquet")):
        schema, batches = read_staged(path)
        try:
            require_validation(
                _records(run), configuration=configuration_of(schema), thresholds=run.project.reports.thresholds
            )
        except ConfigurationError as error:
            counts["notes withheld (not validated)"] += sum(batch.num_rows for batch in batches)
            get_run_logger().error("Project %s: the notes of one delivery stay here. %s", run.project.slug, error)
        else:
            yield path


def _folder(run: ProjectRun) -> Path:
    validation = run.project.reports.validation
    if validation is None:
        raise ConfigurationError(
            f"Project '{run.project.slug}' has no labelled sets.", remedy="Give reports.validation in its file."
        )
    return run.writable(validation.folder)


def _records(run: ProjectRun) -> Path:
    return _folder(run) / "records"


def _labelled_sets(run: ProjectRun, name: str) -> list[Path]:
    there = sorted(_folder(run).glob("*.jsonl"))
    found = [path for path in there if path.stem == name] if name else there
    if not found:
        raise ConfigurationError(
            "The folder of labelled sets has none of that name." if name else "The folder of labelled sets is empty.",
            remedy="Put one there as <name>.jsonl: {id, text, spans, patient} a line.",
        )
    return found


def _figures(record: ValidationRecord) -> dict[str, float]:
    rates = ("recall_direct", "recall_all", "terms_kept", "words_kept")
    return {name: record.figures[name]["percent"] for name in rates} | {
        name: record.figures[name] for name in ("documents", "quarantined")
    }


def _show(project: str, labelled_set: str, record: ValidationRecord) -> None:
    rates = {"all labels": record.figures["recall_all"], **record.figures["labels"]}
    rows = [
        {"removed": name, "of": rate["total"], "percent": rate["percent"], "95 % from": rate["low"], "to": rate["high"]}
        for name, rate in rates.items()
    ]
    passed = "passed" if record.passed else f"did not pass: {'; '.join(record.failures)}"
    create_table_artifact(
        key=f"{project}-report-validation",
        table=rows,
        description=f"Project {project}, labelled set {labelled_set} ({record.set_sha256[:16]}), "
        f"configuration {record.configuration[:16]}: {passed}",
    )
    get_run_logger().info(
        "Project %s, set %s: %d texts, %d quarantined, %d leak; %s.",
        project,
        labelled_set,
        record.figures["documents"],
        record.figures["quarantined"],
        len(record.figures["missed"]),
        passed,
    )
