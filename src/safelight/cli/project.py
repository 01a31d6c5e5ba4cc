"""``safelight project``: check and describe a project before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from safelight.cli._checkout import profiles_folder
from safelight.errors import SafelightError
from safelight.profile import load_profile
from safelight.project import Project, load_project, project_slugs

_PROFILES = click.option(
    "--profiles",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of profiles (default: the checkout's).",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


@click.group()
def command() -> None:
    """Check or describe the projects in profiles/projects."""


@command.command()
@click.argument("slugs", nargs=-1)
@_PROFILES
@_JSON
def check(slugs: tuple[str, ...], profiles: Path | None, as_json: bool) -> None:
    """Load projects and their de-id profiles (all without SLUGS), and say what is wrong with file and line.

    Example: safelight project check demo-hospital
    """
    folder = profiles_folder(profiles)
    results: dict[str, str] = {}
    for slug in slugs or project_slugs(folder / "projects"):
        try:
            _load(folder, slug)
            results[slug] = ""
        except SafelightError as error:
            results[slug] = str(error)
    if as_json:
        click.echo(json.dumps({slug: {"ok": not problem, "problem": problem} for slug, problem in results.items()}))
    else:
        for slug, problem in results.items():
            click.echo(f"{slug}: {problem or 'in order'}", err=bool(problem))
    if any(results.values()):
        raise SystemExit(2)


@command.command()
@click.argument("slug")
@_PROFILES
@_JSON
def describe(slug: str, profiles: Path | None, as_json: bool) -> None:
    """Print what a project would do: sources, archives, filters, every rule, destinations.

    Example: safelight project describe demo-hospital
    """
    project, profile = _load(profiles_folder(profiles), slug)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "project": project.model_dump(mode="json"),
                    "fingerprint": project.fingerprint(),
                    "profile": profile.fingerprint(),
                }
            )
        )
        return
    click.echo(f"{project.title} ({project.slug}), approval {project.approval.reference} until {project.approval.expires}")
    cohort = project.cohort
    click.echo(f"cohort        {cohort.kind} from block {cohort.folder or f'{cohort.warehouse}: {cohort.requests}'}")
    for source in project.records:
        place = f"block {source.block}" if source.block else "the deliveries"
        named = ", ".join(f"{table} of {relation}" for table, relation in source.tables.items())
        click.echo(f"records       {source.kind} from {place}{f': {named}' if named else ''}")
    opt_out = project.cohort.opt_out
    shown = f"answer of at most {opt_out.max_age_days} days" if opt_out else project.approval.opt_out_exemption
    click.echo(f"opt-out       {shown}")
    for use in project.archives:
        click.echo(
            f"archive       {use.block}: {use.budget.operations_per_second:g} operations/s, "
            f"{use.budget.associations} associations"
        )
    click.echo(f"modalities    {', '.join(project.filters.modalities)}")
    click.echo(f"lake          block {project.destinations.lake}")
    for destination in project.destinations.dicom:
        click.echo(f"DICOM         {destination.kind}: block {destination.block}")
    for tables in project.destinations.parquet:
        click.echo(f"Parquet       {tables.kind}: block {tables.block}")
    click.echo(f"fingerprint   {project.fingerprint()}\n")
    click.echo(profile.describe())


def _load(folder: Path, slug: str) -> tuple[Project, Any]:
    project = load_project(folder / "projects", slug)
    return project, load_profile(folder / "deid", project.deid.profile, overrides=project.deid.overrides)
