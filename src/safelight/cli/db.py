"""``safelight db``: prepare and check the link database."""

from __future__ import annotations

import json
from dataclasses import asdict
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


@command.command()
@_URL
@click.option("--event", default="", help="Only events of this name, such as 'trace' or 'withdraw'.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def audit(url: str, event: str, as_json: bool) -> None:
    """List who did what and when: look-ups, withdrawals, releases. No entry holds an identifier.

    Example: safelight db audit --event trace --database sqlite:///link.sqlite
    """
    database = _open(url)
    database.check()
    count = 0
    for entry in database.audit_events():
        if event and entry.event != event:
            continue
        count += 1
        if as_json:
            click.echo(json.dumps({**asdict(entry), "at": entry.at.isoformat()}, sort_keys=True))
        else:
            details = ", ".join(f"{name} {value}" for name, value in entry.details.items())
            click.echo(f"{entry.number:>7}  {entry.at:%Y-%m-%d %H:%M:%S}  {entry.event:<20} {entry.actor:<20} {details}")
    if not as_json:
        click.echo(f"{count} entries")


def _open(url: str) -> LinkDatabase:
    return LinkDatabase(url, clock=lambda: datetime.now(UTC))
