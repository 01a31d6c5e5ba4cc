"""Deliveries as hospitals make them, with a canary in every identifying column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safelight.cohort import Delivery, read_omop_es

PROJECT = "chest"
CANARY = "CANARY7"
SINGLE = {
    "persons": "private/PERSON_LINKS.parquet",
    "links": "private/PROCEDURE_OCCURRENCE_LINKS.parquet",
    "procedures": "public/omop/PROCEDURE_OCCURRENCE.parquet",
}
BATCHED = {
    "persons": "private/person_links",
    "links": "private/procedure_occurrence_links",
    "procedures": "public/omop/procedure_occurrence",
}
Columns = Mapping[str, Any]


def text(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


class Extract:
    """An OMOP-ES extract on disk. Tables may be replaced, or taken away, before it is read."""

    def __init__(self, folder: Path, *, layout: str = "single") -> None:
        self.folder, self.layout = folder, layout
        self.summary({"datetime": "2023-12-07 14:08:58", "settings": {"cdm_source_name": "Test Extract - UCLH OMOP CDM"}})
        self.persons(person_id=[1, 2], PrimaryMrn=[f"{CANARY}M1", "0002"])
        self.procedures(
            procedure_occurrence_id=[11, 12, 13],
            person_id=[1, 1, 2],
            procedure_date=[date(2020, 1, 2), date(2020, 1, 3), date(2020, 1, 4)],
        )
        self.links(
            procedure_occurrence_id=[11, 12, 13],
            AccessionNumber=[f"{CANARY}A", "", "00A"],
            StudyUid_X=["1.2.3", "1.2.4", None],
        )

    def summary(self, content: Any) -> None:
        self.write("extract_summary.json", json.dumps(content).encode())

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def persons(self, **columns: Any) -> None:
        self.table("persons", columns)

    def procedures(self, **columns: Any) -> None:
        self.table("procedures", columns)

    def links(self, **columns: Any) -> None:
        self.table("links", columns)

    def table(self, name: str, columns: Columns, *, parts: Sequence[Columns] = ()) -> None:
        if self.layout == "single":
            self._store(self.folder / SINGLE[name], columns)
            return
        folder = self.folder / BATCHED[name]
        for old in folder.glob("part-*"):
            old.unlink()
        for number, part in enumerate([columns, *parts]):
            self._store(folder / f"part-{number}.parquet", part)

    @staticmethod
    def _store(path: Path, columns: Columns) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(dict(columns)), path)


def read(extract: Extract) -> Delivery:
    """Read it for the project of these tests."""
    return read_omop_es(extract.folder, project=PROJECT)


@pytest.fixture(params=["single", "batched"])
def extract(request: pytest.FixtureRequest, tmp_path: Path) -> Extract:
    return Extract(tmp_path / "extract-1", layout=request.param)


HEADER = "procedure_id,mrn,accession_number,project_name,extract_generated_timestamp,study_date,study_uid,participant_id"
ROW = f"11,{CANARY}M1,{CANARY}A,{PROJECT},2023-12-07T14:08:58Z,2020-01-02,1.2.3,P1"


def csv_row(**cells: str) -> str:
    """One row; cells may be replaced by their column's name."""
    values = dict(zip(HEADER.split(","), ROW.split(","), strict=True))
    assert set(cells) <= set(values)
    return ",".join((values | cells).values())


@pytest.fixture
def csv_file(tmp_path: Path) -> Any:
    """Write a CSV file of these lines."""

    def write(*lines: str, header: str = HEADER, end: str = "\n", encoding: str = "utf-8") -> Path:
        path = tmp_path / "cohort.csv"
        path.write_bytes((end.join([header, *lines]) + end).encode(encoding))
        return path

    return write
