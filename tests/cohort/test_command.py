"""``safelight cohort check``: says what ingesting would do, and writes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from safelight.cli.main import main
from safelight.project import project_slugs
from tests.cohort.conftest import CANARY, Extract, csv_row

CHECKOUT = Path(__file__).parents[2]
PROJECTS = CHECKOUT / "profiles" / "projects"
SLUG = project_slugs(PROJECTS)[0]


def check(path: Path, *more: str, project: str = SLUG) -> Result:
    return CliRunner().invoke(main, ["cohort", "check", str(path), "--project", project, *more])


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


def test_a_usable_extract_ends_with_0(extract: Extract) -> None:
    shown = check(extract.folder, "--projects", str(PROJECTS))
    assert shown.exit_code == 0, shown.output
    assert "3 requests of 2 patients" in shown.output
    assert "0 rows set aside" in shown.output


def test_set_asides_are_listed_and_end_with_1(extract: Extract) -> None:
    extract.links(procedure_occurrence_id=[11, 12, 99], AccessionNumber=["A", None, "C"], StudyUid_X=[None] * 3)
    before = snapshot(extract.folder.parent)
    results = [check(extract.folder, "--json"), check(extract.folder, "--json")]
    assert {result.exit_code for result in results} == {1}
    assert results[0].output == results[1].output
    assert snapshot(extract.folder.parent) == before
    report = json.loads(results[0].output)
    file = report["set_aside"][0]["file"]
    assert file.startswith("private/")
    assert (report["project"], report["source"], report["requests"]) == (SLUG, "omop-es", 1)
    assert report["set_aside"] == [
        {"file": file, "line": 2, "reason": "missing_identifier"},
        {"file": file, "line": 3, "reason": "unmatched_procedure"},
    ]
    assert report["set_aside_count"] == sum(report["reasons"].values()) == 2
    assert report["extract"] == {
        "name": "extract-1",
        "sha256": report["extract"]["sha256"],
        "generated": "2023-12-07T14:08:58+00:00",
        "source": "Test Extract - UCLH OMOP CDM",
        "layout": extract.layout,
    }


def test_a_csv_file_is_checked_too(csv_file: Any) -> None:
    path = csv_file(
        csv_row(project_name=SLUG),
        csv_row(project_name="never-heard-of"),
        csv_row(project_name=SLUG, mrn="*"),
    )
    shown = check(path, "--json")
    assert shown.exit_code == 1
    report = json.loads(shown.output)
    assert (report["source"], report["requests"], report["other_projects"]) == ("csv", 1, 0)
    assert report["reasons"] == {"bad_value": 1, "unknown_project": 1}


def test_rows_of_registered_projects_are_counted_apart(csv_file: Any, tmp_path: Path) -> None:
    projects = tmp_path / "projects"
    projects.mkdir()
    text = (PROJECTS / f"{SLUG}.yaml").read_text()
    for slug in (SLUG, "second"):
        (projects / f"{slug}.yaml").write_text(text.replace(f"slug: {SLUG}", f"slug: {slug}"))
    path = csv_file(csv_row(project_name=SLUG), csv_row(project_name="second"))
    report = json.loads(check(path, "--json", "--projects", str(projects)).output)
    assert (report["requests"], report["other_projects"], report["set_aside_count"]) == (1, 1, 0)


def test_an_unknown_project_is_said_with_those_there_are(extract: Extract) -> None:
    shown = check(extract.folder, project="nobody")
    assert shown.exit_code == 2
    assert "There is no project 'nobody'." in shown.output
    assert SLUG in shown.output


@pytest.mark.parametrize("missing", ["extract_summary.json", "folder"])
def test_an_unusable_delivery_ends_with_2_and_says_what_to_do(extract: Extract, missing: str) -> None:
    path = extract.folder / missing
    if missing == "folder":
        shown = check(path)
    else:
        path.unlink()
        shown = check(extract.folder)
    assert shown.exit_code == 2
    assert "An OMOP-ES extract has extract_summary.json and either" in shown.output
    assert "Traceback" not in shown.output


def test_many_set_asides_are_shortened_for_people(csv_file: Any) -> None:
    shown = check(csv_file(*[csv_row(project_name=SLUG, mrn="*")] * 30))
    assert shown.exit_code == 1
    assert "and 10 more" in shown.output


def test_no_identifier_is_shown(csv_file: Any, extract: Extract) -> None:
    path = csv_file(csv_row(project_name=SLUG), csv_row(project_name=SLUG), csv_row(project_name=SLUG, mrn=f"{CANARY}*"))
    for source in (path, extract.folder):
        for more in ([], ["--json"]):
            assert CANARY not in check(source, *more).output


def test_the_checkout_is_found_from_anywhere(extract: Extract, tmp_path: Path) -> None:
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert check(extract.folder).exit_code == 0
    finally:
        os.chdir(before)
