"""One cohort from an extract, from a warehouse and from files: whichever it is, the same rows and notes come out."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from prefect import flow
from sqlalchemy import create_engine

from blocks import DeltaLake, DicomNode, LinkStore, LocalFolder, PseudonymKeyFile, StorageNode, Warehouse
from deployments.demo_hospital.casebook import plan
from deployments.demo_hospital.extract import write_extract
from deployments.demo_hospital.hospital import _people
from deployments.demo_hospital.record import write_record
from flows.cohort_ingest import cohort_ingest
from flows.record_linkage import record_linkage
from safelight.errors import ConfigurationError
from safelight.link import LinkDatabase
from tasks.linkage import find_record_sources
from tasks.reports import deidentify_delivery_reports
from tests.services.postgresql import Postgresql

SEED = 23
PROFILES = Path(__file__).parents[2] / "profiles"
TABLES = ("condition_occurrence", "measurement", "observation", "person", "procedure_occurrence", "visit_occurrence", "note")
_TYPES: dict[Any, str] = {pa.string(): "text", pa.date32(): "date", pa.bool_(): "boolean"}
_COHORT = """
CREATE VIEW research.cohort AS
SELECT l.procedure_occurrence_id AS procedure_id, n."PrimaryMrn" AS mrn, l."AccessionNumber" AS accession_number,
       l."StudyUid_X" AS study_uid, p.procedure_date AS study_date, p.person_id
FROM research.procedure_occurrence_links AS l
JOIN research.procedure_occurrence AS p USING (procedure_occurrence_id)
JOIN research.person_links AS n ON n.person_id = p.person_id
"""


def into_postgresql(url: str, name: str, table: pa.Table) -> None:
    """Make a table of the delivery's own columns and types."""
    kinds = {
        field.name: _TYPES.get(field.type, "float8" if pa.types.is_floating(field.type) else "bigint")
        for field in table.schema
    }
    kinds |= {field.name: "timestamptz" for field in table.schema if pa.types.is_timestamp(field.type)}
    columns = ", ".join(f'"{column}" {kind}' for column, kind in kinds.items())
    places = ", ".join(["%s"] * len(kinds))
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS research")
        connection.exec_driver_sql(f"CREATE TABLE research.{name} ({columns})")
        rows = [tuple(row.values()) for row in table.to_pylist()]
        connection.exec_driver_sql(f"INSERT INTO research.{name} VALUES ({places})", rows)
    engine.dispose()


@pytest.fixture
def site(tmp_path: Path, postgresql: Postgresql, prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hospital with one delivery, the same in a database and in files, and three projects under one key."""
    today = datetime.now(UTC).date()
    deliveries, files = tmp_path / "deliveries", tmp_path / "files"
    for folder in (files, tmp_path / "record", tmp_path / "opt-out"):
        folder.mkdir()
    population = _people(SEED, today)
    write_record(tmp_path, population, today)
    chosen = [study for study in plan(population, seed=SEED, today=today) if study.extract == 1]
    write_extract(deliveries / "extract-1", chosen, number=1, seed=SEED, today=today)
    url = postgresql.new_database()
    extract = deliveries / "extract-1"
    for path in sorted(extract.rglob("*.parquet")):
        into_postgresql(url, path.stem.lower(), pq.read_table(path))
        if path.stem.lower() in TABLES:
            shutil.copy(path, files / f"{path.stem.lower()}.parquet")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(_COHORT)
    engine.dispose()

    link = LinkDatabase(f"sqlite:///{tmp_path / 'link.db'}", clock=lambda: datetime.now(UTC))
    link.migrate()
    link.close()
    (tmp_path / "key").write_bytes(bytes(range(64)))
    (tmp_path / "salt").write_bytes(bytes(range(16)))
    (tmp_path / "signing").write_bytes(bytes(range(32)))
    documents: dict[str, Any] = {
        "link-database": LinkStore(url=f"sqlite:///{tmp_path / 'link.db'}"),
        "release-signing-key": PseudonymKeyFile(key_file=tmp_path / "signing"),
        "one-key": PseudonymKeyFile(key_file=tmp_path / "key", salt_file=tmp_path / "salt"),
        "raw-cache": LocalFolder(path=tmp_path / "raw-cache"),
        "work": LocalFolder(path=tmp_path / "work"),
        "storage-receiver": StorageNode(),
        "src-deliveries": LocalFolder(path=deliveries),
        "src-files": LocalFolder(path=files),
        "src-warehouse": Warehouse(url=url),
        "demo-patient-record": LocalFolder(path=tmp_path / "record"),
        "demo-opt-out": LocalFolder(path=tmp_path / "opt-out"),
        "demo-lake": DeltaLake(uri=str(tmp_path / "lake")),
        "demo-dicom": LocalFolder(path=tmp_path / "dicom"),
        **{f"demo-archive-{name}": DicomNode(ae_title="A", host="127.0.0.1", port=1) for name in ("primary", "secondary")},
    }
    for name, block in documents.items():
        block.save(name, overwrite=True)

    profiles = tmp_path / "profiles"
    shutil.copytree(PROFILES, profiles)
    base = yaml.safe_load((PROFILES / "projects" / "demo-hospital.yaml").read_text())
    base["site"] = {"pseudonym_key": "one-key"}
    base["reports"] = {"include": True, "ner": [], "validation": {"folder": "src-files"}}
    sql = {"kind": "sql", "block": "src-warehouse", "tables": {name: f"research.{name}" for name in TABLES}}
    views = {"kind": "sql", "folder": "", "warehouse": "src-warehouse", "requests": "research.cohort"}
    for slug, cohort, records in (
        ("from-extract", {"folder": "src-deliveries"}, [{"kind": "delivery"}]),
        ("from-warehouse", views, [sql]),
        ("from-files", {"folder": "src-deliveries"}, [{"kind": "files", "block": "src-files"}]),
    ):
        project = {**base, "slug": slug, "cohort": {**base["cohort"], **cohort}, "records": records}
        (profiles / "projects" / f"{slug}.yaml").write_text(yaml.safe_dump(project))
    monkeypatch.setenv("SAFELIGHT_PROFILES", str(profiles))
    yield tmp_path
    postgresql.drop_database(url)


@flow
def notes_of(slug: str) -> None:
    """De-identify reports whose de-identification nobody measured: they stay here."""
    for name in find_record_sources(slug):
        deidentify_delivery_reports(slug, name)


def staged(work: Path, slug: str) -> dict[str, list[str]]:
    """Table -> its rows, without the time of the delivery."""
    found: dict[str, list[str]] = {}
    for path in [*(work / slug).glob("records/*/*.parquet"), *(work / slug).glob("notes/*.parquet")]:
        name = "note" if path.parent.name == "notes" else path.stem
        rows = pq.read_table(path).drop_columns(["extract_datetime"]).to_pylist()
        found.setdefault(name, []).extend(sorted(map(str, rows)))
    return found


def test_the_same_rows_come_from_each_kind_of_source(site: Path) -> None:
    counts = {}
    for slug in ("from-extract", "from-warehouse", "from-files"):
        counts[slug] = cohort_ingest(slug)
        record_linkage(slug)
        notes_of(slug)
    expected = staged(site / "work", "from-extract")
    assert set(expected) == set(TABLES)
    assert all(expected.values())
    for slug in ("from-warehouse", "from-files"):
        assert counts[slug]["requests"] == counts["from-extract"]["requests"]
        assert counts[slug]["opted out"] == counts["from-extract"]["opted out"] > 0
        assert staged(site / "work", slug) == expected
    # Again: the cohort has not changed, and neither does anything else.
    assert cohort_ingest("from-warehouse")["requests"] == 0
    record_linkage("from-warehouse")
    assert staged(site / "work", "from-warehouse") == expected
    # What a project names and is not there stops it before an archive is asked.
    path = site / "profiles" / "projects" / "from-warehouse.yaml"
    project = yaml.safe_load(path.read_text())
    for relation, words in (("research.nothing", "no 'research.nothing'"), ("nothing.sql", "no query 'nothing.sql'")):
        project["records"][0]["tables"] = {"person": relation}
        path.write_text(yaml.safe_dump(project))
        with pytest.raises(ConfigurationError, match=words):
            cohort_ingest("from-warehouse")
