"""The gate opens for exactly the configuration that was measured, and for no damaged or failing record."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safelight.errors import ConfigurationError, ExtractInvalid
from safelight.reports.policy import Thresholds
from safelight.reports.validation import ValidationRecord, require_validation, validate
from safelight.reports.workers import Setup

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
EASY = Thresholds(documents=10)


@pytest.fixture
def record(labelled_file: Path, setup: Setup) -> ValidationRecord:
    """A measurement that passes."""
    return validate(labelled_file, setup=setup, who="IG lead", at=NOW, thresholds=EASY)


def test_a_passing_measurement_opens_the_gate(record: ValidationRecord, setup: Setup, tmp_path: Path) -> None:
    assert record.passed, record.failures
    assert record.figures["recall_direct"]["low"] < record.figures["recall_direct"]["percent"]
    for _ in range(2):
        record.save(tmp_path / "records")
    assert len(list((tmp_path / "records").iterdir())) == 1
    found = require_validation(tmp_path / "records", configuration=setup.fingerprint(), thresholds=EASY)
    assert found == record


def test_another_configuration_stays_out(record: ValidationRecord, setup: Setup, tmp_path: Path) -> None:
    record.save(tmp_path / "records")
    other = Setup(setup.site, ner=(), dates="redact")
    assert other.fingerprint() != setup.fingerprint()
    with pytest.raises(ConfigurationError, match="not validated with this configuration"):
        require_validation(tmp_path / "records", configuration=other.fingerprint(), thresholds=EASY)


def test_nothing_measured_stays_out(setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        require_validation(tmp_path / "none", configuration=setup.fingerprint(), thresholds=EASY)


def test_the_projects_thresholds_decide_now(record: ValidationRecord, tmp_path: Path) -> None:
    record.save(tmp_path)
    with pytest.raises(ConfigurationError, match="40 labelled texts; 5000 are wanted"):
        require_validation(tmp_path, configuration=record.configuration, thresholds=Thresholds(documents=5000))


def test_a_damaged_record_opens_nothing(record: ValidationRecord, tmp_path: Path) -> None:
    path = record.save(tmp_path)
    path.write_text(path.read_text()[:-40])
    with pytest.raises(ConfigurationError):
        require_validation(tmp_path, configuration=record.configuration, thresholds=EASY)


def test_the_newest_passing_record_counts(record: ValidationRecord, tmp_path: Path) -> None:
    later = record.model_copy(update={"at": NOW + timedelta(days=1), "set_sha256": "b" * 64})
    record.save(tmp_path)
    later.save(tmp_path)
    assert require_validation(tmp_path, configuration=record.configuration, thresholds=EASY).at == later.at


def test_too_little_is_not_a_pass(labelled_file: Path, setup: Setup) -> None:
    record = validate(labelled_file, setup=setup, who="x", at=NOW)
    assert record.failures == ("40 labelled texts; 100 are wanted",)


def test_labels_that_fit_no_text_are_refused(setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "labelled.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "SMITH", "spans": [{"start": 0, "end": 9, "label": "MRN"}]}) + "\n")
    with pytest.raises(ExtractInvalid, match="document 1 has no usable spans") as caught:
        validate(path, setup=setup, who="x", at=NOW)
    assert "SMITH" not in str(caught.value)


def test_a_patient_that_is_none_is_refused_without_being_quoted(setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "labelled.jsonl"
    line = {"id": "a", "text": "x", "spans": [], "patient": {"mrn": "MRN1", "dob": "SMITH"}}
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(ExtractInvalid, match="patient of document 1") as caught:
        validate(path, setup=setup, who="x", at=NOW)
    assert "SMITH" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
