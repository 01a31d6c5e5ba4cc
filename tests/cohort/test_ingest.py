"""A delivery into the link database: opt-outs out, everything accounted for, twice the same as once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from safelight.cohort import delivery_names, open_delivery, read_csv, read_omop_es
from safelight.cohort.ingest import IngestReport, ingest
from safelight.cohort.opt_out import OptOutAnswer
from safelight.errors import ExtractInvalid
from safelight.link import LinkDatabase
from safelight.model import KnownIdentifiers, RequestState
from safelight.pseudonym import ProjectKey, Pseudonymizer
from tests.cohort.conftest import CANARY, PROJECT, Extract, csv_row

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
KEY = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
RECORD = (
    KnownIdentifiers(mrn=f"{CANARY}M1", nhs_number="943 476 5919", surname=CANARY),
    KnownIdentifiers(mrn="0002", nhs_number="9990000026"),
    KnownIdentifiers(mrn="not in the cohort", nhs_number="9990000018"),
)


def allowing(*numbers: str) -> OptOutAnswer:
    return OptOutAnswer("a.dat", NOW - timedelta(hours=1), "c" * 64, frozenset(numbers))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[LinkDatabase]:
    database = LinkDatabase(f"sqlite:///{tmp_path / 'link.sqlite'}", clock=lambda: NOW)
    database.migrate()
    yield database
    database.close()


def run(database: LinkDatabase, delivery: Any, answer: OptOutAnswer | None, record: Any = RECORD) -> IngestReport:
    return ingest(delivery, database=database, pseudonymizer=KEY, patients=iter(record), opt_out=answer)


def states(database: LinkDatabase) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for request in database.find(PROJECT, list(RequestState)):
        found.setdefault(request.state.value, set()).add(request.mrn)
    return found


def test_who_may_be_used_is_asked_for(database: LinkDatabase, extract: Extract) -> None:
    delivery = read_omop_es(extract.folder, project=PROJECT)
    both = allowing("9434765919", "9990000026")
    first = run(database, delivery, both)
    assert (first.rows, first.new, first.known, first.opted_out, first.patients) == (3, 3, 0, 0, 2)
    second = run(database, delivery, both)
    assert (second.rows, second.new, second.known, second.opted_out) == (3, 0, 3, 0)
    assert states(database) == {"requested": {f"{CANARY}M1", "0002"}}
    patient = database.patient(PROJECT, f"{CANARY}M1")
    assert patient is not None
    assert (patient.surname, patient.person_id) == (CANARY, "1")
    assert database.patient(PROJECT, "not in the cohort") is None
    assert CANARY not in f"{first} {first.counts()}"


def test_who_is_not_on_the_answer_is_excluded_and_not_kept(database: LinkDatabase, extract: Extract) -> None:
    report = run(database, read_omop_es(extract.folder, project=PROJECT), allowing("9990000026"))
    assert (report.new, report.opted_out) == (3, 2)
    assert states(database) == {"opted_out": {f"{CANARY}M1"}, "requested": {"0002"}}
    assert database.summary(PROJECT).reasons == {"opted_out": {"not_on_opt_out_list": 2}}
    assert database.patient(PROJECT, f"{CANARY}M1") is None


def test_who_can_not_be_looked_up_is_excluded(database: LinkDatabase, extract: Extract) -> None:
    record = [KnownIdentifiers(mrn="0002")]
    report = run(database, read_omop_es(extract.folder, project=PROJECT), allowing("9434765919"), record)
    assert (report.opted_out, report.without_record) == (3, 1)
    assert database.summary(PROJECT).reasons == {"opted_out": {"no_nhs_number": 3}}


def test_a_later_answer_changes_what_was_decided(database: LinkDatabase, extract: Extract) -> None:
    delivery = read_omop_es(extract.folder, project=PROJECT)
    run(database, delivery, allowing("9434765919", "9990000026"))
    run(database, delivery, allowing("9990000026"))
    assert states(database) == {"opted_out": {f"{CANARY}M1"}, "requested": {"0002"}}
    run(database, delivery, allowing("9434765919"))
    assert states(database) == {"opted_out": {"0002"}, "requested": {f"{CANARY}M1"}}


def test_a_project_that_is_exempt_asks_for_all(database: LinkDatabase, extract: Extract) -> None:
    report = run(database, read_omop_es(extract.folder, project=PROJECT), None)
    assert (report.new, report.opted_out) == (3, 0)


def test_every_row_is_accounted_for(database: LinkDatabase, csv_file: Any) -> None:
    path = csv_file(
        csv_row(mrn="0002"),
        csv_row(mrn="0002"),
        csv_row(mrn=""),
        csv_row(study_date="x"),
        csv_row(project_name="other"),
    )
    delivery = read_csv(path, project=PROJECT, projects=[PROJECT, "other"])
    for known in (0, 1):
        report = run(database, delivery, allowing("9990000026"))
        assert report.rows == report.new + report.known + sum(report.set_aside.values()) == 4
        assert report.known == known
        assert report.counts()["rows of other projects"] == 1
        assert database.summary(PROJECT).rows_set_aside == {"bad_value": 1, "duplicate_row": 1, "missing_identifier": 1}


def test_deliveries_are_found_by_kind(tmp_path: Path) -> None:
    Extract(tmp_path / "b")
    Extract(tmp_path / "a", layout="batched")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "cohort.CSV").write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert delivery_names(tmp_path, "omop-es") == ["a", "b"]
    assert delivery_names(tmp_path, "csv") == ["cohort.CSV"]
    assert delivery_names(tmp_path, "omop-es", only="b") == ["b"]
    assert open_delivery(tmp_path / "a", "omop-es", project=PROJECT).info.layout == "batched"


@pytest.mark.parametrize("only", ["c", "..", "a/../b", "cohort.CSV"])
def test_a_delivery_that_is_not_in_the_folder_is_refused(tmp_path: Path, only: str) -> None:
    Extract(tmp_path / "a")
    with pytest.raises(ExtractInvalid, match="no delivery of that name"):
        delivery_names(tmp_path, "omop-es", only=only)
    with pytest.raises(ExtractInvalid, match="can't be read"):
        delivery_names(tmp_path / "nowhere", "omop-es")


def test_a_csv_delivery_is_opened_by_kind(csv_file: Any) -> None:
    path = csv_file(csv_row(), csv_row(project_name="nobody"))
    assert open_delivery(path, "csv", project=PROJECT, projects=[PROJECT]).reasons() == {"unknown_project": 1}
    assert open_delivery(path, "csv", project=PROJECT).other_projects == 1


def test_the_extract_is_remembered_by_its_contents(database: LinkDatabase, extract: Extract) -> None:
    for _ in range(2):
        run(database, read_omop_es(extract.folder, project=PROJECT), None)
    extracts = {request.extract_id for request in database.find(PROJECT, list(RequestState))}
    assert len(extracts) == 1
    extract.summary({"datetime": "2024-01-01 00:00:00", "settings": {"cdm_source_name": "x"}})
    report = run(database, read_omop_es(extract.folder, project=PROJECT), None)
    assert (report.new, report.known) == (0, 3)
