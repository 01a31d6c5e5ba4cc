"""OMOP-ES extracts: both layouts, and every oddity that real ones have."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from safelight.cohort import Delivery, read_omop_es
from safelight.errors import ExtractInvalid
from safelight.model import Reason, StudyRequest
from tests.cohort.conftest import BATCHED, CANARY, PROJECT, SINGLE, Extract, text

NAIVE = datetime.fromisoformat("2020-01-02T23:59:00")


def read(extract: Extract) -> Delivery:
    return read_omop_es(extract.folder, project=PROJECT)


def asides(delivery: Delivery) -> dict[int, Reason]:
    return {row.line: row.reason for row in delivery.set_aside}


def test_a_plain_extract_becomes_requests(extract: Extract) -> None:
    delivery = read(extract)
    assert delivery.requests == (
        StudyRequest(PROJECT, f"{CANARY}M1", f"{CANARY}A", "1.2.3", date(2020, 1, 2), 11, "1", line=1),
        StudyRequest(PROJECT, f"{CANARY}M1", "", "1.2.4", date(2020, 1, 3), 12, "1", line=2),
        StudyRequest(PROJECT, "0002", "00A", "", date(2020, 1, 4), 13, "2", line=3),
    )
    assert delivery.set_aside == ()
    assert delivery.persons == {"1": f"{CANARY}M1", "2": "0002"}
    info = delivery.info
    assert (info.project, info.name, info.source) == (PROJECT, "extract-1", "Test Extract - UCLH OMOP CDM")
    assert info.generated == datetime(2023, 12, 7, 14, 8, 58, tzinfo=UTC)
    assert info.layout == extract.layout


def test_reading_twice_gives_the_same(extract: Extract) -> None:
    assert read(extract) == read(extract)


def test_a_delivery_shows_no_identifier(extract: Extract) -> None:
    assert CANARY not in repr(read(extract))


# -- oddities


@pytest.mark.parametrize(
    "type_", [pa.int32(), pa.int64(), pa.float64(), pa.decimal128(18, 2), pa.string(), pa.large_string(), pa.uint64()]
)
def test_ids_of_every_type_are_the_same_ids(extract: Extract, type_: pa.DataType) -> None:
    def ids(*values: int) -> pa.Array:
        if pa.types.is_decimal(type_):
            return pa.array([Decimal(value) for value in values], type_)
        if pa.types.is_string(type_) or pa.types.is_large_string(type_):
            return pa.array([str(value) for value in values], type_)
        return pa.array(values, type_)

    extract.persons(person_id=ids(1, 2), PrimaryMrn=["M1", "M2"])
    extract.procedures(
        procedure_occurrence_id=pa.array([11, 12, 13], pa.int64()),
        person_id=pa.array([1.0, 1.0, 2.0]),
        procedure_date=[date(2020, 1, 2)] * 3,
    )
    extract.links(procedure_occurrence_id=ids(11, 12, 13), AccessionNumber=["A", "B", "C"], StudyUid_X=["1", "2", "3"])
    delivery = read(extract)
    assert [(r.procedure_occurrence_id, r.person_id, r.mrn) for r in delivery.requests] == [
        (11, "1", "M1"),
        (12, "1", "M1"),
        (13, "2", "M2"),
    ]


def test_identifiers_that_came_as_numbers_are_whole_numbers(extract: Extract) -> None:
    extract.persons(person_id=[1, 2], PrimaryMrn=pa.array([4.0, 5.0]))
    extract.links(
        procedure_occurrence_id=[11, 12, 13],
        AccessionNumber=pa.array([7.0, None, 2.5]),
        StudyUid_X=["1.2.3", "1.2.4", "1.2.5"],
    )
    delivery = read(extract)
    assert [(request.mrn, request.accession_number) for request in delivery.requests] == [("4", "7"), ("4", "")]
    assert asides(delivery) == {3: Reason.BAD_VALUE}


@pytest.mark.parametrize("type_", [pa.bool_(), pa.null(), pa.float64(), pa.string(), pa.int32()])
@pytest.mark.parametrize("column", ["AccessionNumber", "StudyUid_X"])
def test_a_column_without_values_may_have_any_type(extract: Extract, type_: pa.DataType, column: str) -> None:
    columns: dict[str, Any] = {
        "procedure_occurrence_id": [11, 12, 13],
        "AccessionNumber": ["A", "B", "C"],
        "StudyUid_X": ["1.2.3", "1.2.4", "1.2.5"],
    }
    extract.links(**(columns | {column: pa.array([None, None, None], type_)}))
    delivery = read(extract)
    assert len(delivery.requests) == 3
    assert {getattr(r, "accession_number" if column == "AccessionNumber" else "study_uid") for r in delivery.requests} == {
        ""
    }


def test_truth_values_are_no_identifiers(extract: Extract) -> None:
    extract.links(
        procedure_occurrence_id=[11, 12, 13], AccessionNumber=[True, None, None], StudyUid_X=["1.2.3", "1.2.4", "1.2.5"]
    )
    delivery = read(extract)
    assert asides(delivery) == {1: Reason.BAD_VALUE}
    assert len(delivery.requests) == 2


@pytest.mark.parametrize("kind", ["dictionary", "large_string", "binary"])
def test_text_of_every_type_is_text(extract: Extract, kind: str) -> None:
    values = text("A", "B", "C")
    column = values.dictionary_encode() if kind == "dictionary" else values.cast(kind)
    extract.links(procedure_occurrence_id=[11, 12, 13], AccessionNumber=column, StudyUid_X=["1.2.3", "1.2.4", "1.2.5"])
    assert [request.accession_number for request in read(extract).requests] == ["A", "B", "C"]


def test_words_for_nothing_are_values_in_an_identifier_column(extract: Extract) -> None:
    extract.links(procedure_occurrence_id=[11, 12, 13], AccessionNumber=["NA", "null", "n/a"], StudyUid_X=[None] * 3)
    assert [request.accession_number for request in read(extract).requests] == ["NA", "null", "n/a"]


def test_rows_with_neither_identifier_are_set_aside(extract: Extract) -> None:
    extract.links(procedure_occurrence_id=[11, 12, 99], AccessionNumber=["", None, " "], StudyUid_X=[None, " ", ""])
    delivery = read(extract)
    assert delivery.requests == ()
    assert asides(delivery) == dict.fromkeys((1, 2, 3), Reason.MISSING_IDENTIFIER)


def test_links_without_procedure_or_person_are_counted(extract: Extract) -> None:
    extract.procedures(procedure_occurrence_id=[11, 12, 13], person_id=[1, 99, None], procedure_date=[date(2020, 1, 2)] * 3)
    extract.links(
        procedure_occurrence_id=[11, 12, 13, 77], AccessionNumber=["A", "B", "C", "D"], StudyUid_X=["1", "2", "3", "4"]
    )
    delivery = read(extract)
    assert [request.procedure_occurrence_id for request in delivery.requests] == [11]
    assert asides(delivery) == {
        2: Reason.UNMATCHED_PERSON,
        3: Reason.UNMATCHED_PERSON,
        4: Reason.UNMATCHED_PROCEDURE,
    }
    assert delivery.reasons() == {"unmatched_person": 2, "unmatched_procedure": 1}


def test_a_second_row_for_the_same_is_counted_as_duplicate(extract: Extract) -> None:
    extract.links(
        procedure_occurrence_id=[11, 11, 11],
        AccessionNumber=["A", " A", "A"],
        StudyUid_X=["1.2.3", "1.2.3 ", "1.2.4"],
    )
    delivery = read(extract)
    assert [request.study_uid for request in delivery.requests] == ["1.2.3", "1.2.4"]
    assert asides(delivery) == {2: Reason.DUPLICATE_ROW}


@pytest.mark.parametrize("value", ["A*", "?", "A\\B", "A\nB", "A\0", "A\x7f", "A" * 65])
@pytest.mark.parametrize("column", ["AccessionNumber", "StudyUid_X", "PrimaryMrn"])
def test_identifiers_that_would_ask_for_more_are_set_aside(extract: Extract, column: str, value: str) -> None:
    if column == "PrimaryMrn":
        extract.persons(person_id=[1, 2], PrimaryMrn=[value, "0002"])
        bad = {1, 2}
    else:
        columns = {"AccessionNumber": ["A", "B", "C"], "StudyUid_X": ["1", "2", "3"]}
        columns[column][1] = value
        extract.links(procedure_occurrence_id=[11, 12, 13], **columns)
        bad = {2}
    delivery = read(extract)
    assert asides(delivery) == dict.fromkeys(bad, Reason.BAD_VALUE)
    assert len(delivery.requests) == 3 - len(bad)


def test_a_missing_mrn_costs_only_its_own_rows(extract: Extract) -> None:
    extract.persons(person_id=[1, 2], PrimaryMrn=[None, "0002"])
    delivery = read(extract)
    assert asides(delivery) == dict.fromkeys((1, 2), Reason.MISSING_IDENTIFIER)
    assert [request.mrn for request in delivery.requests] == ["0002"]
    assert delivery.persons == {"2": "0002"}


def test_a_person_with_two_numbers_is_nobody(extract: Extract) -> None:
    extract.persons(person_id=[1, 2, 1, 2, 2], PrimaryMrn=["M1", None, "other", "0002", "0002"])
    delivery = read(extract)
    assert asides(delivery) == dict.fromkeys((1, 2), Reason.BAD_VALUE)
    assert delivery.persons == {"2": "0002"}


def test_a_procedure_that_two_rows_describe_differently_is_set_aside(extract: Extract) -> None:
    extract.procedures(
        procedure_occurrence_id=[11, 11, 12, 12, 13],
        person_id=[1, 2, 1, 1, 2],
        procedure_date=[date(2020, 1, 2)] * 5,
    )
    delivery = read(extract)
    assert asides(delivery) == {1: Reason.BAD_VALUE}
    assert len(delivery.requests) == 2


@pytest.mark.parametrize("ids", [[11.5, 12.0, 13.0], ["eleven", "12", "13"], [2.0**60, 12.0, 13.0]])
def test_a_bad_procedure_id_costs_one_row(extract: Extract, ids: list[Any]) -> None:
    extract.links(procedure_occurrence_id=ids, AccessionNumber=["A", "B", "C"], StudyUid_X=["1", "2", "3"])
    delivery = read(extract)
    assert asides(delivery) == {1: Reason.BAD_VALUE}
    assert len(delivery.requests) == 2


def test_a_missing_procedure_id_costs_one_row(extract: Extract) -> None:
    extract.links(procedure_occurrence_id=[None, 12, 13], AccessionNumber=["A", "B", "C"], StudyUid_X=["1", "2", "3"])
    assert asides(read(extract)) == {1: Reason.MISSING_IDENTIFIER}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([date(2020, 1, 2)] * 3, pa.date32()),
        pa.array([date(2020, 1, 2)] * 3, pa.date64()),
        pa.array([NAIVE] * 3, pa.timestamp("us")),
        pa.array([NAIVE] * 3, pa.timestamp("us", "GMT")),
        pa.array([NAIVE] * 3, pa.timestamp("ns", "UTC")),
        pa.array([NAIVE] * 3, pa.timestamp("s")),
        pa.array(["2020-01-02"] * 3),
        pa.array(["2020-01-02T23:59:00Z"] * 3),
    ],
    ids=lambda column: str(column.type),
)
def test_dates_of_every_type_are_the_same_day(extract: Extract, column: pa.Array) -> None:
    extract.procedures(procedure_occurrence_id=[11, 12, 13], person_id=[1, 1, 2], procedure_date=column)
    assert [request.study_date for request in read(extract).requests] == [date(2020, 1, 2)] * 3


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["2020-01-02", "02/01/2020", "2020-02-30"]),
        pa.array([18000, 99_999_999, -99_999_999], pa.int32()).cast(pa.date32()),
        pa.array([0, 2**62, -(2**62)], pa.int64()).cast(pa.timestamp("us")),
    ],
    ids=["text", "date32", "timestamp"],
)
def test_a_bad_date_costs_one_row(extract: Extract, column: pa.Array) -> None:
    extract.procedures(procedure_occurrence_id=[11, 12, 13], person_id=[1, 1, 2], procedure_date=column)
    delivery = read(extract)
    assert asides(delivery) == dict.fromkeys((2, 3), Reason.BAD_VALUE)
    assert len(delivery.requests) == 1


def test_a_missing_date_is_not_known(extract: Extract) -> None:
    extract.procedures(procedure_occurrence_id=[11, 12, 13], person_id=[1, 1, 2], procedure_date=pa.nulls(3, pa.bool_()))
    assert [request.study_date for request in read(extract).requests] == [None] * 3


def test_more_columns_do_not_matter(extract: Extract) -> None:
    extract.links(
        procedure_occurrence_id=[11.0, 12.0, 13.0],
        DiagnosisEventKey=pa.nulls(3, pa.bool_()),
        AccessionNumber=["A", "B", "C"],
        StudyUid_X=["1", "2", "3"],
        plugin_provenance=["imaging"] * 3,
        nested=[{"a": 1}] * 3,
    )
    assert len(read(extract).requests) == 3


def test_text_that_is_not_utf8_costs_one_row(extract: Extract) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"A\xffC")]
    )
    extract.links(procedure_occurrence_id=[11, 12, 13], AccessionNumber=broken, StudyUid_X=["1", "2", "3"])
    delivery = read(extract)
    assert asides(delivery) == {2: Reason.BAD_VALUE}
    assert [request.accession_number for request in delivery.requests] == ["A", "C"]


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
