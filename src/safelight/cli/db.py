"""``safelight db``: prepare and check the link database."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from safelight.link import LinkDatabase

_URL = click.option(
    "--database",
    "url",
    required=True,
    envvar="SAFELIGHT_DATABASE",
    help="SQLAlchemy URL: postgresql+psycopg2://… or sqlite:///…",
)


@click.group()
def command() -> None:
    """Prepare and check the link database."""


@command.command()
@_URL
def migrate(url: str) -> None:
    """Bring the schema to this version. Safe to repeat; make a back-up first.

    Example: safelight db migrate --database sqlite:///link.sqlite
    """
    database = _open(url)
    database.migrate()
    click.echo("The link database is at this version.")


@command.command()
@_URL
def check(url: str) -> None:
    """Check the schema's version and the audit trail's chain."""
    database = _open(url)
    database.check()
    click.echo(f"The schema is at this version; {database.verify_audit()} audit entries are unbroken.")


def _open(url: str) -> LinkDatabase:
    return LinkDatabase(url, clock=lambda: datetime.now(UTC))
