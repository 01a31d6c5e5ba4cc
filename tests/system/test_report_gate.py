"""No report leaves before its de-identification was measured, with exactly the configuration that it went through."""

from __future__ import annotations

import json

import pytest

from deployments.demo import PROJECT
from flows.cohort_ingest import cohort_ingest
from flows.dataset_export import dataset_export
from flows.report_deidentification import report_deidentification
from flows.report_validation import report_validation
from safelight.errors import ConfigurationError
from safelight.release.lake import Lake
from tests.system.conftest import Site

pytestmark = pytest.mark.usefixtures("prefect_server")
WITHHELD = "notes withheld (not validated)"


def notes(site: Site) -> int:
    lake = Lake(str(site.folder / "lake"), {})
    return int(lake.read(PROJECT, "note", ["note_id"]).num_rows) if lake.open(PROJECT, "note") else 0


def test_reports_leave_when_they_were_measured_and_not_before(site: Site) -> None:
    labelled = site.folder / "report-validation" / "labelled.jsonl"
    texts = labelled.read_text(encoding="utf-8")
    labelled.unlink()
    cohort_ingest(PROJECT)
    released = report_deidentification(PROJECT)["notes released"]
    for _ in range(2):
        assert dataset_export(PROJECT)[WITHHELD] == released > 0
        assert notes(site) == 0

    # Somebody labelled a word that no rule can know: measured, recorded, and not good enough.
    lines = [json.loads(line) for line in texts.splitlines()]
    for line in lines:
        at = line["keep"][0] if line["keep"] else {"start": 0, "end": 2}
        line["spans"].append({"start": at["start"], "end": at["end"], "label": "PATIENT_NAME"})
    labelled.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="did not pass: recall_direct is"):
        report_validation(PROJECT, "IG lead")
    assert dataset_export(PROJECT)[WITHHELD] == released
    (failed,) = (labelled.parent / "records").glob("*.json")
    failed.unlink()

    labelled.write_text(texts, encoding="utf-8")
    figures = [report_validation(PROJECT, "IG lead", "labelled") for _ in range(2)]
    assert figures[0] == figures[1]
    assert figures[0]["recall_direct"] >= 99
    assert len(list((labelled.parent / "records").glob("*.json"))) == 1
    exported = dataset_export(PROJECT)
    assert exported.get(WITHHELD, 0) == 0
    assert notes(site) == released


def test_a_changed_configuration_is_measured_again_by_itself_where_the_project_says_so(site: Site) -> None:
    cohort_ingest(PROJECT)
    records = site.folder / "report-validation" / "records"
    report_deidentification(PROJECT)
    assert len(list(records.glob("*.json"))) == 1
    report_deidentification(PROJECT)
    assert len(list(records.glob("*.json"))) == 1
    assert WITHHELD not in dataset_export(PROJECT)
    assert notes(site) > 0


def test_a_set_that_is_not_there_is_asked_for(site: Site) -> None:
    with pytest.raises(ConfigurationError, match="none of that name"):
        report_validation(PROJECT, "IG lead", "another")
