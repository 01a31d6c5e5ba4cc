"""Cohorts as CSV files."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from safelight.cohort import Delivery, read_csv
from safelight.cohort.csv_file import REQUIRED
from safelight.errors import ExtractInvalid
from safelight.model import Reason, StudyRequest
from tests.cohort.conftest import CANARY, HEADER, PROJECT, ROW, csv_row


def read(path: Path, projects: tuple[str, ...] | None = (PROJECT, "other")) -> Delivery:
    return read_csv(path, project=PROJECT, projects=projects)


def asides(delivery: Delivery) -> dict[int, Reason]:
    return {row.line: row.reason for row in delivery.set_aside}


def test_a_row_becomes_a_request(csv_file: Any) -> None:
    delivery = read(csv_file(ROW))
    assert delivery.requests == (
        StudyRequest(PROJECT, f"{CANARY}M1", f"{CANARY}A", "1.2.3", date(2020, 1, 2), 11, "", "P1", line=2),
    )
    assert delivery.set_aside == ()
    assert delivery.info.generated == datetime(2023, 12, 7, 14, 8, 58, tzinfo=UTC)
    assert (delivery.info.name, delivery.info.source, delivery.info.layout) == ("cohort.csv", "csv", "csv")
    assert CANARY not in repr(delivery)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_and_byte_order_marks_do_not_matter(csv_file: Any, end: str, encoding: str) -> None:
    delivery = read(csv_file(ROW, csv_row(mrn="Zoë"), end=end, encoding=encoding))
    assert [(request.mrn, request.line) for request in delivery.requests] == [(f"{CANARY}M1", 2), ("Zoë", 3)]


def test_columns_come_in_any_order_and_others_are_ignored(csv_file: Any) -> None:
    names = [*reversed(HEADER.split(",")), "extra"]
    cells = [*reversed(ROW.split(",")), "anything"]
    delivery = read(csv_file(",".join(cells), header=" , ".join(names)))
    assert delivery.requests[0].mrn == f"{CANARY}M1"


def test_words_for_nothing_and_leading_zeros_are_values(csv_file: Any) -> None:
    delivery = read(
        csv_file(
            csv_row(mrn="NA", accession_number="null"),
            csv_row(mrn="007", accession_number="n/a"),
            csv_row(mrn="None", accession_number="nan", participant_id="NULL"),
        )
    )
    assert [(request.mrn, request.accession_number) for request in delivery.requests] == [
        ("NA", "null"),
        ("007", "n/a"),
        ("None", "nan"),
    ]


def test_cells_are_stripped(csv_file: Any) -> None:
    delivery = read(csv_file(csv_row(mrn=" 7 ", accession_number="\tA ", project_name=f" {PROJECT} ", procedure_id=" 4 ")))
    assert (delivery.requests[0].mrn, delivery.requests[0].accession_number) == ("7", "A")


def test_one_identifier_is_enough_and_none_is_too_few(csv_file: Any) -> None:
    delivery = read(
        csv_file(
            csv_row(accession_number=""),
            csv_row(study_uid=""),
            csv_row(accession_number="", study_uid=" "),
            csv_row(mrn=""),
            csv_row(procedure_id=""),
        )
    )
    assert [(request.accession_number, request.study_uid) for request in delivery.requests] == [
        ("", "1.2.3"),
        (f"{CANARY}A", ""),
    ]
    assert asides(delivery) == dict.fromkeys((4, 5, 6), Reason.MISSING_IDENTIFIER)


@pytest.mark.parametrize(
    "cells",
    [
        {"study_date": "02/01/2020"},
        {"study_date": "2020-02-30"},
        {"procedure_id": "eleven"},
        {"procedure_id": "1.5"},
        {"procedure_id": "99999999999999999999"},
        {"extract_generated_timestamp": "yesterday"},
        {"extract_generated_timestamp": ""},
        {"accession_number": "A*"},
        {"mrn": "?"},
        {"study_uid": "1.2\\1.3"},
        {"study_uid": "1.2 3"},
        {"study_uid": "*"},
        {"mrn": "M" * 65},
    ],
)
def test_one_bad_cell_costs_one_row(csv_file: Any, cells: dict[str, str]) -> None:
    delivery = read(csv_file(csv_row(mrn="1"), csv_row(**cells), csv_row(mrn="2")))
    assert [request.mrn for request in delivery.requests] == ["1", "2"]
    assert asides(delivery) == {3: Reason.BAD_VALUE}


@pytest.mark.parametrize("row", [ROW + ",more", ROW.rpartition(",")[0], "x"])
def test_a_row_with_more_or_fewer_cells_is_set_aside(csv_file: Any, row: str) -> None:
    delivery = read(csv_file(row, csv_row(mrn="2")))
    assert len(delivery.requests) == 1
    assert asides(delivery) == {2: Reason.BAD_VALUE}


def test_an_id_that_was_a_double_is_a_whole_number(csv_file: Any) -> None:
    assert read(csv_file(csv_row(procedure_id="4.0"))).requests[0].procedure_occurrence_id == 4


def test_a_missing_date_is_not_known(csv_file: Any) -> None:
    assert read(csv_file(csv_row(study_date=""))).requests[0].study_date is None


def test_two_rows_for_two_series_of_one_study_are_both_kept(csv_file: Any) -> None:
    header = HEADER + ",series_uid"
    delivery = read(
        csv_file(f"{ROW},1.2.3.1", f"{ROW},1.2.3.2", f"{ROW},1.2.3.1\\1.2.3.2", f"{ROW},", f"{ROW},1.2.3.1", header=header)
    )
    assert [request.series_uids for request in delivery.requests] == [
        ("1.2.3.1",),
        ("1.2.3.2",),
        ("1.2.3.1", "1.2.3.2"),
        (),
    ]
    assert asides(delivery) == {6: Reason.DUPLICATE_ROW}


def test_a_wild_card_for_series_is_set_aside(csv_file: Any) -> None:
    delivery = read(csv_file(f"{ROW},1.2.3.*", header=HEADER + ",series_uid"))
    assert asides(delivery) == {2: Reason.BAD_VALUE}


def test_duplicates_are_counted_not_lost(csv_file: Any) -> None:
    delivery = read(csv_file(ROW, ROW, csv_row(procedure_id="12")))
    assert len(delivery.requests) == 1
    assert asides(delivery) == dict.fromkeys((3, 4), Reason.DUPLICATE_ROW)


def test_rows_of_other_projects_are_counted_apart(csv_file: Any) -> None:
    path = csv_file(
        ROW,
        csv_row(project_name="other"),
        csv_row(project_name="nobody"),
        csv_row(project_name=""),
        csv_row(project_name="other", study_date="bad"),
        csv_row(project_name=PROJECT.upper()),
    )
    delivery = read(path)
    assert (len(delivery.requests), delivery.other_projects) == (1, 2)
    assert asides(delivery) == {
        4: Reason.UNKNOWN_PROJECT,
        5: Reason.MISSING_IDENTIFIER,
        7: Reason.UNKNOWN_PROJECT,
    }
    assert read(path, projects=None).other_projects == 4


def test_every_row_is_accounted_for(csv_file: Any) -> None:
    rows = [csv_row(mrn=f"{number % 40}", study_date="x" if number % 7 == 0 else "2020-01-02") for number in range(500)]
    rows += [csv_row(project_name="other")] * 3
    delivery = read(csv_file(*rows))
    assert len(delivery.requests) + len(delivery.set_aside) + delivery.other_projects == len(rows)


def test_quoted_cells_may_hold_commas_quotes_and_line_ends(csv_file: Any) -> None:
    header = HEADER + ",comment"
    delivery = read(
        csv_file(f'{ROW},"one\ntwo, ""three""\n"', "", f"{csv_row(mrn='2')},", f"{csv_row(mrn='*')},x", header=header)
    )
    assert [(request.mrn, request.line) for request in delivery.requests] == [(f"{CANARY}M1", 2), ("2", 6)]
    assert asides(delivery) == {7: Reason.BAD_VALUE}


def test_the_latest_row_says_when_it_was_generated(csv_file: Any) -> None:
    delivery = read(
        csv_file(
            csv_row(mrn="1", extract_generated_timestamp="2024-01-01T00:30:00+01:00"),
            csv_row(mrn="2", extract_generated_timestamp="2023-12-31T23:00:00"),
            csv_row(mrn="*", extract_generated_timestamp="2025-01-01T00:00:00Z"),
        )
    )
    assert delivery.info.generated == datetime(2023, 12, 31, 23, 30, tzinfo=UTC)


def test_identity_is_of_the_contents(csv_file: Any, tmp_path: Path) -> None:
    path = csv_file(ROW)
    one = read(path).info.sha256
    assert read(path).info.sha256 == one
    assert read(path.rename(tmp_path / "b.csv")).info.sha256 == one
    assert read(csv_file(ROW, "")).info.sha256 != one


def test_a_file_of_nothing_but_a_header_asks_for_nothing(csv_file: Any) -> None:
    delivery = read(csv_file())
    assert (delivery.requests, delivery.set_aside) == ((), ())


@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_named_with_those_needed(csv_file: Any, column: str) -> None:
    header = ",".join(name for name in HEADER.split(",") if name != column)
    with pytest.raises(ExtractInvalid) as caught:
        read(csv_file(header=header))
    assert f"no column {column}." in str(caught.value)
    assert all(name in str(caught.value) for name in REQUIRED)


def test_a_column_given_twice_is_refused(csv_file: Any) -> None:
    with pytest.raises(ExtractInvalid, match="mrn more than once"):
        read(csv_file(header=HEADER + ",mrn"))


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfea\0", HEADER.encode() + b"\n\xe9,"])
def test_what_is_no_csv_in_utf8_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cohort.csv"
    path.write_bytes(content)
    with pytest.raises(ExtractInvalid):
        read(path)


def test_a_quote_that_never_closes_is_named_by_its_line(csv_file: Any) -> None:
    with pytest.raises(ExtractInvalid, match="begins at line 3") as caught:
        read(csv_file(ROW, f'"{ROW}', ROW))
    assert CANARY not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExtractInvalid, match="FileNotFoundError"):
        read(tmp_path / "nowhere.csv")


def test_a_cohort_may_name_the_persons_of_the_record(csv_file: Any) -> None:
    delivery = read(csv_file(f"{ROW},4", header=f"{HEADER},person_id"))
    assert delivery.requests[0].person_id == "4"
