"""``safelight trace``: whose a pseudonym is, for those who may know. Every look-up is audited."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from safelight.link import LinkDatabase

if TYPE_CHECKING:
    from safelight.link import Request


@click.command()
@click.argument("pseudonym")
@click.option("--project", required=True, help="Slug of the project whose pseudonym it is.")
@click.option(
    "--database",
    "url",
    required=True,
    envvar="SAFELIGHT_DATABASE",
    help="SQLAlchemy URL: postgresql+psycopg2://… or sqlite:///…",
)
@click.option("--actor", default=getpass.getuser, help="Who asks; by default the user of this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(pseudonym: str, project: str, url: str, actor: str, as_json: bool) -> None:
    """Find the requests behind a PSEUDONYM of a study, series, instance, patient, person or accession number.

    The answer identifies a patient: run this only where that may be seen. Each look-up, with who asked, goes to the audit
    trail before anything is shown.

    Example: safelight trace 2.25.1234 --project demo-hospital --database sqlite:///link.sqlite
    """
    database = LinkDatabase(url, clock=lambda: datetime.now(UTC))
    try:
        database.check()
        found = database.trace(project, pseudonym, actor=actor)
    finally:
        database.close()
    if as_json:
        click.echo(json.dumps([_row(request) for request in found], indent=2))
        return
    if not found:
        click.echo("Nothing has this pseudonym in this project.")
    for request in found:
        for name, value in _row(request).items():
            if value not in ("", None, []):
                click.echo(f"{name:<24} {value}")
        click.echo()


def _row(request: Request) -> dict[str, object]:
    return {
        "request": request.id,
        "state": request.state.value,
        "reason": request.reason.value if request.reason else None,
        "mrn": request.mrn,
        "nhs_number": request.nhs_number,
        "person_id": request.person_id,
        "participant_id": request.participant_id,
        "accession_number": request.accession_number,
        "study_instance_uid": request.located_study_uid or request.study_uid,
        "study_date": request.study_date.isoformat() if request.study_date else None,
        "procedure_occurrence_id": request.procedure_occurrence_id,
        "archive": request.archive,
        "pseudo_study_uid": request.pseudo_study_uid,
        "pseudo_patient_id": request.pseudo_patient_id,
        "extract": request.extract_id,
    }
