"""``safelight dicom``: rehearse a de-id profile on files, verify what came out, explain what a profile does."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safelight.cli._checkout import profiles_folder
from safelight.errors import ConfigurationError, KeyUnavailable, StudyRejected

if TYPE_CHECKING:
    from safelight.model import InstanceResult, KnownIdentifiers
    from safelight.profile import DeidProfile

_PROFILES = click.option(
    "--profiles", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder 'profiles' of a checkout."
)
_PROFILE = click.option("--profile", "name", default="research", show_default=True, help="Profile's name, or its file.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print machine-readable JSON.")
_PATH = click.Path(exists=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """De-identify DICOM files, verify what came out, explain a profile."""


@command.command()
@click.argument("source", metavar="INPUT", type=_PATH)
@click.argument("output", metavar="OUTPUT", type=click.Path(file_okay=False, path_type=Path))
@_PROFILE
@_PROFILES
@click.option("--key-file", required=True, type=_FILE, help="The project's key: 64 raw bytes.")
@click.option("--salt-file", required=True, type=_FILE, help="The project's salt: 16 raw bytes.")
@click.option("--known", "known_file", type=_FILE, help="What is known of the patients, one JSON object a line.")
@click.option(
    "--site",
    type=_PATH,
    help="The hospital's site.json, or its folder: long texts and structured reports are cleaned as reports are, where"
    " --known tells of their patient. Otherwise only words of the vocabulary are left of them.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; by default one a core.")
@click.option(
    "--max-shift-days",
    type=click.IntRange(1, 3650),
    default=365,
    show_default=True,
    help="Dates move by at most so many days.",
)
@click.option(
    "--shift-scope",
    type=click.Choice(["patient", "study"]),
    default="patient",
    show_default=True,
    help="What shares one date shift: all of a patient, or each study for itself.",
)
@_JSON
def deid(
    source: Path,
    output: Path,
    name: str,
    profiles: Path | None,
    key_file: Path,
    salt_file: Path,
    known_file: Path | None,
    site: Path | None,
    workers: int | None,
    max_shift_days: int,
    shift_scope: str,
    as_json: bool,
) -> None:
    """De-identify a file or a folder tree to OUTPUT/<pseudo study>/<pseudo instance>.dcm.

    Files are reported by their place in the sorted tree, because their names may identify.

    Example: safelight dicom deid raw/ clean/ --profile research --key-file key.bin --salt-file salt.bin
    """
    from safelight.dicom.folder import FolderJob, deidentify_files, list_files
    from safelight.pseudonym import ProjectKey, Pseudonymizer
    from safelight.text import load_site

    profile = _profile(name, profiles)
    key = ProjectKey(_secret(key_file), _secret(salt_file))
    known = {one.mrn.strip(): one for one in _known(known_file)} if known_file else None
    job = FolderJob(
        profile.dicom,
        Pseudonymizer(key, max_shift_days),
        output,
        shift_scope,
        known,
        site=load_site(site) if site else None,
        report_dates=profile.report_dates,
    )
    if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise ConfigurationError("OUTPUT lies inside INPUT.", remedy="Give a folder elsewhere.")
    files = list_files(source)
    output.mkdir(parents=True, exist_ok=True)
    found = deidentify_files(files, job, workers=workers or len(os.sched_getaffinity(0)))
    bar = click.progressbar(found, length=len(files), label="Files", file=sys.stderr, hidden=not sys.stderr.isatty())
    with bar as results:
        counts = _print_json(results, profile, output) if as_json else _print_table(results)
    if set(counts) - {"written"}:
        sys.exit(1)


@command.command()
@click.argument("folder", type=_PATH)
@click.option("--known", "known_file", type=_FILE, help="What is known of the patients, one JSON object a line.")
@_JSON
def verify(folder: Path, known_file: Path | None, as_json: bool) -> None:
    """Look at de-identified files independently of the engine that made them.

    Example: safelight dicom verify clean/ --known patients.jsonl
    """
    from safelight.dicom.folder import list_files
    from safelight.dicom.verification import verify_file
    from safelight.text import IdentifierMatcher

    matcher = IdentifierMatcher(_known(known_file)) if known_file else None
    checked = 0
    found: list[dict[str, Any]] = []
    for path in list_files(folder):
        checked += 1
        for finding in verify_file(path, matcher):
            # An output's name is a pseudonym; any other name is not for a log.
            shown = path.name if path.name.startswith("2.25.") else f"file {checked}"
            found.append({"file": shown, "code": finding.code, "where": finding.where})
    if as_json:
        click.echo(json.dumps({"checked": checked, "findings": found}))
    else:
        for one in found:
            click.echo(f"{one['file']}: {one['code']} {one['where']}".rstrip())
        click.echo(f"{checked} files, {len(found)} findings")
    if found:
        sys.exit(1)


@command.command()
@click.argument("file", type=_FILE)
@_PROFILE
@_PROFILES
@_JSON
def explain(file: Path, name: str, profiles: Path | None, as_json: bool) -> None:
    """Say what a profile does to each element of a file; never a value.

    Example: safelight dicom explain image.dcm --profile chest-xray
    """
    from safelight.dicom.explain import explain as explain_file

    profile = _profile(name, profiles)
    try:
        rows = list(explain_file(file, profile.dicom))
    except StudyRejected as rejected:
        click.echo(f"set aside: {rejected.reason.value}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(
            json.dumps({"profile": profile.name, "fingerprint": profile.fingerprint(), "elements": list(map(asdict, rows))})
        )
        return
    for row in rows:
        click.echo(
            f"{row.change:8} {row.operation or '-':12} {row.vr:2} {row.standard or '-':6} {row.where}  {row.rule}".rstrip()
        )


@command.command()
@click.argument("name")
@_PROFILES
@_JSON
def lint(name: str, profiles: Path | None, as_json: bool) -> None:
    """Show what a profile keeps although PS3.15 would remove it, without a reason.

    Example: safelight dicom lint research
    """
    from safelight.dicom.lint import warnings

    profile = _profile(name, profiles)
    found = [asdict(one) for one in warnings(profile.dicom)]
    if as_json:
        click.echo(json.dumps({"profile": profile.name, "fingerprint": profile.fingerprint(), "warnings": found}))
    else:
        for one in found:
            click.echo(f"{one['file']}:{one['line']}: {one['element']} {one['message']}")
        click.echo(f"{len(found)} warnings")
    if found:
        sys.exit(1)


def _profile(name: str, profiles: Path | None) -> DeidProfile:
    from safelight.profile import load_profile

    path = Path(name)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        try:
            shared = profiles_folder(profiles) / "deid"
        except ConfigurationError:
            shared = path.parent
        return load_profile(path.parent, path.stem, shared=shared)
    return load_profile(profiles_folder(profiles) / "deid", name)


def _secret(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"A key file can't be read ({type(error).__name__})."
        raise KeyUnavailable(message, remedy="Check its owner and mode.") from None


def _known(path: Path) -> Iterator[KnownIdentifiers]:
    from pydantic import ValidationError

    from safelight.model import KnownIdentifiers

    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield KnownIdentifiers.model_validate_json(line)
            except (ValidationError, ValueError):
                message = "A line is not a JSON object of known identifiers."
                raise ConfigurationError(message, file=path.name, line=number) from None


def _print_json(results: Iterable[tuple[int, InstanceResult]], profile: DeidProfile, output: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    head = {"profile": profile.name, "fingerprint": profile.fingerprint()}
    click.echo(json.dumps(head)[:-1] + ', "files": [', nl=False)
    separator = "\n"
    for place, result in results:
        outcome = result.reason.value if result.reason else result.outcome.value
        counts[outcome] += 1
        row = {
            "file": place + 1,
            "outcome": result.outcome.value,
            "reason": result.reason.value if result.reason else None,
            "sop_instance_uid": result.pseudo_sop_instance_uid,
            "path": str(Path(result.path).relative_to(output)) if result.path else "",
            "kept": result.kept,
            "changed": result.changed,
            "removed": result.removed,
        }
        click.echo(separator + json.dumps(row), nl=False)
        separator = ",\n"
    click.echo('], "counts": ' + json.dumps(dict(sorted(counts.items()))) + "}")
    return counts


def _print_table(results: Iterable[tuple[int, InstanceResult]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for place, result in results:
        outcome = result.reason.value if result.reason else result.outcome.value
        counts[outcome] += 1
        if result.reason:
            click.echo(f"file {place + 1}: set aside, {outcome}")
    for outcome, count in sorted(counts.items()):
        click.echo(f"{outcome:30} {count:8}")
    return counts
