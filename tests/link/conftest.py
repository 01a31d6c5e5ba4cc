"""The same tests run on SQLite and on a real PostgreSQL: neither stands in for the other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from safelight.link import LinkDatabase
from safelight.link.schema import metadata
from safelight.model import Reason, RequestState, StudyRequest
from safelight.pseudonym import ProjectKey, Pseudonymizer
from tests.services.postgresql import Postgresql

PROJECT = "chest"
CANARY = "CANARY-LINK"
LEASE = timedelta(minutes=5)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 15, 9, 30, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **step: float) -> None:
        self.now += timedelta(**step)


class Ledger:
    """A link database with the means to fill it."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url, self.clock = url, clock
        self.database = LinkDatabase(url, clock=clock)
        self.pseudonyms = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
        self.extract = self.register()

    def register(self, project: str = PROJECT, sha256: str = "a" * 64) -> int:
        return self.database.register_extract(
            project, name="extract-1", sha256=sha256, generated=self.clock(), source="test"
        )

    def add(self, *requests: StudyRequest, extract: int | None = None, **opted_out: Reason) -> Any:
        return self.database.add_requests(
            extract or self.extract, requests, pseudonymizer=self.pseudonyms, opted_out=opted_out
        )

    def add_some(self, count: int) -> list[int]:
        """Enter so many new requests and return their ids."""
        before = {request.id for request in self.database.find(PROJECT, list(RequestState))}
        self.add(*(a_request(f"M{len(before) + number}") for number in range(count)))
        return [r.id for r in self.database.find(PROJECT, list(RequestState)) if r.id not in before]

    def claim(self, *states: RequestState, worker: str = "w1", limit: int = 100, project: str = PROJECT) -> list[int]:
        return self.database.claim(project, states or [RequestState.REQUESTED], worker=worker, limit=limit, lease=LEASE)

    def state(self, request_id: int) -> RequestState:
        return self.database.requests([request_id])[0].state

    def bring_to(self, request_id: int, state: RequestState) -> None:
        """Move a requested request to a state, by allowed moves only."""
        path = {
            RequestState.REQUESTED: [],
            RequestState.LOCATED: ["located"],
            RequestState.RETRIEVED: ["located", "retrieved"],
            RequestState.DEIDENTIFIED: ["located", "retrieved", "deidentified"],
            RequestState.VERIFIED: ["located", "retrieved", "deidentified", "verified"],
            RequestState.EXPORTED: ["located", "retrieved", "deidentified", "verified", "exported"],
        }.get(state, [state.value])
        for step in path:
            to, reason = RequestState(step), REASONS.get(RequestState(step))
            self.take(request_id)
            self.database.move(request_id, to, worker="w1", reason=reason)

    def take(self, request_id: int, worker: str = "w1") -> None:
        """Lease this request, whatever its state."""
        claimed = self.claim(self.state(request_id), worker=worker, limit=10_000)
        self.database.release([id_ for id_ in claimed if id_ != request_id], worker=worker)


#: A reason for each state that needs one.
REASONS = {
    RequestState.OPTED_OUT: Reason.NOT_ON_OPT_OUT_LIST,
    RequestState.NOT_FOUND: Reason.NOT_IN_ANY_ARCHIVE,
    RequestState.REJECTED: Reason.BURNED_IN,
    RequestState.QUARANTINED: Reason.TRUNCATED,
    RequestState.FAILED: Reason.INCOMPLETE,
}


def a_request(mrn: str = "M0", **other: Any) -> StudyRequest:
    values: dict[str, Any] = {
        "project": PROJECT,
        "mrn": mrn,
        "accession_number": f"A-{mrn}",
        "study_uid": f"1.2.3.{sum(map(ord, mrn))}.{len(mrn)}",
        "study_date": date(2020, 2, 29),
        "procedure_occurrence_id": 4,
        "person_id": "7",
        **other,
    }
    return StudyRequest(**values)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file, to be copied: migrating anew for each test would take most of the time."""
    path = tmp_path_factory.mktemp("link") / "template.sqlite"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: Postgresql) -> Iterator[str]:
    """A migrated PostgreSQL database that each test leaves empty."""
    url = postgresql.new_database()
    _migrate(url)
    yield url
    postgresql.drop_database(url)


def _migrate(url: str) -> None:
    database = LinkDatabase(url, clock=Clock())
    database.migrate()
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database without rows."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), tmp_path / "link.sqlite")
        yield f"sqlite:///{tmp_path / 'link.sqlite'}"
        return
    url = str(request.getfixturevalue("migrated_postgresql"))
    yield url
    engine = create_engine(url)
    with engine.begin() as connection:
        # As a replica, so that the trigger which keeps the audit trail lets the rows go.
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[Ledger]:
    ledger = Ledger(url, clock)
    yield ledger
    ledger.database.close()


@pytest.fixture
def another(url: str, clock: Clock) -> Iterator[Callable[[], LinkDatabase]]:
    """Open the same database once more, as another process would."""
    opened: list[LinkDatabase] = []

    def open_it() -> LinkDatabase:
        opened.append(LinkDatabase(url, clock=clock))
        return opened[-1]

    yield open_it
    for database in opened:
        database.close()
