"""``safelight cohort``: look at a delivery before it is ingested."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safelight.cli._checkout import profiles_folder
from safelight.cli.main import SET_ASIDE
from safelight.cohort.delivery import CSV, OMOP_ES, open_delivery
from safelight.project import load_project, project_slugs

if TYPE_CHECKING:
    from safelight.cohort.delivery import Delivery

_SHOWN = 20


@click.group()
def command() -> None:
    """Look at deliveries of a cohort."""


@command.command()
@click.argument("source", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--project", "slug", required=True, help="Slug of the project that the delivery is for.")
@click.option(
    "--projects",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the project files; by default profiles/projects of the checkout.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(source: Path, slug: str, projects: Path | None, as_json: bool) -> None:
    """Read FOLDER (an OMOP-ES extract) or a CSV file, and say what ingesting it would do. Writes nothing.

    Exit status: 0 all rows are usable; 1 some would be set aside; 2 the delivery can't be used.

    Example: safelight cohort check extracts/2023-12-07 --project demo-hospital
    """
    folder = projects or profiles_folder() / "projects"
    load_project(folder, slug)
    kind = CSV if source.is_file() else OMOP_ES
    delivery = open_delivery(source, kind, project=slug, projects=project_slugs(folder))
    if as_json:
        click.echo(json.dumps(_report(delivery, kind), indent=2))
    else:
        _print(delivery, kind)
    sys.exit(SET_ASIDE if delivery.set_aside else 0)


def _report(delivery: Delivery, kind: str) -> dict[str, object]:
    info = delivery.info
    return {
        "project": info.project,
        "source": kind,
        "requests": len(delivery.requests),
        "set_aside": [{"file": row.file, "line": row.line, "reason": row.reason.value} for row in delivery.set_aside],
        "set_aside_count": len(delivery.set_aside),
        "reasons": delivery.reasons(),
        "other_projects": delivery.other_projects,
        "patients": len({request.mrn for request in delivery.requests}),
        "extract": {
            "name": info.name,
            "sha256": info.sha256,
            "generated": info.generated.isoformat(),
            "source": info.source,
            "layout": info.layout,
        },
    }


def _print(delivery: Delivery, kind: str) -> None:
    info = delivery.info
    click.echo(f"{kind} delivery '{info.name}' ({info.layout}), generated {info.generated:%Y-%m-%d %H:%M:%S %Z}")
    click.echo(f"from {info.source or 'an unnamed source'}, sha256 {info.sha256[:16]}")
    patients = len({request.mrn for request in delivery.requests})
    click.echo(f"{len(delivery.requests)} requests of {patients} patients for project '{info.project}'")
    if delivery.other_projects:
        click.echo(f"{delivery.other_projects} rows of other projects")
    click.echo(f"{len(delivery.set_aside)} rows set aside")
    for reason, count in Counter(row.reason.value for row in delivery.set_aside).most_common():
        click.echo(f"  {count:>6} {reason}")
    for row in delivery.set_aside[:_SHOWN]:
        click.echo(f"  {row.file} line {row.line}: {row.reason.value}")
    if len(delivery.set_aside) > _SHOWN:
        click.echo(f"  ... and {len(delivery.set_aside) - _SHOWN} more; see --json")
