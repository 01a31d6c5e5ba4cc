"""``safelight release``: check what was delivered against its signed manifests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from safelight.cli._synapse import synapse
from safelight.cli.main import SET_ASIDE
from safelight.errors import IntegrityError
from safelight.release.lake import Lake
from safelight.release.manifest import read_manifest
from safelight.release.signing import PublicKey
from safelight.release.verification import Verdict, verify_delivery, verify_lake

_SHOWN = 20


@click.group()
def command() -> None:
    """Check releases."""


command.add_command(synapse)


@command.command()
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The hospital's key, from a source that you trust. Without it, the key that each manifest names is believed.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The project's folder at the destination.",
)
@click.option("--destination", default="", help="Name of the destination in the manifests; by default all files of them.")
@click.option("--lake", default="", help="Folder or address of the lake; credentials come from AZURE_STORAGE_* variables.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(
    manifests: tuple[Path, ...], public_key: Path | None, folder: Path | None, destination: str, lake: str, as_json: bool
) -> None:
    """Check the signatures of MANIFESTS, and that FOLDER and LAKE hold what they list, unchanged, and nothing else.

    Give all manifests of a project: a folder holds the files of all its releases. The lake is compared with the newest.

    Exit status: 0 all is as signed; 1 something is missing, changed or unlisted; 2 a manifest is none, was changed, or was
    signed by another key.

    Example: safelight release verify manifests/*.json --public-key hospital.pem --folder dicom/demo-hospital
    """
    key = PublicKey.of_text(public_key.read_text()) if public_key else None
    read = [_read(path, key) for path in manifests]
    found: dict[str, Verdict] = {}
    if folder:
        found["files"] = verify_delivery(read, folder, destination=destination)
    if lake:
        found["tables"] = verify_lake(read, Lake(lake))
    signers = sorted({PublicKey.of_text(manifest["public_key"]).name for manifest in read})
    if as_json:
        good = all(verdict.good for verdict in found.values())
        told = {name: {"intact": verdict.intact, **_wrong(verdict)} for name, verdict in found.items()}
        click.echo(json.dumps({"good": good, "signed": len(read), "keys": signers, **told}, indent=2))
    else:
        click.echo(
            f"signed: {len(read)} manifests by key {', '.join(signers)}{'' if key else ', which they name themselves'}"
        )
        for name, verdict in found.items():
            click.echo(f"{name} intact: {verdict.intact}")
            for what, paths in _wrong(verdict).items():
                click.echo(f"{name} {what}: {len(paths)}")
                for path in paths[:_SHOWN]:
                    click.echo(f"  {path}")
    sys.exit(0 if all(verdict.good for verdict in found.values()) else SET_ASIDE)


def _wrong(verdict: Verdict) -> dict[str, tuple[str, ...]]:
    return {"missing": verdict.missing, "changed": verdict.changed, "unlisted": verdict.unlisted}


def _read(path: Path, key: PublicKey | None) -> dict[str, Any]:
    try:
        return read_manifest(path.read_bytes(), public_key=key)
    except IntegrityError as error:
        raise IntegrityError(f"{path.name}: {error.message}", remedy=error.remedy) from None
