"""``safelight archive``: the switch of the archive's manager, and how fast it is asked."""

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
    """Stop and resume all retrieval from an archive, in every project at once; see how fast it is asked."""


@command.command()
@click.argument("archive")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_DATABASE
def status(archive: str, url: str, *, as_json: bool) -> None:
    """Show whether ARCHIVE, named as its block, may be asked.

    closed: it may. open or half_open: it failed too often, or did not answer, and rests. stopped: by its manager.
    """
    database = _open(url)
    health, paces = database.archive_health(archive), database.archive_paces(archive)
    share = paces[0].share if paces else None
    if as_json:
        found = {
            "archive": archive,
            "state": health.state,
            "failures": health.failures,
            "cause": health.cause,
            "share": share,
        }
        click.echo(json.dumps({"archive": archive, **found}))
    else:
        click.echo(f"{archive}: {health.state}{f' ({health.cause})' if health.cause else ''}")
        click.echo("It was not asked yet." if share is None else f"It gets {share:.0%} of its budget.")


@command.command()
@click.argument("archive")
@click.option("--last", default=20, show_default=True, type=click.IntRange(min=1), help="So many changes, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@_DATABASE
def pace(archive: str, last: int, url: str, *, as_json: bool) -> None:
    """Show how the share of its budget that ARCHIVE gets changed, and why.

    It falls when the archive takes longer than usual, and comes back step by step.
    """
    for one in _open(url).archive_paces(archive, last=last):
        at = one.at.isoformat(timespec="seconds") if one.at else ""
        if as_json:
            click.echo(json.dumps({"at": at, "share": one.share, "cause": one.cause}))
        else:
            click.echo(f"{at}  {one.share:>4.0%}  {one.cause}")


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
