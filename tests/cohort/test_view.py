"""Cohorts as a view of a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from safelight.cohort.settings import CohortSource
from safelight.cohort.view import read_view
from safelight.errors import ExtractInvalid
from safelight.model import Reason, StudyRequest
from safelight.warehouse import Warehouse
from tests.cohort.conftest import CANARY, PROJECT
from tests.services.postgresql import execute

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def warehouse(postgresql_url: str, tmp_path: Path) -> Iterator[Warehouse]:
    found = Warehouse(postgresql_url, queries=tmp_path)
    yield found
    found.close()


def test_each_row_is_a_request_or_set_aside(postgresql_url: str, warehouse: Warehouse) -> None:
    execute(
        postgresql_url,
        'CREATE TABLE cohort (procedure_id bigint, "MRN" text, accession_number text, study_uid text, study_date date,'
        " person_id bigint, series_uid text, consultant text)",
        f"INSERT INTO cohort VALUES (11, '{CANARY}M1', '007', '1.2.3', '2020-01-02', 4, '1.2.3.4', 'x'),"
        f" (11, '{CANARY}M1', '007', '1.2.3', '2020-01-02', 4, '1.2.3.4', 'y'),"
        f" (12, '{CANARY}M2', NULL, NULL, '2020-01-02', 5, NULL, 'x'),"
        f" (13, '{CANARY}M*', 'A', NULL, NULL, 5, NULL, 'x')",
    )
    delivery = read_view(warehouse, "cohort", project=PROJECT, generated=NOW)
    assert delivery.requests == (
        StudyRequest(PROJECT, f"{CANARY}M1", "007", "1.2.3", date(2020, 1, 2), 11, "4", "", ("1.2.3.4",), line=1),
    )
    assert delivery.reasons() == {
        Reason.BAD_VALUE: 1,
        Reason.DUPLICATE_ROW: 1,
        Reason.MISSING_IDENTIFIER: 1,
    }
    assert (delivery.info.generated, delivery.info.layout) == (NOW, "sql")
    assert CANARY not in repr(delivery)
    # A row that comes in another place is no other cohort; a row that differs is.
    same = "CREATE VIEW again AS SELECT * FROM cohort ORDER BY procedure_id DESC, consultant DESC"
    execute(postgresql_url, same, "CREATE VIEW less AS SELECT * FROM cohort WHERE procedure_id > 11")
    again = read_view(warehouse, "again", project=PROJECT, generated=NOW).info.sha256
    assert again == delivery.info.sha256 != read_view(warehouse, "less", project=PROJECT, generated=NOW).info.sha256


def test_a_view_that_lacks_a_column_is_refused(postgresql_url: str, warehouse: Warehouse) -> None:
    execute(postgresql_url, "CREATE VIEW odd AS SELECT 1 AS procedure_id, 'm' AS mrn")
    with pytest.raises(ExtractInvalid, match="no column accession_number, study_uid, study_date"):
        read_view(warehouse, "odd", project=PROJECT, generated=NOW)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "sql", "folder": "f", "warehouse": "w", "requests": "v"},
        {"kind": "sql", "requests": "v"},
        {"kind": "sql", "warehouse": "w", "requests": "v; DROP TABLE v"},
        {"kind": "csv"},
        {"kind": "csv", "folder": "f", "warehouse": "w"},
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        CohortSource.model_validate({**settings, "patient_record": "p", "opt_out": None})
