"""Reads a warehouse: a read-only transaction, a server-side cursor, a time limit for each statement, one batch in memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from sqlalchemy import create_engine, event, exc
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from safelight.errors import ConfigurationError, DatabaseUnavailable, SafelightError
from safelight.warehouse.query import Relations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy.engine import URL, Connection, Engine

BATCH_ROWS: Final = 10_000
#: SQL Server takes 2,100 parameters.
PEOPLE: Final = 1_000
TIMEOUT_SECONDS: Final = 600
_DRIVERS: Final = {
    "postgresql": "postgresql+psycopg2",
    "postgresql+psycopg2": "postgresql+psycopg2",
    "mssql+pyodbc": "mssql+pyodbc",
}
_ALLOWED: Final = "Give postgresql://USER:PASSWORD@HOST/NAME or mssql+pyodbc://USER:PASSWORD@HOST/NAME?driver=ODBC+Driver+18+for+SQL+Server."


class Warehouse:
    """A database of the hospital. Nothing is connected before the first question.

    Args:
        url: SQLAlchemy URL of PostgreSQL or SQL Server. Its user should have the right to SELECT and no other.
        queries: folder of reviewed queries.
        timeout_seconds: a statement that takes longer is given up.

    Raises:
        ConfigurationError: the URL is of another database, or its driver is not installed.
    """

    def __init__(self, url: str, *, queries: Path, timeout_seconds: int = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        self._engine = open_engine(url, timeout_seconds)
        self._relations = Relations(queries, self._engine.dialect.name)

    def columns(self, name: str) -> list[str]:
        """Return the columns of a table, view or reviewed query, as the database spells them.

        Raises:
            ConfigurationError: there is no such relation, or we may not read it.
            DatabaseUnavailable: no answer in time.
        """
        with self._reading(name) as connection:
            return list(connection.execute(self._relations.find(name).describe()).keys())

    def read(
        self, name: str, columns: Sequence[str], *, people: Sequence[str] | None = None, key: str = "person_id"
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows as batches of these columns, in whatever types the database gives.

        Args:
            name: of a table, view or reviewed query.
            columns: as the database spells them.
            people: only rows of these, asked for in groups; None: all rows.
            key: the column that holds the person.

        Raises:
            ConfigurationError, DatabaseUnavailable: as `columns`.
        """
        relation = self._relations.find(name)
        groups = [()] if people is None else [people[at : at + PEOPLE] for at in range(0, len(people), PEOPLE)]
        with self._reading(name) as connection:
            for group in groups:
                with connection.execute(relation.select(columns, people=group, key=key)) as result:
                    for rows in result.partitions(BATCH_ROWS):
                        values = [_array(found) for found in zip(*rows, strict=True)]
                        yield pa.record_batch(values, names=list(columns))

    def close(self) -> None:
        """Let the connections go."""
        self._engine.dispose()

    @contextmanager
    def _reading(self, name: str) -> Iterator[Connection]:
        options: dict[str, Any] = {"stream_results": True, "max_row_buffer": BATCH_ROWS}
        if self._engine.dialect.name == "postgresql":
            options |= {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
        try:
            with self._engine.connect().execution_options(**options) as connection:
                yield connection
        except exc.DBAPIError as error:
            raise self._translated(error, name) from None
        except exc.SQLAlchemyError as error:
            raise ConfigurationError(f"The warehouse refused to read '{name}' ({type(error).__name__}).") from None

    def _translated(self, error: exc.DBAPIError, name: str) -> SafelightError:
        # The driver's own text may quote rows, or the URL.
        state = _state(error)
        if state in {"57014", "HYT00"}:
            return DatabaseUnavailable(
                f"Reading '{name}' took longer than {self._timeout} seconds.",
                remedy="Ask for an index on its person, or raise the time limit in the warehouse's block.",
            )
        if state in {"42P01", "42S02", "3F000"}:
            return ConfigurationError(f"The warehouse has no '{name}'.", remedy="Correct the project's file.")
        if state in {"42703", "42S22"}:
            return ConfigurationError(
                f"'{name}' of the warehouse lacks a column that it needs.", remedy="Its columns have the names of the CDM."
            )
        if state in {"42501", "28P01", "28000", "3D000"} or "authentication failed" in str(error.orig):
            return ConfigurationError(
                f"The warehouse does not let us read '{name}': user, password, database or rights are wrong.",
                remedy="Correct the block, or ask for the right to SELECT.",
            )
        if isinstance(error, exc.OperationalError | exc.InterfaceError) and not state.startswith("42"):
            return DatabaseUnavailable("The warehouse does not answer.", remedy="Check that it runs; then try again.")
        return ConfigurationError(f"The warehouse refused to read '{name}' ({type(error).__name__} {state}).")


def open_engine(url: str, timeout_seconds: int) -> Engine:
    """Return an engine for reading; nothing is connected yet. Raises ConfigurationError."""
    parsed = parse_address(url)
    if parsed.drivername.startswith("postgresql"):
        # Also a site's view that writes, by a function, is refused: the session itself is read-only.
        settings = f"-c statement_timeout={timeout_seconds * 1000:d} -c default_transaction_read_only=on -c timezone=UTC"
        arguments: dict[str, Any] = {"connect_timeout": 10, "options": settings, "application_name": "safelight"}
        return create_engine(parsed, hide_parameters=True, poolclass=NullPool, connect_args=arguments)
    try:
        engine = create_engine(parsed, hide_parameters=True, poolclass=NullPool, connect_args={"timeout": 10})
    except ImportError:
        raise ConfigurationError(
            "The driver for SQL Server is not installed.",
            remedy="Install the Python package pyodbc and Microsoft's ODBC driver on the worker.",
        ) from None
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "timeout", timeout_seconds))
    return engine


def parse_address(url: str) -> URL:
    """Return the URL with our driver, asking SQL Server for read-only routing. Raises ConfigurationError."""
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        # The text may hold a password.
        raise ConfigurationError("The warehouse's address is not a URL.", remedy=_ALLOWED) from None
    if parsed.drivername not in _DRIVERS:
        raise ConfigurationError(f"The warehouse can't be '{parsed.drivername}'.", remedy=_ALLOWED)
    parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
    # Routes us to a readable secondary, where the site has one.
    return parsed.update_query_dict({"ApplicationIntent": "ReadOnly"}) if "mssql" in parsed.drivername else parsed


def _state(error: exc.DBAPIError) -> str:
    """Return the SQLSTATE: psycopg2 has it as an attribute, pyodbc as the first argument."""
    code = getattr(error.orig, "pgcode", None) or next(iter(getattr(error.orig, "args", ())), "")
    return code if isinstance(code, str) and len(code) == 5 else ""


def _array(values: Sequence[Any]) -> Any:  # noqa: ANN401  pyarrow has no types
    try:
        return pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        # A type that Arrow does not know, such as a UUID: as text, and the reader of the column decides.
        return pa.array([None if value is None else str(value) for value in values], pa.string())
