"""What can be wrong with a database, and that no error quotes data or passwords."""

from __future__ import annotations

import re
import sqlite3
import stat
import traceback
from pathlib import Path

import pytest
from sqlalchemy import event, text

from safelight.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    IntegrityError,
    SafelightError,
    StorageUnwritable,
    TransientError,
)
from safelight.link import LinkDatabase
from safelight.link.connection import open_engine, transaction
from tests.link.conftest import CANARY, PROJECT, Clock, Ledger, a_request
from tests.services.postgresql import Postgresql
from tests.services.process import free_port

SECRET = "CANARY-PASSWORD"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{SECRET}@host/name",
        f"postgresql+asyncpg://user:{SECRET}@host/name",
        "sqlite://",
        "sqlite:///:memory:",
        f"not a url {SECRET}",
        "",
    ],
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sqlite:///FILE or postgresql\+psycopg2") as caught:
        LinkDatabase(url, clock=Clock())
    assert SECRET not in str(caught.value)


def test_a_server_that_does_not_answer_may_answer_later() -> None:
    database = LinkDatabase(f"postgresql+psycopg2://link:{SECRET}@127.0.0.1:{free_port()}/link", clock=Clock())
    with pytest.raises(DatabaseUnavailable) as caught:
        database.check()
    assert isinstance(caught.value, TransientError)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "change", [("link:link", f"link:{SECRET}"), ("/link", "/nothere"), ("link:link", f"nobody:{SECRET}")]
)
def test_a_server_that_refuses_us_needs_a_person(postgresql: Postgresql, change: tuple[str, str]) -> None:
    url = postgresql.new_database()
    wrong = "".join(url.rsplit(change[0], 1)[0:1]) + change[1] + url.rsplit(change[0], 1)[1]
    database = LinkDatabase(wrong, clock=Clock())
    with pytest.raises(ConfigurationError, match="refused us") as caught:
        database.check()
    assert SECRET not in str(caught.value)
    database.close()
    postgresql.drop_database(url)


def test_a_server_that_goes_away_is_found_again(postgresql: Postgresql, ledger: Ledger) -> None:
    """Connections that the server dropped are replaced; nothing is lost by it."""
    if ledger.url.startswith("sqlite"):
        ledger.database.close()
    else:
        with transaction(open_engine(postgresql.new_database())) as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                {"name": ledger.url.rpartition("/")[2]},
            )
    assert ledger.add(a_request("M1")).new == 1


def test_sqlite_files_are_private_and_in_wal(tmp_path: Path) -> None:
    path = tmp_path / "link.sqlite"
    database = LinkDatabase(f"sqlite:///{path}", clock=Clock())
    database.migrate()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for journal in tmp_path.glob("link.sqlite-*"):
        assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    database.close()


def test_a_folder_that_is_not_there_is_named_as_the_cause(tmp_path: Path) -> None:
    with pytest.raises(StorageUnwritable, match=r"link\.sqlite") as caught:
        LinkDatabase(f"sqlite:///{tmp_path / 'nowhere' / 'link.sqlite'}", clock=Clock())
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "link.sqlite"
    path.write_bytes(b"not a database, " * 100)
    database = LinkDatabase(f"sqlite:///{path}", clock=Clock())
    with pytest.raises(IntegrityError, match="damaged"):
        database.check()


def test_a_writer_that_holds_the_database_too_long_is_a_passing_failure(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'link.sqlite'}"
    database = LinkDatabase(url, clock=Clock())
    database.migrate()
    other = sqlite3.connect(tmp_path / "link.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    impatient = open_engine(url, busy_seconds=0.05)
    with pytest.raises(DatabaseUnavailable), transaction(impatient):
        raise AssertionError
    impatient.dispose()
    assert database.summary(PROJECT).requested == 0, "readers are not held up"
    other.execute("ROLLBACK")
    database.close()


def test_no_error_quotes_what_a_row_holds(ledger: Ledger) -> None:
    """Statements that the drivers refuse with identifiers in hand."""
    big, half = a_request(CANARY, procedure_occurrence_id=2**70), a_request(f"{CANARY}\ud800")
    for request in (big, half):
        with pytest.raises(SafelightError) as caught:
            ledger.add(request)
        shown = "".join(traceback.format_exception(caught.value))
        assert CANARY not in shown
        assert isinstance(caught.value, IntegrityError)
    assert ledger.database.summary(PROJECT).requested == 0


def test_the_engine_hides_parameters_and_urls_hide_passwords() -> None:
    engine = open_engine(f"postgresql+psycopg2://link:{SECRET}@127.0.0.1/link")
    assert engine.hide_parameters
    assert SECRET not in repr(engine)
    assert not re.search(SECRET, str(engine.url))


def test_a_read_only_file_is_named_as_the_cause(tmp_path: Path) -> None:
    path = tmp_path / "link.sqlite"
    database = LinkDatabase(f"sqlite:///{path}", clock=Clock())
    database.migrate()
    database.close()
    engine = open_engine(f"sqlite:///{path}")
    # What SQLite itself says on a read-only file system; as root no file is read-only.
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = 1"))
    with pytest.raises(StorageUnwritable, match="can't be written"), transaction(engine) as connection:
        connection.execute(text("DELETE FROM request"))
    engine.dispose()
