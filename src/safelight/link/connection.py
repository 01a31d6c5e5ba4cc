"""Connections to PostgreSQL and SQLite that behave the same, and whose errors quote no data."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine, event, exc
from sqlalchemy.engine import make_url

from safelight.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    IntegrityError,
    SafelightError,
    StorageFull,
    StorageUnwritable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL, Connection, Engine

BUSY_SECONDS: Final = 60.0
_ALLOWED: Final = "Give sqlite:///FILE or postgresql+psycopg2://USER:PASSWORD@HOST/NAME."
_READ_ONLY: Final = "safelight_read_only"


def open_engine(url: str, *, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine; nothing is connected yet.

    Args:
        url: of PostgreSQL or of a SQLite file.
        busy_seconds: how long a writer to SQLite waits for the one before it.

    Raises:
        ConfigurationError: the URL is of another database, or of none.
        StorageUnwritable: the folder of the SQLite file is not there or can't be written.
    """
    parsed = _parse(url)
    if parsed.drivername == "sqlite":
        _make_private_file(Path(parsed.database or ""))
        engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": busy_seconds})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        parsed, hide_parameters=True, pool_pre_ping=True, pool_size=5, max_overflow=20, connect_args={"connect_timeout": 10}
    )


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        # The text may hold a password.
        raise ConfigurationError("The link database's address is not a URL.", remedy=_ALLOWED) from None
    if parsed.drivername in {"postgresql", "postgresql+psycopg2"}:
        return parsed.set(drivername="postgresql+psycopg2")
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        if parsed.database in {None, "", ":memory:"}:
            raise ConfigurationError("The link database must outlive the process: SQLite needs a file.", remedy=_ALLOWED)
        return parsed.set(drivername="sqlite")
    raise ConfigurationError(
        f"The link database can't be '{parsed.drivername}': only PostgreSQL and SQLite are tested.", remedy=_ALLOWED
    )


def _make_private_file(path: Path) -> None:
    """Create the file readable by its owner only; SQLite gives its journal the same mode."""
    if path.exists():
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StorageUnwritable(
            f"The link database's file '{path.name}' can't be created ({type(error).__name__}).",
            remedy="Create its folder, or correct owner, permissions or the URL.",
        ) from None


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401  the driver's own
    # The driver would open transactions by itself, late and deferred; _begin_sqlite opens them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails at once when another has written in between.
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def transaction(engine: Engine, *, read_only: bool = False) -> Iterator[Connection]:
    """Run the block in one transaction: all of it happens, or nothing.

    Raises:
        DatabaseUnavailable: no answer, or locked for too long.
        ConfigurationError: refused for good, or the schema is not there.
        StorageFull, StorageUnwritable: of the database's disk.
        IntegrityError: a value or a row contradicts the schema.
    """
    engine = engine.execution_options(**{_READ_ONLY: read_only})
    try:
        with engine.begin() as connection:
            yield connection
    except exc.DBAPIError as error:
        raise translate(error) from None
    except exc.TimeoutError:
        raise DatabaseUnavailable(
            "All connections to the link database are in use.", remedy="Run fewer workers at once, or try again later."
        ) from None
    except exc.SQLAlchemyError as error:
        raise IntegrityError(f"The link database refused a statement ({type(error).__name__}).") from None
    except (ValueError, OverflowError) as error:
        # Drivers raise these themselves for NUL characters, lone surrogates and numbers beyond 64 bits, with the value.
        raise IntegrityError(f"A value can't be stored in the link database ({type(error).__name__}).") from None


_MISSING_SCHEMA: Final = re.compile(r"no such (table|column)|has no column named")
_REFUSED: Final = re.compile(
    r"authentication failed|no password supplied|role .* does not exist|database .* does not exist|no pg_hba"
)


def translate(error: exc.DBAPIError) -> SafelightError:
    """Return our error for the driver's. Its own text stays behind: it may quote data or the URL."""
    text = str(error.orig)
    state = str(getattr(error.orig, "pgcode", None) or "")
    if _MISSING_SCHEMA.search(text) or state in {"42P01", "42703", "3F000"}:
        return schema_is_behind()
    if "disk is full" in text or state == "53100":
        return StorageFull("The link database's disk is full.", remedy="Make room; nothing was lost.")
    if "readonly database" in text or "unable to open database file" in text or state == "25006":
        return StorageUnwritable("The link database can't be written.", remedy="Check its file's owner and permissions.")
    if "not a database" in text or "malformed" in text:
        return IntegrityError("The link database's file is damaged.", remedy="Restore it from the back-up.")
    if isinstance(error, exc.IntegrityError | exc.DataError):
        return IntegrityError(f"The link database refused a row ({type(error).__name__}).")
    if _REFUSED.search(text) or state in {"28P01", "28000", "3D000", "42501"}:
        return ConfigurationError(
            "The link database refused us: user, password, database name or rights are wrong.",
            remedy="Correct the URL in the block 'link-database'.",
        )
    if isinstance(error, exc.OperationalError | exc.InterfaceError) or error.connection_invalidated:
        return DatabaseUnavailable(
            "The link database does not answer, or is busy.", remedy="Check that it runs; then try again."
        )
    return IntegrityError(f"The link database refused a statement ({type(error).__name__}).")


def schema_is_behind() -> ConfigurationError:
    """Return the error for a database without the tables of this version."""
    return ConfigurationError(
        "The link database does not have the schema of this version.",
        remedy="Make a back-up and run 'safelight db migrate'.",
    )
