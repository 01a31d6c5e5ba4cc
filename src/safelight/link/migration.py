"""Brings the link database's schema to the version of this code. The steps are in ``migrations/versions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from safelight.link.connection import schema_is_behind, transaction

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.engine import Connection, Engine

#: The newest step. Written down here so that a check, which every task makes, need not load Alembic.
REVISION: Final = "cached_bytes"
#: Any number, the same in all versions: one process at a time may migrate.
_LOCK: Final = 7_235_422_301


def configuration(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; there is no file of it."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "safelight.link:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Run the missing steps in one transaction; none is missing the second time. Workers that start together wait."""
    # A second of import that only a migration needs.
    from alembic import command

    with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        command.upgrade(configuration(connection), "head")


def check(engine: Engine) -> None:
    """Raise ConfigurationError unless the schema is exactly this version's."""
    with transaction(engine, read_only=True) as connection:
        found = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    if found != [REVISION]:
        raise schema_is_behind()
