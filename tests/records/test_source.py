"""The same rows from an extract, from files and from a database give the same table; nobody else's rows are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from safelight.errors import ConfigurationError, ExtractInvalid
from safelight.model import Reason
from safelight.records.rules import RecordRules
from safelight.records.settings import RecordSource
from safelight.records.source import TableRows, delivery_tables, file_tables, warehouse_tables
from safelight.records.tables import deidentify_table
from safelight.warehouse import Warehouse
from safelight.warehouse.query import check_query
from safelight.yamlfile import load_yaml
from tests.records.test_tables import CANARY, GENERATED, P
from tests.services.postgresql import execute

QUERIES = Path(__file__).parents[2] / "profiles" / "sql"
MRNS = {"4": "MRN004", "5": "MRN005"}
RULES = """\
records:
  person: {person_id: secure-hash, gender_concept_id: keep, year_of_birth: {op: num-range, min: 1935}}
  measurement:
    measurement_id: secure-hash
    person_id: secure-hash
    measurement_date: date-shift
    measurement_datetime: date-shift
    value_as_number: keep
    measurement_source_value: {op: keep, reason: codes of the laboratory}
    visit_occurrence_id: secure-hash
"""
TABLE = pa.table(
    {
        "measurement_id": pa.array([1, 2, 3, 4], pa.int64()),
        "person_id": pa.array([4, 5, 4, 9], pa.int64()),
        "measurement_date": [date(2020, 2, 29), date(2021, 1, 1), None, date(2020, 1, 1)],
        "measurement_datetime": pa.array(
            [datetime(2020, 2, 29, 13, 5, tzinfo=UTC), None, None, None], pa.timestamp("us", "UTC")
        ),
        "value_as_number": [1.5, None, -2.0, 9.0],
        "measurement_source_value": ["FBC", None, "Hb, total", CANARY],
        "visit_occurrence_id": pa.array([7, None, 8, 9], pa.int64()),
        "name_of_patient": [CANARY] * 4,
    }
)


def rules(folder: Path) -> RecordRules:
    (folder / "profile.yaml").write_text(RULES)
    file = load_yaml(folder / "profile.yaml")
    return RecordRules.parse(file, file.data["records"])


def leave(tables: Mapping[str, TableRows], name: str, folder: Path) -> tuple[list[dict[str, Any]], dict[Reason, int]]:
    found = deidentify_table(tables[name], name, rules(folder), P, mrn_of=MRNS.get, generated=GENERATED)
    rows = [row for batch in found for row in batch.to_pylist()]
    return sorted(rows, key=str), dict(found.counts.set_aside)


@pytest.fixture
def warehouse(postgresql_url: str) -> Iterator[Warehouse]:
    found = Warehouse(postgresql_url, queries=QUERIES)
    yield found
    found.close()


def test_a_table_is_the_same_from_wherever_it_comes(tmp_path: Path, postgresql_url: str, warehouse: Warehouse) -> None:
    public = tmp_path / "extract" / "public" / "omop"
    public.mkdir(parents=True)
    pq.write_table(TABLE, public / "MEASUREMENT.parquet")
    files = tmp_path / "files"
    files.mkdir()
    pcsv.write_csv(TABLE.rename_columns([name.upper() for name in TABLE.column_names]), files / "measurement.csv")
    values = ", ".join(
        "(" + ", ".join("NULL" if value is None else f"'{value}'" for value in row.values()) + ")"
        for row in TABLE.to_pylist()
    )
    execute(
        postgresql_url,
        "CREATE TABLE measurement (measurement_id bigint, person_id int, measurement_date date,"
        " measurement_datetime timestamptz, value_as_number numeric(8, 3), measurement_source_value text,"
        " visit_occurrence_id bigint, name_of_patient text)",
        f"INSERT INTO measurement VALUES {values}",
    )
    from_extract, counts = leave(delivery_tables(tmp_path / "extract"), "measurement", tmp_path)
    assert len(from_extract) == 3
    assert counts == {Reason.UNMATCHED_PERSON: 1}
    assert leave(file_tables(files), "measurement", tmp_path) == (from_extract, counts)
    from_database = warehouse_tables(warehouse, {"measurement": "public.measurement"}, sorted(MRNS))
    for _ in range(2):
        # Nobody outside the cohort was even asked for.
        assert leave(from_database, "measurement", tmp_path) == (from_extract, {})
    assert CANARY not in str(from_extract)


def test_emap_is_read_by_the_reviewed_queries(tmp_path: Path, postgresql_url: str, warehouse: Warehouse) -> None:
    # Patient 40 was merged into 4: what was recorded under the old MRN is that person's.
    execute(
        postgresql_url,
        "CREATE SCHEMA star",
        "CREATE TABLE star.mrn_to_live (mrn_id bigint, live_mrn_id bigint)",
        "INSERT INTO star.mrn_to_live VALUES (4, 4), (40, 4), (5, 5), (9, 9)",
        "CREATE TABLE star.core_demographic (mrn_id bigint, sex text, date_of_birth date, firstname text)",
        f"INSERT INTO star.core_demographic VALUES (4, 'F', '1930-05-01', '{CANARY}'), (5, 'M', '1970-01-02', '{CANARY}'),"
        f" (40, 'F', '1930-05-01', '{CANARY}'), (9, 'U', '1990-01-01', '{CANARY}')",
        "CREATE TABLE star.lab_sample (lab_sample_id bigint, mrn_id bigint)",
        "INSERT INTO star.lab_sample VALUES (1, 40), (2, 5), (3, 9)",
        "CREATE TABLE star.lab_order (lab_order_id bigint, lab_sample_id bigint, hospital_visit_id bigint)",
        "INSERT INTO star.lab_order VALUES (1, 1, 70), (2, 2, NULL), (3, 3, 71)",
        "CREATE TABLE star.lab_test_definition (lab_test_definition_id bigint, test_lab_code text)",
        "INSERT INTO star.lab_test_definition VALUES (1, 'HB')",
        "CREATE TABLE star.lab_result (lab_result_id bigint, lab_order_id bigint, lab_test_definition_id bigint, units text,"
        " value_as_real float8, range_low float8, range_high float8, result_last_modified_datetime timestamptz)",
        "INSERT INTO star.lab_result SELECT n, n, 1, 'g/L', 120 + n, 110, 150, '2020-02-29 13:05+00'"
        " FROM generate_series(1, 3) n",
    )
    tables = warehouse_tables(warehouse, {"measurement": "emap-measurement.sql", "person": "emap-person.sql"}, sorted(MRNS))
    measurements, aside = leave(tables, "measurement", tmp_path)
    assert aside == {}
    assert {row["person_id"]: row["value_as_number"] for row in measurements} == {
        P.secure_hash("4", "person"): 121.0,
        P.secure_hash("5", "person"): 122.0,
    }
    people, _ = leave(tables, "person", tmp_path)
    assert {row["person_id"]: (row["gender_concept_id"], row["year_of_birth"]) for row in people} == {
        P.secure_hash("4", "person"): (8532, 1935),
        P.secure_hash("5", "person"): (8507, 1970),
    }


def test_every_query_of_the_repository_only_reads() -> None:
    queries = sorted(QUERIES.glob("*.sql"))
    assert queries
    for path in queries:
        dialect = "mssql" if "(SQL Server)" in path.read_text() else "postgresql"
        assert check_query(path.read_text(), path.name, dialect)


@pytest.mark.parametrize("content", [b"a,b\n1\n", b"\xff\xfe\x00", b""])
def test_a_file_that_is_no_table_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "measurement.csv").write_bytes(content + CANARY.encode())
    with pytest.raises(ExtractInvalid, match="measurement") as caught:
        leave(file_tables(tmp_path), "measurement", tmp_path)
    assert CANARY not in str(caught.value)


def test_a_table_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    for name in ("note.csv", "NOTE.parquet", "readme.md"):
        (tmp_path / name).write_text("")
    with pytest.raises(ExtractInvalid, match="'note' twice"):
        file_tables(tmp_path)


def test_a_view_without_a_person_is_refused(tmp_path: Path, postgresql_url: str, warehouse: Warehouse) -> None:
    execute(postgresql_url, "CREATE VIEW odd AS SELECT 1 AS measurement_id")
    with pytest.raises(ConfigurationError, match="lacks a column"):
        leave(warehouse_tables(warehouse, {"measurement": "odd"}, ["4"]), "measurement", tmp_path)


_GOOD: Sequence[dict[str, Any]] = (
    {},
    {"kind": "files", "block": "b"},
    {"kind": "sql", "block": "b", "tables": {"note": "a.notes", "person": "emap-person.sql"}},
)
_BAD: Sequence[tuple[dict[str, Any], str]] = (
    ({"kind": "delivery", "block": "b"}, "block"),
    ({"kind": "files"}, "block"),
    ({"kind": "sql", "block": "b"}, "tables"),
    ({"kind": "files", "block": "b", "tables": {"note": "n"}}, "tables"),
    ({"kind": "sql", "block": "b", "tables": {"patient": "n"}}, "patient"),
    ({"kind": "sql", "block": "b", "tables": {"note": "n; DROP TABLE n"}}, "note"),
    ({"kind": "sql", "block": "b", "tables": {"note": "(SELECT 1)"}}, "note"),
)


@pytest.mark.parametrize("settings", _GOOD)
def test_settings_that_are_complete_are_taken(settings: dict[str, Any]) -> None:
    assert RecordSource.model_validate(settings).kind == settings.get("kind", "delivery")


@pytest.mark.parametrize(("settings", "word"), _BAD)
def test_settings_that_are_not_are_refused(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        RecordSource.model_validate(settings)
