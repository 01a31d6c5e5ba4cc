"""OMOP-ES extracts: three linked tables become one request a row of PROCEDURE_OCCURRENCE_LINKS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from safelight.cohort import cells
from safelight.cohort.delivery import Delivery, ExtractInfo, fingerprint
from safelight.cohort.parquet import ParquetTable, Row
from safelight.errors import ExtractInvalid, StudyRejected
from safelight.link import SetAsideRow
from safelight.model import Reason, StudyRequest

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

SUMMARY: Final = "extract_summary.json"
_PERSONS: Final = "private/PERSON_LINKS.parquet"
_LINKS: Final = "private/PROCEDURE_OCCURRENCE_LINKS.parquet"
_PROCEDURES: Final = "public/omop/PROCEDURE_OCCURRENCE.parquet"
#: The batched folder of each table.
_BATCHED: Final = {
    _PERSONS: "private/person_links",
    _LINKS: "private/procedure_occurrence_links",
    _PROCEDURES: "public/omop/procedure_occurrence",
}
_LAYOUTS: Final = (
    f"An OMOP-ES extract has {SUMMARY} and either {', '.join(_BATCHED)}, "
    f"or folders of part-*.parquet: {', '.join(_BATCHED.values())}."
)
#: A person or procedure that two rows describe differently: nobody can tell which is right.
_CONFLICT: Final = object()


@dataclass(frozen=True)
class _Procedure:
    person_id: str
    on: date | None


def read_omop_es(folder: Path, *, project: str) -> Delivery:
    """Read an extract in either layout: single files, or batched when all three lower-case folders are there.

    The persons and the procedures that links refer to are held in memory, about 300 bytes each; the tables are streamed.
    All files of the extract are read once for its identity.

    Args:
        folder: the extract's folder.
        project: the slug of the project that asks.

    Raises:
        ExtractInvalid: files or columns are missing or unreadable; single bad rows are set aside instead.
    """
    tables, layout = _tables(folder)
    generated, source = read_summary(folder / SUMMARY)
    persons = _persons(tables[_PERSONS])
    procedures = _procedures(tables[_PROCEDURES], _linked(tables[_LINKS]))
    requests: list[StudyRequest] = []
    aside: list[SetAsideRow] = []
    seen: set[bytes] = set()
    for row in tables[_LINKS].rows(("procedure_occurrence_id", "AccessionNumber", "StudyUid_X")):
        try:
            request = _request(row, persons, procedures, project)
            key = cells.row_key(request.mrn, request.accession_number, request.study_uid, ())
            if key in seen:
                raise StudyRejected(Reason.DUPLICATE_ROW)
            seen.add(key)
            requests.append(request)
        except StudyRejected as rejected:
            aside.append(SetAsideRow(row.line, row.file, rejected.reason))
    info = ExtractInfo(project, folder.name, fingerprint(_files(folder)), generated, source, layout)
    known = {person: mrn for person, mrn in persons.items() if isinstance(mrn, str) and mrn}
    return Delivery(info, tuple(requests), tuple(aside), known)


def _tables(folder: Path) -> tuple[dict[str, ParquetTable], str]:
    if not folder.is_dir():
        raise ExtractInvalid("The extract's folder is not there.", remedy=_LAYOUTS)
    batched = all((folder / name).is_dir() for name in _BATCHED.values())
    found: dict[str, tuple[Path, ...]] = {}
    missing = [] if (folder / SUMMARY).is_file() else [SUMMARY]
    for single, parts in _BATCHED.items():
        if batched:
            found[single] = tuple(sorted((folder / parts).glob("part-*.parquet")))
        else:
            found[single] = (folder / single,) if (folder / single).is_file() else ()
        if not found[single]:
            missing.append(f"{parts}/part-*.parquet" if batched else single)
    if missing:
        raise ExtractInvalid(f"The extract lacks {', '.join(missing)}.", remedy=_LAYOUTS)
    tables = {name: ParquetTable(name, folder, files) for name, files in found.items()}
    return tables, "batched" if batched else "single"


def read_summary(path: Path) -> tuple[datetime, str]:
    """Return when a delivery was generated (aware) and the name of its source. Raises ExtractInvalid."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        generated = cells.instant(content["datetime"])
        source = content["settings"]["cdm_source_name"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ExtractInvalid(
            f"'{SUMMARY}' can't be read ({type(error).__name__}).",
            remedy='It needs {"datetime": "2023-12-07 14:08:58", "settings": {"cdm_source_name": "..."}}.',
        ) from None
    if generated is None or not isinstance(source, str):
        raise ExtractInvalid(
            f"'{SUMMARY}' has no time that can be read, or no name of its source.",
            remedy="Write the time as 2023-12-07 14:08:58; without a zone it is UTC.",
        )
    return generated, source.strip()


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Return the files that make up the extract; logs beside them are not part of what it asks for."""
    found = [(SUMMARY, folder / SUMMARY)]
    for part in ("private", "public"):
        for path in (folder / part).rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                found.append((path.relative_to(folder).as_posix(), path))
    return found


def _persons(table: ParquetTable) -> dict[str, object]:
    """Return person_id -> MRN. A bad MRN is kept as the conflict mark, so that only its own rows are set aside."""
    found: dict[str, object] = {}
    for row in table.rows(("person_id", "PrimaryMrn")):
        try:
            person = _key(row.values[0])
        except StudyRejected:
            continue
        if not person:
            continue
        mrn: object
        try:
            mrn = cells.identifier(row.values[1])
        except StudyRejected:
            mrn = _CONFLICT
        if not found.get(person):
            found[person] = mrn
        elif mrn and found[person] != mrn:
            found[person] = _CONFLICT
    return found


def _key(value: object) -> str:
    number = cells.whole_number(value)
    return "" if number is None else str(number)


def _linked(table: ParquetTable) -> set[int]:
    """Return the procedures that have an accession number or a study UID; an extract may hold many that have none."""
    found = set()
    for row in table.rows(("procedure_occurrence_id", "AccessionNumber", "StudyUid_X")):
        try:
            number = cells.whole_number(row.values[0])
            is_imaging = cells.text(row.values[1]) or cells.text(row.values[2])
        except StudyRejected:
            continue
        if number is not None and is_imaging:
            found.add(number)
    return found


def _procedures(table: ParquetTable, wanted: set[int]) -> dict[int, object]:
    """Return procedure_occurrence_id -> procedure, of those that are linked."""
    found: dict[int, object] = {}
    for row in table.rows(("procedure_occurrence_id", "person_id", "procedure_date")):
        number, procedure = None, _CONFLICT
        try:
            number = cells.whole_number(row.values[0])
            if number not in wanted or number is None:
                continue
            procedure = _Procedure(_key(row.values[1]), cells.day(row.values[2]))
        except StudyRejected:
            if number is None:
                continue
        if found.setdefault(number, procedure) != procedure:
            found[number] = _CONFLICT
    return found


def _request(row: Row, persons: dict[str, object], procedures: dict[int, object], project: str) -> StudyRequest:
    """Build the request of one link row, or raise StudyRejected with the first reason that applies."""
    number = cells.whole_number(row.values[0])
    accession, study_uid = cells.identifier(row.values[1]), cells.uid(row.values[2])
    if number is None or not (accession or study_uid):
        raise StudyRejected(Reason.MISSING_IDENTIFIER)
    procedure = procedures.get(number)
    if procedure is None:
        raise StudyRejected(Reason.UNMATCHED_PROCEDURE)
    if not isinstance(procedure, _Procedure):
        raise StudyRejected(Reason.BAD_VALUE)
    mrn = persons.get(procedure.person_id)
    if mrn is None:
        raise StudyRejected(Reason.UNMATCHED_PERSON)
    if not isinstance(mrn, str):
        raise StudyRejected(Reason.BAD_VALUE)
    if not mrn:
        raise StudyRejected(Reason.MISSING_IDENTIFIER)
    return StudyRequest(
        project=project,
        mrn=mrn,
        accession_number=accession,
        study_uid=study_uid,
        study_date=procedure.on,
        procedure_occurrence_id=number,
        person_id=procedure.person_id,
        line=row.line,
    )
