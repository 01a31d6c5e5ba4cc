"""The files of an OMOP-ES extract: both layouts, what is no extract, and which extracts are the same."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from safelight.cohort import read_omop_es
from safelight.errors import ExtractInvalid
from tests.cohort.conftest import BATCHED, CANARY, PROJECT, SINGLE, Extract, read

# -- parts


def test_parts_are_read_in_order_each_with_its_own_lines(tmp_path: Path) -> None:
    extract = Extract(tmp_path / "extract-1", layout="batched")
    one = {"procedure_occurrence_id": [11.0], "AccessionNumber": ["A"], "StudyUid_X": ["1"]}
    two = {"procedure_occurrence_id": [12, 99], "AccessionNumber": ["B", "C"], "StudyUid_X": pa.nulls(2, pa.bool_())}
    extract.table("links", one, parts=[two])
    delivery = read(extract)
    assert [(request.accession_number, request.line) for request in delivery.requests] == [("A", 1), ("B", 1)]
    (row,) = delivery.set_aside
    assert (row.file, row.line) == ("private/procedure_occurrence_links/part-1.parquet", 2)


def test_batched_only_when_all_three_folders_are_there(tmp_path: Path) -> None:
    extract = Extract(tmp_path / "extract-1")
    (extract.folder / BATCHED["links"]).mkdir()
    (extract.folder / BATCHED["persons"]).mkdir()
    assert read(extract).info.layout == "single"
    (extract.folder / BATCHED["procedures"]).mkdir()
    with pytest.raises(ExtractInvalid, match=r"part-\*\.parquet"):
        read(extract)


def test_many_rows_are_all_accounted_for(extract: Extract) -> None:
    count = 40_000
    extract.persons(person_id=range(count), PrimaryMrn=[f"M{n}" for n in range(count)])
    extract.procedures(
        procedure_occurrence_id=range(count), person_id=range(count), procedure_date=pa.array([18000] * count, pa.date32())
    )
    extract.links(
        procedure_occurrence_id=range(count),
        AccessionNumber=[f"A{n}" if n % 3 else None for n in range(count)],
        StudyUid_X=pa.nulls(count, pa.bool_()),
    )
    delivery = read(extract)
    assert len(delivery.requests) + len(delivery.set_aside) == count
    assert delivery.reasons() == {"missing_identifier": -(-count // 3)}
    assert delivery.set_aside[-1].line == count


# -- what is no extract


@pytest.mark.parametrize("missing", ["extract_summary.json", *SINGLE.values()])
def test_a_missing_file_is_named_with_both_layouts(tmp_path: Path, missing: str) -> None:
    extract = Extract(tmp_path / "extract-1")
    (extract.folder / missing).unlink()
    with pytest.raises(ExtractInvalid) as caught:
        read(extract)
    message = str(caught.value)
    assert f"The extract lacks {missing}." in message
    assert all(name in message for name in (*SINGLE.values(), *BATCHED.values()))


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExtractInvalid) as caught:
        read_omop_es(tmp_path / "empty", project=PROJECT)
    assert all(name in caught.value.message for name in ("extract_summary.json", *SINGLE.values()))
    with pytest.raises(ExtractInvalid, match="not there"):
        read_omop_es(tmp_path / "nowhere", project=PROJECT)


def test_an_empty_part_folder_is_a_missing_table(tmp_path: Path) -> None:
    extract = Extract(tmp_path / "extract-1", layout="batched")
    shutil.rmtree(extract.folder / BATCHED["links"])
    (extract.folder / BATCHED["links"]).mkdir()
    with pytest.raises(ExtractInvalid, match="procedure_occurrence_links/part"):
        read(extract)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("links", "AccessionNumber"),
        ("links", "StudyUid_X"),
        ("links", "procedure_occurrence_id"),
        ("persons", "PrimaryMrn"),
        ("persons", "person_id"),
        ("procedures", "procedure_date"),
        ("procedures", "person_id"),
    ],
)
def test_a_missing_column_is_named_with_those_needed(extract: Extract, table: str, column: str) -> None:
    columns: dict[str, dict[str, Any]] = {
        "persons": {"person_id": [1], "PrimaryMrn": ["M"]},
        "procedures": {"procedure_occurrence_id": [1], "person_id": [1], "procedure_date": [date(2020, 1, 1)]},
        "links": {"procedure_occurrence_id": [1], "AccessionNumber": ["A"], "StudyUid_X": ["1"]},
    }
    extract.table(table, {name: value for name, value in columns[table].items() if name != column})
    with pytest.raises(ExtractInvalid) as caught:
        read(extract)
    assert f"has no column {column}" in str(caught.value)
    assert all(name in str(caught.value) for name in columns[table])


@pytest.mark.parametrize("how", ["garbage", "cut", "flipped", "empty"])
def test_a_damaged_table_is_refused_without_its_values(extract: Extract, how: str) -> None:
    name = "private/PERSON_LINKS.parquet" if extract.layout == "single" else "private/person_links/part-0.parquet"
    path = extract.folder / name
    content = path.read_bytes()
    damaged = {
        "garbage": CANARY.encode() * 50,
        "cut": content[: len(content) // 2],
        "flipped": content[:8] + bytes(byte ^ 0xFF for byte in content[8:120]) + content[120:],
        "empty": b"",
    }[how]
    path.write_bytes(damaged)
    with pytest.raises(ExtractInvalid, match=name) as caught:
        read(extract)
    assert CANARY not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"datetime": "2023-12-07 14:08:58"}',
        b'{"datetime": "yesterday", "settings": {"cdm_source_name": "x"}}',
        b'{"datetime": 4, "settings": {"cdm_source_name": "x"}}',
        b'{"datetime": "2023-12-07 14:08:58", "settings": {"cdm_source_name": 4}}',
        b'{"datetime": "2023-12-07 14:08:58", "settings": []}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_summary_that_says_nothing_is_refused(extract: Extract, content: bytes) -> None:
    extract.write("extract_summary.json", content)
    with pytest.raises(ExtractInvalid, match=r"extract_summary\.json"):
        read(extract)


@pytest.mark.parametrize(
    "written",
    [
        "2023-12-07 14:08:58",
        "2023-12-07T14:08:58Z",
        "2023-12-07T15:08:58+01:00",
        "2023-12-07T14:08:58.000000",
    ],
)
def test_times_with_or_without_a_zone_are_read(extract: Extract, written: str) -> None:
    extract.summary({"datetime": written, "settings": {"cdm_source_name": "x"}, "more": 1})
    assert read(extract).info.generated == datetime(2023, 12, 7, 14, 8, 58, tzinfo=UTC)


# -- identity


def test_the_same_contents_have_the_same_identity_wherever_they_are(extract: Extract, tmp_path: Path) -> None:
    before = read(extract).info.sha256
    copy = tmp_path / "another name"
    shutil.copytree(extract.folder, copy)
    assert read_omop_es(copy, project=PROJECT).info.sha256 == before
    (copy / "log").mkdir()
    (copy / "log" / "run.txt").write_text("not part of it")
    (copy / "public" / ".hidden").write_text("nor this")
    assert read_omop_es(copy, project=PROJECT).info.sha256 == before


@pytest.mark.parametrize("change", ["public/omop/MEASUREMENT.parquet", "private/NOTE.parquet", "public/custom/a.csv"])
def test_other_contents_have_another_identity(extract: Extract, change: str) -> None:
    seen = {read(extract).info.sha256}
    path = extract.write(change, b"one")
    seen.add(read(extract).info.sha256)
    path.write_bytes(b"two")
    seen.add(read(extract).info.sha256)
    path.rename(path.with_name("renamed"))
    seen.add(read(extract).info.sha256)
    assert len(seen) == 4
