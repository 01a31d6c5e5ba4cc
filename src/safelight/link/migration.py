"""Brings the link database's schema to the version of this code. The steps are in ``migrations/versions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from safelight.link.connection import schema_is_behind, transaction

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

#: Any number, the same in all versions: one process at a time may migrate.
_LOCK: Final = 7_235_422_301


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "safelight.link:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Run the missing steps in one transaction; none is missing the second time. Workers that start together wait."""
    with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        command.upgrade(_config(connection), "head")


def check(engine: Engine) -> None:
    """Raise ConfigurationError unless the schema is exactly this version's."""
    with transaction(engine, read_only=True) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found != head():
        raise schema_is_behind()


def head() -> str:
    """Return the revision of this code."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101  the package holds at least one
    return revision
