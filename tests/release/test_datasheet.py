"""The datasheet: its numbers are those of the tables, and what few people share is told to governance only."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from safelight.errors import IntegrityError
from safelight.release.batch import export_project
from safelight.release.datasheet import Datasheet, Heading, datasheet
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from safelight.release.page import Section, as_html, as_markdown, bar_chart
from safelight.release.schemas import TABLES
from tests.release.hospital import Hospital
from tests.release.test_lake import PROJECT, rows

HEADING = Heading("trial", "Chest & bones", datetime(2026, 11, 21, tzinfo=UTC), "R1", "REC-1", "research", "f" * 64, "0.1")
#: Person -> sex, year of birth, and the modality, body part and year of each series. Only one is a man with an MR.
PEOPLE: dict[str, tuple[int, int, list[tuple[str, str | None, int]]]] = {
    **{f"w{n}": (8532, 1950, [("CT", "CHEST", 2020), ("DX", "CHEST", 2021)]) for n in range(6)},
    **{f"m{n}": (8507, 1960, [("CT", "CHEST", 2020)]) for n in range(7)},
    "rare": (8507, 1936, [("MR", "ELBOW", 2019)]),
}


def tables() -> dict[str, pa.Table]:
    images = [
        {
            **rows("image_occurrence", [f"{person}.{number}"])[0],
            "person_id": person,
            "procedure_occurrence_id": f"p-{person}.{number}",
            "image_study_uid": f"{person}.{number}",
            "image_occurrence_date": date(year, 5, 1),
            "modality": modality,
            "anatomic_site": part,
            "manufacturer": "SIEMENS",
            "manufacturer_model_name": "<script>|Somatom",
            "instances": 3,
        }
        for person, (_, _, series) in PEOPLE.items()
        for number, (modality, part, year) in enumerate(series)
    ]
    notes = [{**rows("note", [f"n{n}"])[0], "procedure_occurrence_id": f"p-w{n}.0"} for n in range(5)]
    outcomes = [{**rows("request_outcome", [f"r{n}"])[0], "state": "exported", "reason": None} for n in range(20)]
    outcomes += [{**rows("request_outcome", [f"o{n}"])[0], "state": "opted_out", "reason": "withdrawn"} for n in range(2)]
    return {
        "image_occurrence": pa.Table.from_pylist(images, TABLES["image_occurrence"].columns),
        "note": pa.Table.from_pylist(notes, TABLES["note"].columns),
        "request_outcome": pa.Table.from_pylist(outcomes, TABLES["request_outcome"].columns),
        "person": pa.table(
            {
                "person_id": list(PEOPLE),
                "gender_concept_id": [sex for sex, _, _ in PEOPLE.values()],
                "year_of_birth": [year for _, year, _ in PEOPLE.values()],
            }
        ),
        "measurement": pa.table({"measurement_id": ["a", "b"]}),
    }


def cell_sizes() -> list[int]:
    cells: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for person, (sex, born, series) in PEOPLE.items():
        for combination in series:
            cells[(sex, born, *combination)].add(person)
    return sorted(len(people) for people in cells.values())


def test_its_numbers_are_those_of_the_tables() -> None:
    found = datasheet(tables(), HEADING)
    assert found.counts == {
        "people": 14, "studies": 20, "series": 20, "instances": 60, "notes": 5,
        "requests": 22, "exported": 20, "opted_out": 2,
    }  # fmt: skip
    assert found.smallest_cell == min(cell_sizes()) == 1
    assert found.small_cells == 2  # one of the person alone, one with the image
    assert "| CT | 13 | 13 | 13 | 39 |" in found.markdown
    assert "| 2020 | 13 | 13 | 13 | 39 |" in found.markdown
    assert "Of 22 studies that were asked for so far, 9.1 % are in no release." in found.markdown
    assert "Of the imaging procedures, 25.0 % have a report" in found.markdown
    assert "| measurement | 2 |" in found.markdown


def test_a_person_of_two_deliveries_counts_once() -> None:
    twice = tables()
    twice["person"] = pa.concat_tables([twice["person"], twice["person"]])
    once = datasheet(tables(), HEADING)
    found = datasheet(twice, HEADING)
    assert (found.counts, found.smallest_cell, found.small_cells) == (once.counts, once.smallest_cell, once.small_cells)


def test_what_few_people_share_is_for_governance_only() -> None:
    found = datasheet(tables(), HEADING)
    for public in (found.markdown, found.html):
        assert "1936" not in public
        assert "opted_out" in public
    assert "| MR | under 5 | under 5 | under 5 | under 5 |" in found.markdown
    # The next smallest is hidden with it, or the total would tell.
    assert "| DX | hidden | hidden | hidden | hidden |" in found.markdown
    # Requests that were set aside say nothing about anybody, and the table request_outcome has them one by one.
    assert "| opted_out | withdrawn | 2 |" in found.markdown
    assert "| 8507 | 1936 | MR | ELBOW | 2019 | 1 |" in found.governance
    assert datasheet(tables(), HEADING, threshold=1).small_cells == 0
    assert "| MR | 1 | 1 | 1 | 3 |" in datasheet(tables(), HEADING, threshold=1).markdown


def test_the_same_from_the_lake_from_memory_and_again(lake: Lake) -> None:
    given = {name: table for name, table in tables().items() if name in TABLES}
    for name, table in given.items():
        lake.write(PROJECT, name, [table])
    stored: dict[str, Any] = {}
    for name in given:
        delta = lake.open(PROJECT, name)
        assert delta is not None
        stored[name] = delta.to_pyarrow_dataset()
    first = datasheet(stored, HEADING)
    assert first == datasheet(given, HEADING) == datasheet({name: ds.dataset(t) for name, t in given.items()}, HEADING)


@pytest.mark.parametrize("left", [(), ("person",), ("image_occurrence",), tuple(TABLES), ("note", "request_outcome")])
def test_a_table_that_is_missing_counts_as_empty(left: tuple[str, ...]) -> None:
    found = datasheet({name: table for name, table in tables().items() if name not in left}, HEADING)
    assert found.counts["series"] == (0 if "image_occurrence" in left else 20)
    assert found.counts["requests"] == (0 if "request_outcome" in left else 22)
    _read(found)


def test_nobody_has_no_smallest_cell() -> None:
    found = datasheet({}, HEADING)
    assert (found.smallest_cell, found.small_cells, found.counts["people"]) == (0, 0, 0)
    _read(found)


def test_a_table_that_is_none_is_refused_without_a_word_of_it() -> None:
    with pytest.raises(IntegrityError) as caught:
        datasheet({"image_occurrence": pa.table({"CANARY": ["CANARY"]})}, HEADING)
    assert "CANARY" not in str(caught.value)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _read(found: Datasheet) -> _Page:
    page = _Page()
    page.feed(found.html)
    return page


def test_the_page_is_self_contained_and_no_value_is_markup() -> None:
    found = datasheet(tables(), HEADING)
    page = _read(found)
    names = {tag for tag, _ in page.tags}
    assert {"svg", "rect", "table"} <= names
    assert not names & {"script", "img", "link", "iframe", "object"}
    assert not [
        attribute for _, attributes in page.tags for attribute in attributes if attribute in ("src", "href", "onload")
    ]
    assert "&lt;script&gt;" in found.html
    assert "<script>" not in found.markdown
    devices = next(line for line in found.markdown.splitlines() if "Somatom" in line)
    assert devices.replace("\\|", "").count("|") == 7


def test_a_chart_is_drawn_to_scale() -> None:
    root = ET.fromstring(bar_chart("A & B", [("all", 200), ("half", 100), ("none", 0)]))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.get("width", "0")) for bar in root.iter(f"{space}rect")]
    assert len(widths) == 2
    assert widths[0] == 2 * widths[1]
    assert next(root.iter(f"{space}title")).text == "A & B"


def test_a_document_is_the_same_text_in_both_forms() -> None:
    sections = [Section("One & two", "First.\n\nSecond.", ("a", "b"), (("x|y", "1,000"), ("z", "under 5")), 1, "b")]
    markdown, html = as_markdown("T", sections), as_html("T", sections)
    assert "| x\\|y | 1,000 |" in markdown
    assert "<td>x|y</td>" in html
    assert sections[0].bars == [("x|y", 1000), ("z", 0)]


def test_a_release_comes_with_its_datasheet_and_without_the_page_for_governance(
    hospital: Hospital, lake: Lake, tmp_path: Path
) -> None:
    hospital.verify(range(1, 7), instances=1)
    hospital.ask(range(10, 16))
    export_project(hospital.export(lake, [FolderDestination(tmp_path / "dicom")]))
    (page,) = (tmp_path / "manifests").glob("*.md")
    text = page.read_text()
    assert "| exported | - | 6 |\n| requested | - | 6 |" in text
    assert "| CT | 6 | 6 | 6 | 6 |" in text
    places = [tmp_path / "manifests", tmp_path / "dicom", tmp_path / "lake"]
    delivered = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert page in delivered
    assert not [path for path in delivered if b"For governance only" in path.read_bytes()]
