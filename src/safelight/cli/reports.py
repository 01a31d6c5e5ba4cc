"""``safelight reports``: de-identify texts and measure how well, without an orchestrator."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safelight.errors import KeyUnavailable, StorageUnwritable
from safelight.profile import load_profile
from safelight.pseudonym import ProjectKey, Pseudonymizer

if TYPE_CHECKING:
    from collections.abc import Iterable

_FILE = click.Path(path_type=Path, dir_okay=False)
_SITE = click.Path(path_type=Path)
_NER = click.option(
    "--ner",
    multiple=True,
    default=("spacy",),
    show_default=True,
    metavar="MODEL",
    help="Language model to ask, as in the project's file: spacy, onnx (the optional second one), folder:PATH, or none for "
    "rules only. Give it twice for two.",
)


@click.group()
def command() -> None:
    """De-identify reports and notes; score, validate and sample the result."""


@command.command()
@click.argument("source", metavar="IN.jsonl", type=_FILE)
@click.argument("target", metavar="OUT.jsonl", type=_FILE)
@click.option(
    "--profile", required=True, type=_FILE, help="De-id profile; its section 'reports' says what becomes of dates."
)
@click.option(
    "--site", required=True, type=_SITE, help="The hospital's site.json, or the folder that holds it and its YAML."
)
@click.option("--key-file", required=True, type=_FILE, help="The project's key, 64 bytes.")
@click.option("--salt-file", required=True, type=_FILE, help="The project's salt, 16 bytes.")
@click.option("--max-shift-days", default=365, show_default=True, help="As in the project's file.")
@_NER
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes, 1 GB each at most.")
@click.option("--json", "as_json", is_flag=True, help="Print a machine-readable summary.")
def deid(
    source: Path,
    target: Path,
    profile: Path,
    site: Path,
    key_file: Path,
    salt_file: Path,
    max_shift_days: int,
    ner: tuple[str, ...],
    workers: int,
    as_json: bool,
) -> None:
    """De-identify each line of IN.jsonl: {id, text, study_date?, patient: {...}}.

    OUT.jsonl has one line for each, in order: {id, text, status: released|quarantined, reason?, counts}.

    Example: safelight reports deid in.jsonl out.jsonl --profile profiles/deid/chest-xray.yaml --site site.json
    --key-file key --salt-file salt
    """
    from safelight.reports.lines import Tally, deidentify_lines
    from safelight.reports.workers import Setup
    from safelight.text.site import load_site

    if target.resolve() == source.resolve():
        raise click.UsageError("OUT.jsonl is IN.jsonl. Name another file: the input is not overwritten.")
    key = ProjectKey(_bytes(key_file, 64), _bytes(salt_file, 16))
    dates = load_profile(profile.parent, profile.stem).report_dates
    setup = Setup(load_site(site), ner=_models(ner), dates=dates)
    tally = Tally()
    lines = deidentify_lines(
        source,
        setup=setup,
        pseudonymizer=Pseudonymizer(key, max_days=max_shift_days),
        fingerprint=setup.fingerprint(),
        workers=workers,
    )
    _write(target, _tallied(lines, tally))
    if as_json:
        click.echo(json.dumps(tally.__dict__, sort_keys=True))
    else:
        click.echo(
            f"{tally.documents} texts: {tally.released} released, {tally.quarantined} quarantined {tally.reasons or ''}"
        )
    sys.exit(1 if tally.quarantined else 0)


def _models(names: tuple[str, ...]) -> tuple[str, ...]:
    return () if names == ("none",) else names


def _tallied(lines: Iterable[dict[str, Any]], tally: Any) -> Iterable[dict[str, Any]]:  # noqa: ANN401
    for line in lines:
        tally.add(line)
        yield line


def _write(target: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write to a file beside the target and rename: a run that was stopped leaves no half of an output."""
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise StorageUnwritable(f"{target.name} can't be written ({type(error).__name__}).") from None
    finally:
        part.unlink(missing_ok=True)


def _bytes(path: Path, size: int) -> bytes:
    """Return key material: raw bytes, or their base64 as the vault holds it."""
    import base64
    import binascii

    try:
        data = path.read_bytes()
    except OSError as error:
        raise KeyUnavailable(
            f"The file {path.name} can't be read ({type(error).__name__}).", remedy="Make one with 'safelight key new'."
        ) from None
    if len(data) != size:
        try:
            return base64.b64decode(data.strip(), validate=True)
        except binascii.Error:
            pass
    return data


@command.command()
@click.argument("outputs", metavar="OUT.jsonl", type=_FILE)
@click.argument("labelled", metavar="LABELLED.jsonl", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def score(outputs: Path, labelled: Path, as_json: bool) -> None:
    """Compare OUT.jsonl with labelled texts: recall by label with 95 % intervals, and what was lost needlessly.

    LABELLED.jsonl has {id, text, spans: [{start, end, label}], keep?: [{start, end, kind}]} a line.

    Example: safelight reports score out.jsonl labelled.jsonl --json
    """
    from safelight.reports.lines import read_labelled, read_outputs
    from safelight.reports.scoring import score as measure

    found = measure(read_outputs(outputs), read_labelled(labelled)).as_json()
    if as_json:
        click.echo(json.dumps(found, sort_keys=True))
        return
    click.echo(f"{found['documents']} texts, {found['quarantined']} quarantined")
    rows = [
        (name, found[name]) for name in ("recall_direct", "recall_all", "terms_kept", "words_kept", "documents_without_leak")
    ]
    for name, rate in [*rows, *found["labels"].items()]:
        percent = "-" if rate["percent"] is None else rate["percent"]
        click.echo(f"{name:24} {percent:>7} %  [{rate['low']}, {rate['high']}]  {rate['hits']}/{rate['total']}")


@command.command()
@click.argument("labelled", metavar="LABELLED.jsonl", type=_FILE)
@click.option("--profile", required=True, type=_FILE, help="De-id profile.")
@click.option("--site", required=True, type=_SITE, help="The hospital's site.json, or its folder.")
@click.option(
    "--records", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of validation records."
)
@click.option("--who", required=True, help="Who answers for the measurement.")
@_NER
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="Print the record.")
def validate(
    labelled: Path, profile: Path, site: Path, records: Path, who: str, ner: tuple[str, ...], workers: int, as_json: bool
) -> None:
    """Measure the de-identification on labelled texts and keep the record that report export asks for.

    Example: safelight reports validate labelled.jsonl --profile profiles/deid/chest-xray.yaml --site site --records
    validation --who "IG lead"
    """
    from datetime import UTC, datetime

    from safelight.reports import validation
    from safelight.reports.workers import Setup
    from safelight.text.site import load_site

    dates = load_profile(profile.parent, profile.stem).report_dates
    setup = Setup(load_site(site), ner=_models(ner), dates=dates)
    record = validation.validate(labelled, setup=setup, who=who, at=datetime.now(UTC), workers=workers)
    path = record.save(records)
    if as_json:
        click.echo(record.model_dump_json())
    else:
        click.echo(f"{path.name}: {'passed' if record.passed else 'not passed: ' + '; '.join(record.failures)}")
    sys.exit(0 if record.passed else 1)


@command.command()
@click.argument("outputs", metavar="OUT.jsonl", type=_FILE)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--size", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Texts to read.")
@click.option("--seed", default="1", show_default=True, help="The same seed draws the same texts.")
def sample(outputs: Path, folder: Path, size: int, seed: str) -> None:
    """Draw a stratified sample of released texts: FOLDER/review.html to read, FOLDER/verdicts.csv to fill in.

    Example: safelight reports sample out.jsonl review --size 200
    """
    from safelight.reports.lines import read_lines
    from safelight.reports.sampling import draw, write_sample

    drawn = draw(read_lines(outputs), size=size, seed=seed)
    write_sample(drawn, folder)
    click.echo(f"{len(drawn.documents)} of {sum(drawn.sizes.values())} released texts are in {folder.name}/review.html")


@command.command()
@click.argument("table", metavar="VERDICTS.csv", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the estimate as JSON.")
def verdicts(table: Path, as_json: bool) -> None:
    """Say what the reviewers' verdicts mean for all texts: the share that leaks, with its 95 % interval.

    Example: safelight reports verdicts review/verdicts.csv
    """
    from safelight.reports.sampling import estimate

    found = estimate(table)
    if as_json:
        click.echo(json.dumps(found.__dict__, sort_keys=True))
    else:
        click.echo(
            f"{found.leaks} of {found.read} read texts leak ({found.unread} not read yet): "
            f"{found.percent} % of all, 95 % interval {found.low} to {found.high} %"
        )
