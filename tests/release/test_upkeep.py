"""Upkeep: the same rows in fewer files, and a person gone from every byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safelight.errors import IntegrityError
from safelight.release.lake import Lake
from safelight.release.schemas import TABLES, TableSchema
from safelight.release.upkeep import maintain, remove_person
from tests.release.test_lake import PROJECT, row, rows

LEAVER = hashlib.sha256(b"leaver").hexdigest()


def everything(folder: Path) -> str:
    """All that the table's folder says: its files' bytes, and the cells of compressed columns."""
    text = []
    for path in folder.rglob("*"):
        if path.is_file():
            text.append(path.read_bytes().decode("latin-1"))
            if path.suffix == ".parquet":
                text.append(str(pq.read_table(path).to_pylist()))
    return "\n".join(text)


def test_compaction_keeps_rows_protocol_and_snappy(lake: Lake) -> None:
    for number in range(6):
        lake.write(PROJECT, "release", [[row("release", f"r{number}")]])
    before = lake.digest(PROJECT, "release")
    told = maintain(lake, PROJECT, "release", keep_hours=0)
    assert (told.gathered, told.made, told.deleted) == (6, 1, 6)
    assert lake.digest(PROJECT, "release") == before
    (path,) = Path(lake.location(PROJECT, "release")).glob("*.parquet")
    group = pq.ParquetFile(path).metadata.row_group(0)
    assert {group.column(index).compression for index in range(group.num_columns)} == {"SNAPPY"}
    again = maintain(lake, PROJECT, "release", keep_hours=0)
    assert (again.gathered, again.made) == (0, 0)
    assert lake.write(PROJECT, "release", [rows("release", [f"r{n}" for n in range(6)])]).unchanged == 6


def test_young_files_stay_for_those_who_read_them(lake: Lake) -> None:
    for number in range(3):
        lake.write(PROJECT, "release", [[row("release", f"r{number}")]])
    assert maintain(lake, PROJECT, "release").deleted == 0


def test_a_person_who_leaves_is_in_no_byte_of_the_table(lake: Lake) -> None:
    for number in range(12):
        batch = [row("note", f"n{number}"), row("note", f"l{number}", person_id=LEAVER)]
        lake.write(PROJECT, "note", [batch])
    folder = Path(lake.location(PROJECT, "note"))
    assert LEAVER in everything(folder)
    assert remove_person(lake, PROJECT, "note", LEAVER) == 12
    assert LEAVER not in everything(folder)
    assert lake.read(PROJECT, "note").num_rows == 12
    assert remove_person(lake, PROJECT, "note", LEAVER) == 0
    assert LEAVER not in everything(folder)
    assert lake.write(PROJECT, "note", [[row("note", "n0"), row("note", "new")]]).inserted == 1


@pytest.mark.parametrize("person", ["", "x' OR 1=1 --", "short"])
def test_only_a_pseudonym_is_removed(lake: Lake, person: str) -> None:
    lake.write(PROJECT, "note", [rows("note", ["a"])])
    with pytest.raises(IntegrityError):
        remove_person(lake, PROJECT, "note", person)


def test_no_upkeep_of_what_is_not_there(lake: Lake) -> None:
    with pytest.raises(IntegrityError, match="no table 'note'"):
        maintain(lake, PROJECT, "note")


def _schema(*names: str) -> TableSchema:
    fields = [pa.field(name, pa.string(), nullable=name != "k", metadata={"comment": f"Column {name}."}) for name in names]
    return TableSchema("person", "People.", "k", pa.schema(fields))


def test_a_new_column_is_added_with_its_comment_and_filled(lake: Lake) -> None:
    lake.write(PROJECT, _schema("k", "a"), [[{"k": "1", "a": "x"}, {"k": "2", "a": "y"}]])
    told = lake.write(PROJECT, _schema("k", "b", "a"), [[{"k": "1", "b": "new", "a": "x"}, {"k": "3", "b": None, "a": "z"}]])
    assert (told.inserted, told.updated) == (1, 1)
    stored = sorted((r["k"], r["a"], r["b"]) for r in lake.read(PROJECT, "person").to_pylist())
    assert stored == [("1", "x", "new"), ("2", "y", None), ("3", "z", None)]
    described = lake.described(PROJECT, "person")
    assert described is not None
    assert described.columns.field("b").metadata == {b"comment": b"Column b."}
    again = lake.write(PROJECT, _schema("k", "b", "a"), [[{"k": "1", "b": "new", "a": "x"}]])
    assert (again.unchanged, again.version) == (1, told.version)


#: Features and actions that Synapse serverless SQL can't read (its documentation), in the words of the Delta log.
_UNREADABLE = ("deletionVector", "columnMapping", "timestampNtz", "timestamp_ntz", '"void"', "v2Checkpoint", "rowTracking")


def logged(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for path in sorted((folder / "_delta_log").glob("*.json")) for line in path.read_text().splitlines()
    ]


def test_the_log_holds_nothing_that_serverless_sql_can_not_read(lake: Lake) -> None:
    for name in sorted(TABLES):
        for number in range(11):
            lake.write(PROJECT, name, [[row(name, "same"), row(name, f"k{number}")]])
        maintain(lake, PROJECT, name, keep_hours=0)
        if "person_id" in TABLES[name].columns.names:
            remove_person(lake, PROJECT, name, LEAVER)
        lake.write(PROJECT, name, [rows(name, ["more"])])
        folder = Path(lake.location(PROJECT, name))
        entries = logged(folder)
        assert entries
        for entry in entries:
            assert not [word for word in _UNREADABLE if word in json.dumps(entry).replace('\\"', '"')]
            if protocol := entry.get("protocol"):
                assert (protocol["minReaderVersion"], protocol["minWriterVersion"]) == (1, 2)
        assert len((folder / "_delta_log" / "_last_checkpoint").read_bytes()) < 200
