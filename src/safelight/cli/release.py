"""``safelight release``: check what was delivered against its manifests."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from safelight.cli._checkout import profiles_folder
from safelight.cli.main import SET_ASIDE
from safelight.profile import load_profile
from safelight.project import load_project
from safelight.records.tables import table_schema
from safelight.release.manifest import read_manifest
from safelight.release.schemas import TABLES, TableSchema
from safelight.release.synapse import serverless_script, spark_notebook
from safelight.release.verification import verify_delivery

_SHOWN = 20


@click.group()
def command() -> None:
    """Check releases."""


@command.command()
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--folder",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The project's folder at the destination.",
)
@click.option("--destination", default="", help="Name of the destination in the manifests; by default all files of them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(manifests: tuple[Path, ...], folder: Path, destination: str, as_json: bool) -> None:
    """Check that FOLDER holds what the MANIFESTS of its project list, unchanged, and nothing else.

    Exit status: 0 it does; 1 files are missing, changed or unlisted; 2 a manifest is none, or was changed.

    Example: safelight release verify manifests/*.json --folder dicom/demo-hospital
    """
    verdict = verify_delivery([read_manifest(path.read_bytes()) for path in manifests], folder, destination=destination)
    found = {"missing": verdict.missing, "changed": verdict.changed, "unlisted": verdict.unlisted}
    if as_json:
        click.echo(json.dumps({"good": verdict.good, "intact": verdict.intact, **found}, indent=2))
    else:
        click.echo(f"intact: {verdict.intact}")
        for name, paths in found.items():
            click.echo(f"{name}: {len(paths)}")
            for path in paths[:_SHOWN]:
                click.echo(f"  {path}")
    sys.exit(0 if verdict.good else SET_ASIDE)


@command.command()
@click.argument("project")
@click.option("--lake", required=True, metavar="ABFSS", help="The lake's address, as in its block: abfss://….")
@click.option(
    "--output", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder to write to."
)
@click.option("--profiles", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Default: the checkout's.")
def synapse(project: str, lake: str, output: Path, profiles: Path | None) -> None:
    """Write what a Synapse workspace needs to read PROJECT's tables: a script for serverless SQL, a notebook for Spark.

    An administrator of the workspace runs the script once, and again when the profile lists new columns.

    Example: safelight release synapse demo-hospital --lake abfss://lake@account.dfs.core.windows.net/v1 --output .
    """
    folder = profiles_folder(profiles)
    deid = load_project(folder / "projects", project).deid
    records = load_profile(folder / "deid", deid.profile, overrides=deid.overrides).records
    tables = list(TABLES.values())
    tables += [TableSchema.from_arrow(name, table_schema(rules)) for name, rules in sorted(records.tables.items())]
    files = {
        f"{project}-serverless.sql": serverless_script(lake, project, tables),
        f"{project}-spark.ipynb": spark_notebook(lake, project, tables),
    }
    for name, text in files.items():
        (output / name).write_text(text, encoding="utf-8")
        click.echo(output / name)
