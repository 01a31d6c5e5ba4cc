"""``safelight archive``: the switch of the archive's manager."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

import click

from safelight.archive import circuit
from safelight.link import LinkDatabase

_DATABASE: Final = click.option(
    "--database",
    "url",
    required=True,
    envvar="SAFELIGHT_DATABASE",
    help="Link database: postgresql+psycopg2://… or sqlite:///…",
)


@click.group()
def command() -> None:
    """Stop and resume all retrieval from an archive, in every project at once."""


@command.command()
@click.argument("archive")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_DATABASE
def status(archive: str, url: str, *, as_json: bool) -> None:
    """Show whether ARCHIVE, named as its block, may be asked.

    closed: it may. open or half_open: it failed too often and rests. stopped: by its manager.
    """
    health = _open(url).archive_health(archive)
    if as_json:
        click.echo(
            json.dumps({"archive": archive, "state": health.state, "failures": health.failures, "cause": health.cause})
        )
    else:
        click.echo(f"{archive}: {health.state}{f' ({health.cause})' if health.cause else ''}")


@command.command()
@click.argument("archive")
@click.option("--cause", default="", help="Shown to whoever waits for it.")
@_DATABASE
def stop(archive: str, cause: str, url: str) -> None:
    """Send nothing more to ARCHIVE until it is resumed. Studies at hand are finished; the others wait.

    Example: safelight archive stop dicom-node-main --cause "upgrade until Monday" --database sqlite:///link.sqlite
    """
    circuit.stop(_open(url), archive, cause=cause, clock=_now)
    click.echo(f"{archive} is stopped. Resume it with 'safelight archive resume {archive}'.")


@command.command()
@click.argument("archive")
@_DATABASE
def resume(archive: str, url: str) -> None:
    """Let ARCHIVE be asked again."""
    circuit.resume(_open(url), archive)
    click.echo(f"{archive} may be asked again.")


def _now() -> datetime:
    return datetime.now(UTC)


def _open(url: str) -> LinkDatabase:
    database = LinkDatabase(url, clock=_now)
    database.check()
    return database
