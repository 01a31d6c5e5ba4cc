"""Cohorts as CSV files: one request a row, several projects a file."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from safelight.cohort import cells
from safelight.cohort.delivery import Delivery, ExtractInfo, fingerprint
from safelight.errors import ExtractInvalid, StudyRejected
from safelight.link import SetAsideRow
from safelight.model import Reason, StudyRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

REQUIRED: Final = (
    "procedure_id",
    "mrn",
    "accession_number",
    "project_name",
    "extract_generated_timestamp",
    "study_date",
    "study_uid",
    "participant_id",
)
OPTIONAL: Final = ("series_uid", "person_id")
_COLUMNS: Final = f"It needs: {', '.join(REQUIRED)}; it may have: {', '.join(OPTIONAL)}."
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_csv(path: Path, *, project: str, projects: Collection[str] | None = None) -> Delivery:
    r"""Read a CSV file: UTF-8 with or without byte order mark, any line end, columns in any order, others ignored.

    Every cell is text: ``NA`` and leading zeros are values. ``series_uid`` holds several UIDs separated by ``\``. The
    delivery was generated when the latest of its rows says so. The file is read twice.

    Args:
        path: the file.
        project: the slug of the project that asks.
        projects: slugs of all projects there are. None: rows of any other name count as other projects'.

    Raises:
        ExtractInvalid: not a CSV file in UTF-8, or without a required column; single bad rows are set aside instead.
    """
    requests: list[StudyRequest] = []
    aside: list[SetAsideRow] = []
    seen: set[bytes] = set()
    others, generated = 0, _NO_TIME
    for line, row in _rows(path):
        if row is None:
            aside.append(SetAsideRow(line, path.name, Reason.BAD_VALUE))
            continue
        name = row["project_name"].strip()
        if name != project and name and (projects is None or name in projects):
            others += 1
            continue
        try:
            if name != project:
                raise StudyRejected(Reason.UNKNOWN_PROJECT if name else Reason.MISSING_IDENTIFIER)
            request, at = _request(line, row, project)
            key = cells.row_key(request.mrn, request.accession_number, request.study_uid, request.series_uids)
            if key in seen:
                raise StudyRejected(Reason.DUPLICATE_ROW)
            seen.add(key)
            requests.append(request)
            generated = max(generated, at)
        except StudyRejected as rejected:
            aside.append(SetAsideRow(line, path.name, rejected.reason))
    info = ExtractInfo(project, path.name, fingerprint([("", path)]), generated, "csv", "csv")
    return Delivery(info, tuple(requests), tuple(aside), other_projects=others)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Return each row with the line where it begins; None for one that has more or fewer cells than the header."""
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check(header)
            line = reader.line_num
            for row in reader:
                begins, line = line + 1, reader.line_num
                if row:
                    yield begins, dict(zip(header, row, strict=True)) if len(row) == len(header) else None
    except UnicodeDecodeError:
        raise ExtractInvalid("The CSV file is not UTF-8.", remedy="Save it as UTF-8, with or without a mark.") from None
    except csv.Error:
        raise ExtractInvalid(
            f"The CSV file is broken in the row that begins at line {line + 1}.",
            remedy="Look for a quote that never closes.",
        ) from None
    except OSError as error:
        raise ExtractInvalid(f"The CSV file can't be read ({type(error).__name__}).", remedy="Check its path.") from None


def _check(header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ExtractInvalid(f"The CSV file has no column {', '.join(missing)}.", remedy=_COLUMNS)
    if twice := sorted({name for name in (*REQUIRED, *OPTIONAL) if header.count(name) > 1}):
        raise ExtractInvalid(f"The CSV file has the column {', '.join(twice)} more than once.", remedy=_COLUMNS)


def _request(line: int, row: Mapping[str, str], project: str) -> tuple[StudyRequest, datetime]:
    """Build the request of one row, or raise StudyRejected with the first reason that applies."""
    request = asked_for(line, row, project)
    at = cells.instant(row["extract_generated_timestamp"])
    if at is None:
        raise cells.bad_value()
    return request, at


def asked_for(line: int, row: Mapping[str, str], project: str) -> StudyRequest:
    """Return the request of one row of text cells. Raises StudyRejected with the first reason that applies."""
    number = cells.whole_number(row["procedure_id"])
    mrn = cells.identifier(row["mrn"])
    accession, study_uid = cells.identifier(row["accession_number"]), cells.uid(row["study_uid"])
    series = tuple(cells.uid(part) for part in row.get("series_uid", "").split("\\") if part.strip())
    on = cells.day(row["study_date"])
    if number is None or not mrn or not (accession or study_uid):
        raise StudyRejected(Reason.MISSING_IDENTIFIER)
    return StudyRequest(
        project=project,
        mrn=mrn,
        accession_number=accession,
        study_uid=study_uid,
        study_date=on,
        procedure_occurrence_id=number,
        person_id=cells.identifier(row.get("person_id", "")),
        participant_id=cells.identifier(row.get("participant_id", "")),
        series_uids=series,
        line=line,
    )
