"""OMOP-ES extracts, with every oddity that real ones have."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from safelight.cohort import Delivery
from safelight.model import Reason, StudyRequest
from tests.cohort.conftest import CANARY, PROJECT, Extract, read, text

NAIVE = datetime.fromisoformat("2020-01-02T23:59:00")


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
