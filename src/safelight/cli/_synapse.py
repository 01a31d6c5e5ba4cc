"""``safelight release synapse``: what a Synapse workspace needs to read a project."""

from __future__ import annotations

from pathlib import Path

import click

from safelight.cli._checkout import profiles_folder
from safelight.profile import load_profile
from safelight.project import load_project
from safelight.records.tables import table_schema
from safelight.release.schemas import TABLES, TableSchema
from safelight.release.synapse import serverless_script, spark_notebook


@click.command()
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
