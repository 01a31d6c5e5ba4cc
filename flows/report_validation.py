"""Report validation: the gate that no report passes unless its de-identification was measured."""

from __future__ import annotations

from prefect import flow

from tasks.parameters import Answerable, LabelledSet, ProjectSlug
from tasks.stages import check_project
from tasks.validation import validate_reports


@flow(name="report-validation", flow_run_name="report-validation-{project}")
def report_validation(project: ProjectSlug, who: Answerable, labelled_set: LabelledSet = "") -> dict[str, float]:
    """Measure the de-identification of reports on labelled texts, and keep the record that the export asks for.

    Args:
        project: the project whose configuration is measured.
        who: who answers for the labels and the result.
        labelled_set: one set by name; empty: all in the project's folder of labelled sets.
    """
    check_project(project)
    return validate_reports(project, who, labelled_set)
