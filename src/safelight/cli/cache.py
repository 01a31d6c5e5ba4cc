"""``safelight cache``: look after the raw cache."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from safelight.archive.cache import RawCache
from safelight.errors import ConfigurationError
from safelight.link import LinkDatabase

_SET_ASIDE: Final = 1
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class _Size(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes: 0, 500M, 1.5T."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", str(value).strip().upper())
        if match is None:
            self.fail("a size is a number with K, M, G or T, such as 500G", param, ctx)
        return int(float(match[1]) * _UNITS[match[2]])


def _options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--folder", type=click.Path(path_type=Path), required=True, help="Folder of the raw cache."),
        click.option(
            "--database",
            "url",
            required=True,
            envvar="SAFELIGHT_DATABASE",
            help="Link database: postgresql+psycopg2://… or sqlite:///…",
        ),
    ):
        function = option(function)
    return function


@click.group()
def command() -> None:
    """Look after the raw cache: identifiable studies kept for reuse."""


@command.command()
@_options
def status(url: str, folder: Path, *, as_json: bool) -> None:
    """Show how full it is.

    Example: safelight cache status --database sqlite:///link.sqlite --folder /srv/raw-cache
    """
    _show(asdict(_open(url, folder).status()), as_json=as_json)


@command.command()
@click.option("--to", "target", type=_Size(), required=True, help="Evict until no more than this is left, such as 500G.")
@_options
def evict(url: str, folder: Path, target: int, *, as_json: bool) -> None:
    """Evict least recently used studies, but none that a request still needs.

    Exit status 3: what is needed is more than the size given; the rest was evicted.
    """
    cache = _open(url, folder)
    gone = cache.evict(target)
    _show({"evicted": gone, **asdict(cache.status())}, as_json=as_json)


@command.command()
@_options
def verify(url: str, folder: Path, *, as_json: bool) -> None:
    """Read every file's structure; forget damaged ones, which are then fetched again, and remove leftovers.

    Exit status 1: something was damaged.
    """
    found = _open(url, folder).verify()
    _show(asdict(found), as_json=as_json)
    if found.repaired:
        sys.exit(_SET_ASIDE)


def _open(url: str, folder: Path) -> RawCache:
    if not folder.is_dir():
        raise ConfigurationError("There is no raw cache in this folder.", remedy="Give the folder of the raw-cache block.")
    database = LinkDatabase(url, clock=lambda: datetime.now(UTC))
    database.check()
    return RawCache(folder, database)


def _show(values: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values, sort_keys=True))
        return
    for name, value in values.items():
        click.echo(f"{name.replace('_', ' '):>16}  {'no limit' if value is None else value}")
