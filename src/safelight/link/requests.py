"""Requests: how they are entered once, read, and counted as asked for."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, insert, select

from safelight.errors import IntegrityError
from safelight.link import schema
from safelight.link.batches import in_batches
from safelight.link.extracts import insert as insert_unless_known
from safelight.link.rows import Added, Request
from safelight.model import Reason, RequestState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row
    from sqlalchemy.sql import Select

    from safelight.model import StudyRequest
    from safelight.pseudonym import Pseudonymizer

#: DICOM's own separator of values (PS3.5 section 6.4): it can't be in a UID.
_SEPARATOR: Final = "\\"


def natural_key(request: StudyRequest) -> str:
    """Return what makes a request the same one in another delivery: SHA-256, in hexadecimal.

    Patient, accession number, study, series and part; not the date, nor the ids that the record's extract gives out anew.
    """
    parts = [request.mrn.strip(), request.accession_number.strip(), request.study_uid.strip()]
    later = [{"part": request.part}] if request.part else []
    return hashlib.sha256(json.dumps([*parts, *_series(request), *later]).encode()).hexdigest()


def _series(request: StudyRequest) -> list[str]:
    return sorted({uid.strip() for uid in request.series_uids} - {""})


def add_batch(
    connection: Connection,
    extract: tuple[int, int],
    batch: Sequence[StudyRequest],
    *,
    pseudonymizer: Pseudonymizer,
    opted_out: Mapping[str, Reason],
    now: datetime,
) -> Added:
    """Enter one batch of an extract, given by project id and extract id. Those known already stay as they are."""
    project, extract_id = extract
    table = schema.request
    keyed = {natural_key(item): item for item in reversed(batch)}
    # Most of a nightly delivery is known; hashing and sending it again would take most of the time.
    known = select(table.c.natural_key).where(table.c.project_id == project, table.c.natural_key.in_(list(keyed)))
    for key in connection.scalars(known).all():
        del keyed[key]
    rows = {key: _columns(item, pseudonymizer) for key, item in reversed(keyed.items())}
    stamps = {"project_id": project, "extract_id": extract_id, "created_at": now, "updated_at": now}
    statement = (
        insert_unless_known(connection, table)
        .on_conflict_do_nothing(index_elements=[table.c.project_id, table.c.natural_key])
        .returning(table.c.id)
    )
    entered: Sequence[int] = ()
    if rows:
        new = [{"natural_key": key, "state": RequestState.REQUESTED.value, **row, **stamps} for key, row in rows.items()]
        entered = connection.scalars(statement, new).all()
    if entered:
        connection.execute(
            insert(schema.transition),
            [{"request_id": id_, "to_state": RequestState.REQUESTED.value, "attempt": 1, "at": now} for id_ in entered],
        )
    excluded = sum(1 for item in batch if item.mrn.strip() in opted_out)
    return Added(len(entered), len(batch) - len(entered), excluded)


def _columns(request: StudyRequest, pseudonymizer: Pseudonymizer) -> dict[str, Any]:
    mrn, person, accession = request.mrn.strip(), request.person_id.strip(), request.accession_number.strip()
    study_uid = request.study_uid.strip()
    return {
        "mrn": mrn,
        "accession_number": accession,
        "study_uid": study_uid,
        "series_uids": _SEPARATOR.join(_series(request)),
        "part": request.part,
        "study_date": request.study_date,
        "procedure_occurrence_id": request.procedure_occurrence_id,
        "person_id": person,
        "participant_id": request.participant_id.strip(),
        "pseudo_study_uid": pseudonymizer.uid(study_uid),
        "pseudo_patient_id": pseudonymizer.secure_hash(mrn, "patient"),
        "pseudo_person_id": pseudonymizer.secure_hash(person, "person") if person else "",
        "pseudo_accession_number": pseudonymizer.secure_hash(accession, "accession") if accession else "",
    }


def issued(connection: Connection, project: int) -> tuple[str, str, str] | None:
    """Return domain, identifier and pseudonym of the first person or accession number that got one."""
    table = schema.request
    for domain, value, pseudonym in (
        ("person", table.c.person_id, table.c.pseudo_person_id),
        ("accession", table.c.accession_number, table.c.pseudo_accession_number),
    ):
        query = select(value, pseudonym).where(table.c.project_id == project, pseudonym != "").order_by(table.c.id).limit(1)
        if found := connection.execute(query).one_or_none():
            return domain, found[0], found[1]
    return None


def known_patients(connection: Connection, project: int, mrns: Collection[str]) -> Iterator[str]:
    """Return those of the medical record numbers that a request of the project is about."""
    table = schema.request
    for batch in in_batches(mrns):
        yield from connection.scalars(
            select(table.c.mrn).distinct().where(table.c.project_id == project, table.c.mrn.in_(batch))
        )


def known(connection: Connection, project: int, request: StudyRequest) -> Request | None:
    """Return the request that this one would be, where it was entered already."""
    table = schema.request
    row = connection.execute(
        _select().where(table.c.project_id == project, table.c.natural_key == natural_key(request))
    ).one_or_none()
    return _request(row) if row is not None else None


def _select() -> Select[Any]:
    table = schema.request
    return (
        select(table, schema.project.c.slug, func.coalesce(schema.patient.c.nhs_number, "").label("nhs_number"))
        .join(schema.project, schema.project.c.id == table.c.project_id)
        .outerjoin(
            schema.patient, and_(schema.patient.c.project_id == table.c.project_id, schema.patient.c.mrn == table.c.mrn)
        )
    )


def _request(row: Row[Any]) -> Request:
    return Request(
        id=row.id,
        project=row.slug,
        state=RequestState(row.state),
        reason=Reason(row.reason) if row.reason else None,
        attempts=row.attempts,
        mrn=row.mrn,
        accession_number=row.accession_number,
        study_uid=row.study_uid,
        series_uids=tuple(row.series_uids.split(_SEPARATOR)) if row.series_uids else (),
        study_date=row.study_date,
        procedure_occurrence_id=row.procedure_occurrence_id,
        person_id=row.person_id,
        participant_id=row.participant_id,
        nhs_number=row.nhs_number,
        archive=row.archive,
        located_study_uid=row.located_study_uid,
        announced=row.announced,
        received=row.received,
        pseudo_study_uid=row.pseudo_study_uid,
        pseudo_patient_id=row.pseudo_patient_id,
        extract_id=row.extract_id,
        part=row.part,
    )


def by_id(connection: Connection, ids: Sequence[int]) -> list[Request]:
    """Return requests in the order of their ids given. Raises IntegrityError when one is not there."""
    found: dict[int, Request] = {}
    for batch in in_batches(ids):
        for row in connection.execute(_select().where(schema.request.c.id.in_(batch))):
            found[row.id] = _request(row)
    if missing := [id_ for id_ in ids if id_ not in found]:
        raise IntegrityError(f"There is no request {missing[0]} ({len(missing)} of {len(ids)} are unknown).")
    return [found[id_] for id_ in ids]


def page(connection: Connection, project: int, states: Iterable[RequestState], *, after: int, size: int) -> list[Request]:
    """Return the next requests of a project in these states, by id."""
    table = schema.request
    wanted = [state.value for state in states]
    return [
        _request(row)
        for row in connection.execute(
            _select()
            .where(table.c.project_id == project, table.c.state.in_(wanted), table.c.id > after)
            .order_by(table.c.id)
            .limit(size)
        )
    ]


def of_pseudonym(connection: Connection, project: int, pseudonym: str) -> list[Request]:
    """Return the project's requests whose study, series, instance, patient, person or accession has this pseudonym."""
    table, instance = schema.request, schema.instance
    of_instances = select(instance.c.request_id).where(
        (instance.c.pseudo_sop_instance_uid == pseudonym) | (instance.c.pseudo_series_instance_uid == pseudonym)
    )
    named = (
        table.c.pseudo_study_uid,
        table.c.pseudo_patient_id,
        table.c.pseudo_person_id,
        table.c.pseudo_accession_number,
    )
    # One statement a column: PostgreSQL and SQLite then each use that column's index.
    ids: set[int] = set()
    for column in named:
        ids.update(connection.scalars(select(table.c.id).where(column == pseudonym, table.c.project_id == project)))
    ids.update(connection.scalars(select(table.c.id).where(table.c.id.in_(of_instances), table.c.project_id == project)))
    return by_id(connection, sorted(ids))
