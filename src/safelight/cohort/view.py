"""Cohorts as a table, view or reviewed query of a warehouse: one request a row, with the columns of a cohort CSV file."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from safelight.cohort import cells
from safelight.cohort.csv_file import asked_for
from safelight.cohort.delivery import Delivery, ExtractInfo
from safelight.errors import ExtractInvalid, StudyRejected
from safelight.link import SetAsideRow
from safelight.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from safelight.model import StudyRequest
    from safelight.warehouse import Warehouse

REQUIRED: Final[tuple[str, ...]] = ("procedure_id", "mrn", "accession_number", "study_uid", "study_date")
OPTIONAL: Final[tuple[str, ...]] = ("person_id", "participant_id", "series_uid")


def read_view(warehouse: Warehouse, name: str, *, project: str, generated: datetime) -> Delivery:
    """Read the cohort of a project as it is now.

    The delivery's identity is what the rows say, in any order: a cohort that has not changed is the same delivery.
    Rows are streamed; memory is that of the requests.

    Args:
        warehouse: where it is.
        name: of the table, view or reviewed query.
        project: the slug of the project that asks.
        generated: the time of reading, aware.

    Raises:
        ExtractInvalid: it lacks a column; single bad rows are set aside instead.
        ConfigurationError, DatabaseUnavailable: it can't be read.
    """
    spelled = {column.lower(): column for column in warehouse.columns(name)}
    if missing := [column for column in REQUIRED if column not in spelled]:
        raise ExtractInvalid(
            f"'{name}' has no column {', '.join(missing)}.",
            remedy=f"It needs: {', '.join(REQUIRED)}; it may have: {', '.join(OPTIONAL)}.",
        )
    columns = [column for column in (*REQUIRED, *OPTIONAL) if column in spelled]
    requests: list[StudyRequest] = []
    aside: list[SetAsideRow] = []
    digests: list[bytes] = []
    seen: set[bytes] = set()
    for line, values in enumerate(_rows(warehouse, name, [spelled[column] for column in columns]), start=1):
        digests.append(hashlib.sha256(json.dumps([str(value) for value in values]).encode()).digest())
        try:
            row = {column: _text(value) for column, value in zip(columns, values, strict=True)}
            request = asked_for(line, row, project)
            key = cells.row_key(request.mrn, request.accession_number, request.study_uid, request.series_uids)
            if key in seen:
                raise StudyRejected(Reason.DUPLICATE_ROW)
            seen.add(key)
            requests.append(request)
        except StudyRejected as rejected:
            aside.append(SetAsideRow(line, name, rejected.reason))
    identity = hashlib.sha256(b"".join(sorted(digests))).hexdigest()
    return Delivery(ExtractInfo(project, name, identity, generated, "warehouse", "sql"), tuple(requests), tuple(aside))


def _rows(warehouse: Warehouse, name: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    for batch in warehouse.read(name, columns):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _text(value: Any) -> str:  # noqa: ANN401  what a database gives
    return value.isoformat() if isinstance(value, date) else cells.text(value)
