"""The audit trail: append-only, chained, and every look-up in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError

from safelight.errors import IntegrityError
from safelight.link import LinkDatabase
from safelight.link.audit import GENESIS
from safelight.link.connection import open_engine
from safelight.model import InstanceOutcome, InstanceResult, RequestState
from tests.link.conftest import CANARY, PROJECT, Ledger, a_request


def rows(ledger: Ledger) -> list[Any]:
    engine = open_engine(ledger.url)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT number, at, event, actor, details, previous_hash, hash FROM audit_event ORDER BY number")
        ).all()
    engine.dispose()
    return list(found)


def tamper(ledger: Ledger, *statements: str) -> None:
    """Change the table as somebody would who may do anything to the database."""
    engine = create_engine(ledger.url)
    if engine.dialect.name == "sqlite":
        statements = ("DROP TRIGGER audit_event_no_update", "DROP TRIGGER audit_event_no_delete", *statements)
    else:
        statements = ("SET session_replication_role = replica", *statements)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def fill(ledger: Ledger, count: int = 5) -> None:
    for number in range(count):
        ledger.clock.forward(seconds=1)
        ledger.database.audit("look", "somebody", number=number, release="r1")


def test_the_chain_can_be_rebuilt_by_anyone(ledger: Ledger) -> None:
    fill(ledger, 3)
    previous = GENESIS
    for number, row in enumerate(rows(ledger), start=1):
        at = (
            row.at
            if isinstance(row.at, str)
            else row.at.astimezone(ledger.clock.now.tzinfo).isoformat(timespec="microseconds")
        )
        content = json.dumps([previous, number, at, row.event, row.actor, row.details], separators=(",", ":"))
        assert (row.number, row.previous_hash) == (number, previous)
        assert row.hash == hashlib.sha256(content.encode()).hexdigest()
        previous = row.hash
    assert ledger.database.verify_audit() == 3
    assert ledger.database.audit_head() == (3, previous)


def test_an_empty_trail_is_unbroken(ledger: Ledger) -> None:
    assert ledger.database.verify_audit() == 0
    assert ledger.database.audit_head() == (0, GENESIS)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE audit_event SET details = '{}' WHERE number = 3", 3),
        ("UPDATE audit_event SET actor = 'nobody' WHERE number = 1", 1),
        ("UPDATE audit_event SET event = 'x' WHERE number = 5", 5),
        ("UPDATE audit_event SET at = '2026-01-01T00:00:00.000000+00:00' WHERE number = 2", 2),
        ("UPDATE audit_event SET hash = 'f' WHERE number = 2", 2),
        ("UPDATE audit_event SET previous_hash = 'f' WHERE number = 4", 4),
        ("UPDATE audit_event SET number = 99 WHERE number = 5", 5),
        ("UPDATE audit_event SET number = 0 WHERE number = 5", 0),
        ("DELETE FROM audit_event WHERE number = 1", 1),
        ("DELETE FROM audit_event WHERE number = 3", 3),
    ],
)
def test_every_change_is_found_where_it_was_made(ledger: Ledger, change: str, broken: int) -> None:
    fill(ledger)
    assert ledger.database.verify_audit() == 5
    tamper(ledger, change)
    with pytest.raises(IntegrityError, match=f"entry {broken}:"):
        ledger.database.verify_audit()


def test_a_trail_that_was_cut_short_or_rewritten_fails_against_a_head_written_down(ledger: Ledger) -> None:
    fill(ledger)
    head = ledger.database.audit_head()
    assert ledger.database.verify_audit(expected_head=head) == 5
    fill(ledger, 1)
    assert ledger.database.verify_audit(expected_head=head) == 6
    tamper(ledger, "DELETE FROM audit_event WHERE number > 3")
    assert ledger.database.verify_audit() == 3, "the chain alone can't know"
    with pytest.raises(IntegrityError, match="entry 4:"):
        ledger.database.verify_audit(expected_head=head)
    fill(ledger)
    with pytest.raises(IntegrityError, match="entry 5:"):
        ledger.database.verify_audit(expected_head=head)


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event"])
def test_the_database_itself_refuses_changes(ledger: Ledger, statement: str) -> None:
    fill(ledger, 1)
    engine = create_engine(ledger.url)
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
    assert ledger.database.verify_audit() == 1


def test_writers_at_once_make_one_chain(ledger: Ledger, another: Callable[[], LinkDatabase]) -> None:
    databases = [another() for _ in range(4)]

    def write(database: LinkDatabase) -> None:
        for number in range(10):
            database.audit("look", "somebody", number=number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, databases))
    assert ledger.database.verify_audit() == 40


def test_a_trace_finds_every_kind_of_pseudonym(ledger: Ledger) -> None:
    ledger.add(a_request("M1", accession_number="A1", person_id="7", study_uid="1.2.3"), a_request("M2", person_id="8"))
    first, second = (request.id for request in ledger.database.find(PROJECT, [RequestState.REQUESTED]))
    ledger.database.record_instances(
        second,
        [InstanceResult(InstanceOutcome.WRITTEN, pseudo_sop_instance_uid="2.25.1", pseudo_series_instance_uid="2.25.2")],
    )
    hash_of = ledger.pseudonyms.secure_hash
    expected = {
        hash_of("M1", "patient"): [first],
        hash_of("7", "person"): [first],
        hash_of("A1", "accession"): [first],
        ledger.pseudonyms.uid("1.2.3"): [first],
        f" {hash_of('M2', 'patient')}\n": [second],
        "2.25.1": [second],
        "2.25.2": [second],
        "2.25.3": [],
        "": [],
    }
    for pseudonym, ids in expected.items():
        assert [request.id for request in ledger.database.trace(PROJECT, pseudonym, actor="governance")] == ids
    assert ledger.database.verify_audit() == len(expected)


def test_a_trace_stays_in_its_project(ledger: Ledger) -> None:
    other = ledger.register(project="other")
    ledger.add(a_request("M1"), extract=other)
    assert ledger.database.trace(PROJECT, ledger.pseudonyms.secure_hash("M1", "patient"), actor="x") == []
    assert ledger.database.trace("nobody", "2.25.1", actor="x") == []


def test_a_trace_is_written_down_with_who_asked_but_not_whom_it_showed(ledger: Ledger) -> None:
    ledger.add(a_request(CANARY, accession_number=CANARY, study_uid=CANARY))
    pseudonym = ledger.pseudonyms.secure_hash(CANARY, "patient")
    (found,) = ledger.database.trace(PROJECT, pseudonym, actor="governance")
    assert found.mrn == CANARY
    (row,) = rows(ledger)
    assert (row.event, row.actor) == ("trace", "governance")
    assert json.loads(row.details) == {"project": PROJECT, "requests": 1, "request_0": found.id}
    assert CANARY not in str(row)


def test_a_trace_that_can_not_be_written_down_shows_nothing(ledger: Ledger) -> None:
    ledger.add(a_request("M1"))
    pseudonym = ledger.pseudonyms.secure_hash("M1", "patient")
    engine = ledger.database._engine

    def refuse(*_: object) -> None:
        raise ConnectionError

    event.listen(engine, "commit", refuse)
    with pytest.raises(ConnectionError):
        ledger.database.trace(PROJECT, pseudonym, actor="governance")
    event.remove(engine, "commit", refuse)
    assert rows(ledger) == []
