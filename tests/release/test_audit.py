"""The audit of a table as it lies in storage: ours pass it all their life, and each kind of misfit is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, WriterProperties, write_deltalake

from safelight.errors import IntegrityError
from safelight.release.audit import audit_table
from safelight.release.lake import Lake
from safelight.release.schemas import TABLES
from safelight.release.upkeep import maintain, remove_person
from tests.release.test_lake import PROJECT, row, rows
from tests.services.azurite import Azurite


@pytest.mark.parametrize("table", sorted(TABLES))
def test_each_table_passes(lake: Lake, table: str) -> None:
    lake.write(PROJECT, table, [rows(table, ["a", "b"])])
    audit_table(lake, PROJECT, table)
    audit_table(lake, PROJECT, table)


def test_a_table_passes_at_every_stage_of_its_life(lake: Lake) -> None:
    for number in range(12):  # past a checkpoint
        lake.write(PROJECT, "note", [[row("note", "a", note_text=str(number)), row("note", f"b{number}")]])
    audit_table(lake, PROJECT, "note")
    maintain(lake, PROJECT, "note", keep_hours=0)
    audit_table(lake, PROJECT, "note")
    lake.write(PROJECT, "note", [[row("note", "c", person_id="P" * 64)]])
    assert remove_person(lake, PROJECT, "note", "P" * 64) == 1
    audit_table(lake, PROJECT, "note")


def test_a_table_in_blob_storage_passes(azurite: Azurite) -> None:
    lake = Lake(f"az://{azurite.new_container()}/lake", azurite.storage_options)
    lake.write(PROJECT, "note", [rows("note", ["a"])])
    audit_table(lake, PROJECT, "note")


GOOD = pa.table({"person_id": ["a"], "n": pa.array([1], pa.int64())})


def _log(place: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the actions of the first commit."""
    path = Path(place) / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        change(action)
    path.write_text("\n".join(map(json.dumps, actions)))


def _naive(place: str) -> None:
    write_deltalake(place, pa.table({"t": pa.array([0], pa.timestamp("us"))}))


def _zstd(place: str) -> None:
    write_deltalake(place, GOOD)
    DeltaTable(place).optimize.compact()
    write_deltalake(place, GOOD, mode="append", writer_properties=WriterProperties(compression="ZSTD"))


def _nested(place: str) -> None:
    write_deltalake(place, pa.table({"s": [{"x": 1}]}))


def _void(place: str) -> None:
    write_deltalake(place, pa.table({"a": ["x"], "nothing": pa.nulls(1)}))


def _vectors(place: str) -> None:
    DeltaTable.create(place, GOOD.schema, configuration={"delta.enableDeletionVectors": "true"})


def _mapped(place: str) -> None:
    DeltaTable.create(place, GOOD.schema, configuration={"delta.columnMapping.mode": "name"})


def _vector(place: str) -> None:
    write_deltalake(place, GOOD)
    _log(place, lambda action: action.get("add", {}).update({"deletionVector": {"storageType": "u", "sizeInBytes": 1}}))


def _partition(place: str) -> None:
    write_deltalake(place, pa.table({"p": pa.array([None, "x"]), "n": [1, 2]}), partition_by=["p"])


def _checkpoint(place: str) -> None:
    write_deltalake(place, GOOD)
    name = f"{0:020d}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet"
    (Path(place) / "_delta_log" / name).write_bytes(b"PAR1")


def _pointer(place: str) -> None:
    write_deltalake(place, GOOD)
    DeltaTable(place).create_checkpoint()
    pointer = Path(place) / "_delta_log" / "_last_checkpoint"
    pointer.write_text(json.dumps({**json.loads(pointer.read_text()), "checkpointSchema": "x" * 200}))


MISFITS = {
    _naive: "column 't' of type timestamp_ntz; protocol 3/7",
    _zstd: "compressed by ZSTD",
    _nested: "column 's' of type struct",
    _void: "column 'nothing' of type void",
    _vectors: "property delta.enableDeletionVectors",
    _mapped: "protocol 2/5",
    _vector: "deletion vectors",
    _partition: "empty partition value",
    _checkpoint: "not one classic file",
    _pointer: "pointer to the last checkpoint",
}


@pytest.mark.parametrize("make", MISFITS, ids=lambda make: make.__name__.strip("_"))
def test_what_serverless_sql_can_not_read_is_named(lake: Lake, make: Callable[[str], None]) -> None:
    place = lake.location(PROJECT, "note")
    Path(place).mkdir(parents=True)
    make(place)
    with pytest.raises(IntegrityError, match=MISFITS[make]):
        audit_table(lake, PROJECT, "note")


def test_a_table_that_is_not_there_is_said(lake: Lake) -> None:
    with pytest.raises(IntegrityError, match="no table 'note'"):
        audit_table(lake, PROJECT, "note")
