"""``safelight trace`` and ``safelight db`` on real databases."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from safelight.cli.main import main
from safelight.model import KnownIdentifiers
from tests.link.conftest import PROJECT, Ledger, a_request


def safelight(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def trace(ledger: Ledger, pseudonym: str, *more: str) -> Result:
    return safelight("trace", pseudonym, "--project", PROJECT, "--database", ledger.url, "--actor", "governance", *more)


@pytest.fixture
def pseudonym(ledger: Ledger) -> str:
    ledger.clock.now = datetime.now(UTC)
    ledger.add(a_request("M1", study_uid=""), a_request("M2"))
    ledger.database.put_patients(PROJECT, [KnownIdentifiers(mrn="M1", nhs_number="9434765919")])
    return ledger.pseudonyms.secure_hash("M1", "patient")


def test_a_pseudonym_is_traced_to_its_patient(ledger: Ledger, pseudonym: str) -> None:
    shown = trace(ledger, pseudonym, "--json")
    assert shown.exit_code == 0, shown.output
    (row,) = json.loads(shown.output)
    assert (row["mrn"], row["nhs_number"], row["accession_number"]) == ("M1", "9434765919", "A-M1")
    assert (row["state"], row["study_date"], row["pseudo_patient_id"]) == ("requested", "2020-02-29", pseudonym)
    people = trace(ledger, pseudonym)
    assert "A-M1" in people.output
    assert "A-M2" not in people.output
    assert ledger.database.verify_audit() == 2


def test_a_pseudonym_of_nobody_is_said_and_audited(ledger: Ledger, pseudonym: str) -> None:
    shown = trace(ledger, pseudonym[::-1])
    assert (shown.exit_code, shown.output) == (0, "Nothing has this pseudonym in this project.\n")
    assert json.loads(trace(ledger, pseudonym[::-1], "--json").output) == []
    assert ledger.database.verify_audit() == 2


def test_a_database_without_schema_says_what_to_type(empty_url: str) -> None:
    shown = safelight("trace", "2.25.1", "--project", PROJECT, "--database", empty_url)
    assert shown.exit_code == 2
    assert "safelight db migrate" in shown.output
    for _ in range(2):
        assert safelight("db", "migrate", "--database", empty_url).exit_code == 0
    assert safelight("trace", "2.25.1", "--project", PROJECT, "--database", empty_url).exit_code == 0
    checked = safelight("db", "check", "--database", empty_url)
    assert (checked.exit_code, checked.output) == (0, "The schema is at this version; 1 audit entries are unbroken.\n")


def test_who_looked_up_what_can_be_asked(ledger: Ledger, pseudonym: str) -> None:
    trace(ledger, pseudonym)
    ledger.database.audit("release", "nightly", release="r1")
    for _ in range(2):
        shown = safelight("db", "audit", "--database", ledger.url, "--json")
        events = [json.loads(line) for line in shown.output.splitlines()]
        assert [(entry["number"], entry["event"], entry["actor"]) for entry in events] == [
            (1, "trace", "governance"),
            (2, "release", "nightly"),
        ]
    looked_up = safelight("db", "audit", "--database", ledger.url, "--event", "trace").output
    assert looked_up.splitlines()[1:] == ["1 entries"]
    assert "governance" in looked_up
    assert "M1" not in looked_up
