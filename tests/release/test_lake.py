"""The lake: what is written twice is there once, in a form that every reader takes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from safelight.errors import (
    ConfigurationError,
    DestinationRefused,
    DestinationUnavailable,
    IntegrityError,
    StorageUnwritable,
)
from safelight.records.rules import RecordRules
from safelight.records.source import ParquetRows
from safelight.records.tables import deidentify_table
from safelight.release.conform import conform, with_row_hash
from safelight.release.lake import Lake, WriteResult
from safelight.release.query import connect
from safelight.release.schemas import TABLES, TableSchema, comment_of
from safelight.staging import read_staged, write_staged
from safelight.yamlfile import load_yaml
from tests.release.hospital import PSEUDONYMIZER
from tests.services.azurite import Azurite
from tests.services.process import free_port

PROJECT = "trial"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
_EXAMPLES: dict[Any, Any] = {
    pa.string(): "text",
    pa.int64(): 7,
    pa.float64(): 1.5,
    pa.date32(): date(2020, 1, 31),
    pa.timestamp("us", "UTC"): NOW,
}


def row(table: str, key: str, **changes: Any) -> dict[str, Any]:
    """A row with something in every column."""
    found = {field.name: _EXAMPLES[field.type] for field in TABLES[table].columns}
    return {**found, TABLES[table].key: key, **changes}


def rows(table: str, keys: Sequence[str], **changes: Any) -> list[dict[str, Any]]:
    return [row(table, key, **changes) for key in keys]


def files(lake: Lake, table: str) -> set[str]:
    return {path.name for path in Path(lake.location(PROJECT, table)).rglob("*") if path.is_file()}


@pytest.mark.parametrize("table", sorted(TABLES))
def test_each_table_is_written_described_and_idempotent(lake: Lake, table: str) -> None:
    first = lake.write(PROJECT, table, [rows(table, ["a", "b"])])
    assert (first.inserted, first.updated, first.unchanged) == (2, 0, 0)
    before = files(lake, table)
    again = lake.write(PROJECT, table, [rows(table, ["b", "a"])])
    assert (again.inserted, again.updated, again.unchanged, again.version) == (0, 0, 2, first.version)
    assert files(lake, table) == before
    found = lake.open(PROJECT, table)
    assert found is not None
    assert (found.protocol().min_reader_version, found.protocol().min_writer_version) == (1, 2)
    assert found.metadata().description == TABLES[table].comment
    assert all(comment_of(field) for field in pa.schema(found.schema().to_arrow()))
    assert {name: value for name, value in lake.read(PROJECT, table).to_pylist()[0].items() if name != "row_hash"} in rows(
        table, ["a", "b"]
    )


def test_changed_rows_are_replaced_new_ones_added_and_the_rest_left_alone(lake: Lake) -> None:
    lake.write(PROJECT, "image_occurrence", [rows("image_occurrence", ["a", "b", "c"])])
    result = lake.write(
        PROJECT,
        "image_occurrence",
        [[row("image_occurrence", "a"), row("image_occurrence", "b", instances=9), row("image_occurrence", "d")]],
    )
    assert (result.inserted, result.updated, result.unchanged) == (1, 1, 1)
    stored = {item["image_occurrence_id"]: item["instances"] for item in lake.read(PROJECT, "image_occurrence").to_pylist()}
    assert stored == {"a": 7, "b": 9, "c": 7, "d": 7}


def test_of_rows_with_one_key_the_first_counts_however_they_are_batched(lake: Lake) -> None:
    first, second = row("release", "a", requests=1), row("release", "a", requests=2)
    for batches in ([[first, second]], [[first], [second]]):
        result = lake.write(PROJECT, "release", [*batches, rows("release", ["b"])])
        assert result.duplicates == 1
        assert {item["release_id"]: item["requests"] for item in lake.read(PROJECT, "release").to_pylist()} == {
            "a": 1,
            "b": 7,
        }


def test_an_older_delivery_never_overwrites_a_newer_one(lake: Lake) -> None:
    old, new = NOW - timedelta(days=1), NOW
    lake.write(PROJECT, "note", [[row("note", "a", note_text="old", extract_datetime=old)]])
    lake.write(PROJECT, "note", [[row("note", "a", note_text="new", extract_datetime=new)]])
    version = lake.write(PROJECT, "note", [[row("note", "a", note_text="old", extract_datetime=old)]]).version
    again = lake.write(PROJECT, "note", [[row("note", "a", note_text="new", extract_datetime=new)]])
    assert (again.unchanged, again.version) == (1, version)
    assert [item["note_text"] for item in lake.read(PROJECT, "note").to_pylist()] == ["new"]


def test_every_file_is_snappy_after_inserts_changes_and_checkpoints(lake: Lake) -> None:
    for number in range(12):
        lake.write(PROJECT, "release", [[row("release", "a", requests=number), row("release", f"b{number}")]])
    folder = Path(lake.location(PROJECT, "release"))
    data = list(folder.glob("*.parquet"))
    for path in data:
        group = pq.ParquetFile(path).metadata.row_group(0)
        assert {group.column(index).compression for index in range(group.num_columns)} == {"SNAPPY"}
    assert len(data) >= 12
    pointer = folder / "_delta_log" / "_last_checkpoint"
    assert len(pointer.read_bytes()) < 200
    written = {int(path.name.partition(".")[0]) for path in (folder / "_delta_log").glob("*.checkpoint.parquet")}
    assert json.loads(pointer.read_bytes())["version"] == max(written) > 8


def test_more_changes_than_one_commit_takes_are_all_made(lake: Lake) -> None:
    keys = [f"it's {number}" for number in range(6_000)]
    lake.write(PROJECT, "release", [rows("release", keys)])
    result = lake.write(PROJECT, "release", [rows("release", keys[1:], requests=1), rows("release", ["new"])])
    assert (result.inserted, result.updated, result.unchanged) == (1, 5_999, 0)
    stored = {item["release_id"]: item["requests"] for item in lake.read(PROJECT, "release").to_pylist()}
    assert stored == {keys[0]: 7, "new": 7} | dict.fromkeys(keys[1:], 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"requests": 1.0}, "requests"),
        ({"requests": "7"}, "requests"),
        ({"requests": True}, "requests"),
        ({"requests": None}, "requests"),
        ({"requests": 2**63}, "requests"),
        ({"release_id": None}, "release_id"),
        ({"software_version": 1}, "software_version"),
        ({"created": NOW.replace(tzinfo=None)}, "created"),
        ({"created": date(2026, 1, 1)}, "created"),
        ({"created": "2026-01-01"}, "created"),
        ({"more": 1}, "more"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(lake: Lake, change: dict[str, Any], words: str) -> None:
    lake.write(PROJECT, "release", ())
    with pytest.raises(IntegrityError, match=words):
        lake.write(PROJECT, "release", [[row("release", "a"), row("release", "b", **change)]])
    assert lake.read(PROJECT, "release").num_rows == 0


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        (pa.array([1], pa.int32()), True),
        (pa.array([1], pa.uint8()), True),
        (pa.array([1.0]), False),
        (pa.array(["1"]), False),
        (pa.array([Decimal("1")]), False),
        (pa.array([2**64 - 1], pa.uint64()), False),
    ],
)
def test_arrow_columns_are_widened_and_never_converted(values: Any, fits: bool) -> None:
    schema = TableSchema("t", "A table.", "k", pa.schema([_field("k", pa.string()), _field("n", pa.int64())]))
    given = pa.table({"k": ["a"], "n": values})
    if fits:
        assert conform(given, schema).column("n").to_pylist() == [1]
    else:
        with pytest.raises(IntegrityError, match="'n'"):
            conform(given, schema)


@pytest.mark.parametrize("zone", [None, "Europe/London"])
def test_only_utc_times_in_arrow(zone: str | None) -> None:
    schema = TableSchema("t", "A table.", "k", pa.schema([_field("k", pa.string()), _field("n", pa.timestamp("us", "UTC"))]))
    with pytest.raises(IntegrityError, match="'n'"):
        conform(pa.table({"k": ["a"], "n": pa.array([0], pa.timestamp("us", zone))}), schema)


def test_a_time_of_another_zone_is_the_same_moment(lake: Lake) -> None:
    summer = datetime(2026, 7, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    lake.write(PROJECT, "release", [[row("release", "a", created=summer)]])
    assert lake.read(PROJECT, "release").to_pylist()[0]["created"] == datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_the_row_digest_tells_every_difference() -> None:
    schema = pa.schema([_field("a", pa.string()), _field("b", pa.string())])
    pairs = [
        ("x", "y"),
        ("xy", ""),
        ("", "xy"),
        (None, "xy"),
        ("xy", None),
        ("1:x", "y"),
        ("-", None),
        (None, "-"),
        (None, None),
    ]
    table = pa.table({"a": [one for one, _ in pairs], "b": [two for _, two in pairs]}, schema=schema)
    assert len(set(with_row_hash(table).column("row_hash").to_pylist())) == len(pairs)


@pytest.mark.parametrize(
    "columns",
    [
        [("k", pa.string(), "")],
        [("k", pa.string(), "c"), ("two words", pa.string(), "c")],
        [("k", pa.string(), "c"), ("K", pa.string(), "c")],
        [("k", pa.string(), "c"), ("t", pa.timestamp("us"), "c")],
        [("k", pa.string(), "c"), ("u", pa.uint32(), "c")],
        [("n", pa.string(), "c")],
    ],
)
def test_a_schema_that_some_reader_can_not_read_is_refused(columns: list[tuple[str, Any, str]]) -> None:
    with pytest.raises(ConfigurationError):
        TableSchema("t", "A table.", "k", pa.schema([_field(name, kind, comment) for name, kind, comment in columns]))


def test_a_table_that_another_tool_upgraded_is_refused(lake: Lake) -> None:
    lake.write(PROJECT, "release", ())
    place = lake.location(PROJECT, "release")
    extra = pa.table({"when": pa.array([0], pa.timestamp("us"))})
    base = lake.read(PROJECT, "release")
    widened = pa.table(
        {**{name: pa.nulls(1, base.schema.field(name).type) for name in base.column_names}, **{"when": extra["when"]}}
    )
    shutil.rmtree(place)
    write_deltalake(place, widened)
    with pytest.raises(IntegrityError, match="protocol 3/7"):
        lake.write(PROJECT, "release", [rows("release", ["a"])])


def test_a_table_of_other_columns_is_refused(lake: Lake) -> None:
    small = TableSchema("person", "People.", "k", pa.schema([_field("k", pa.string())]))
    wide = TableSchema("person", "People.", "k", pa.schema([_field("k", pa.string()), _field("n", pa.int64())]))
    lake.write(PROJECT, wide, [[{"k": "a", "n": 1}]])
    with pytest.raises(IntegrityError, match=r"other columns.*n"):
        lake.write(PROJECT, small, [[{"k": "a"}]])


def _field(name: str, kind: Any, comment: str = "A column.") -> Any:
    return pa.field(name, kind, metadata={"comment": comment})


_WRITER = """
import sys
from safelight.release.lake import Lake
from tests.release.test_lake import PROJECT, rows
lake = Lake(sys.argv[1], jitter=int(sys.argv[2]))
for number in range(6):
    result = lake.write(PROJECT, "release", [rows("release", [f"{number}-{key}" for key in range(20)])])
print("done")
"""


def test_writers_at_once_leave_each_row_once(lake: Lake) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, lake.uri, str(number)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        for number in range(3)
    ]
    for process in running:
        assert process.communicate(timeout=120)[0] == b"done\n"
    keys = lake.read(PROJECT, "release").column("release_id").to_pylist()
    assert len(keys) == len(set(keys)) == 120


def test_an_unwritable_lake_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnwritable, match="release"):
        Lake(str(tmp_path / "file")).write(PROJECT, "release", [rows("release", ["a"])])


def test_a_lake_on_azure_is_the_same_lake(azurite: Azurite) -> None:
    lake = Lake(f"az://{azurite.new_container()}/lake", azurite.storage_options)
    assert lake.write(PROJECT, "release", [rows("release", ["a", "b"])]).inserted == 2
    changed = lake.write(PROJECT, "release", [[row("release", "a", requests=1), row("release", "c")]])
    assert (changed.inserted, changed.updated) == (1, 1)
    again = lake.write(PROJECT, "release", [[row("release", "a", requests=1), row("release", "c")]])
    assert (again.unchanged, again.version) == (2, changed.version)
    assert sorted(lake.read(PROJECT, "release").column("release_id").to_pylist()) == ["a", "b", "c"]
    found = pl.scan_delta(lake.location(PROJECT, "release"), storage_options=dict(lake.storage_options))
    assert found.select(pl.len()).collect().item() == 3


def test_a_wrong_key_or_container_is_refused_and_its_text_is_not_repeated(azurite: Azurite) -> None:
    wrong = {**azurite.storage_options, "azure_storage_account_key": "QUJD"}
    for lake in (Lake(f"az://{azurite.new_container()}/lake", wrong), Lake("az://nosuch/lake", azurite.storage_options)):
        with pytest.raises(DestinationRefused) as caught:
            lake.write(PROJECT, "release", [rows("release", ["a"])])
        assert "QUJD" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)


def test_a_store_that_is_gone_is_unavailable(azurite: Azurite) -> None:
    away = {**azurite.storage_options, "azure_storage_endpoint": f"http://127.0.0.1:{free_port()}/x"}
    away |= {"max_retries": "1", "retry_timeout": "2s"}
    with pytest.raises(DestinationUnavailable):
        Lake("az://nosuch/lake", away).write(PROJECT, "release", [rows("release", ["a"])])


_FULL = """
import json, resource, signal, sys
from safelight.errors import StorageFull
from safelight.release.lake import Lake
from tests.release.test_lake import PROJECT, rows
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lake = Lake(sys.argv[1])
lake.write(PROJECT, "dicom_instance", [rows("dicom_instance", ["a"])])
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    import hashlib
    keys = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(5_000)]
    lake.write(PROJECT, "dicom_instance", [rows("dicom_instance", keys)])
except StorageFull as error:
    print(json.dumps(str(error)))
"""


def test_a_full_disk_is_told_and_what_was_there_stays(lake: Lake) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL, lake.uri], capture_output=True, cwd=Path(__file__).parents[2], timeout=120, check=False
    )
    assert "No room is left" in json.loads(done.stdout), done.stderr[-2000:]
    assert lake.read(PROJECT, "dicom_instance").num_rows == 1


def test_the_digest_is_of_the_rows_and_not_of_how_they_came(lake: Lake, tmp_path: Path) -> None:
    other = Lake(str(tmp_path / "other"))
    lake.write(PROJECT, "release", [rows("release", ["a", "b", "c"])])
    for key in ("c", "a", "b"):
        other.write(PROJECT, "release", [[row("release", key, requests=1)]])
    assert lake.digest(PROJECT, "release") != other.digest(PROJECT, "release")
    other.write(PROJECT, "release", [rows("release", ["b", "c", "a"])])
    assert lake.digest(PROJECT, "release") == other.digest(PROJECT, "release")
    hashes = sorted(bytes.fromhex(text) for text in lake.read(PROJECT, "release").column("row_hash").to_pylist())
    assert lake.digest(PROJECT, "release") == (3, hashlib.sha256(b"".join(hashes)).hexdigest())
    lake.write(PROJECT, "note", ())
    assert lake.digest(PROJECT, "note") == (0, hashlib.sha256(b"").hexdigest())


def test_a_record_table_goes_from_the_delivery_to_a_query(lake: Lake, tmp_path: Path) -> None:
    text = "records:\n  person:\n    person_id: secure-hash\n    year_of_birth: {op: num-range, min: 1935}\n"
    (tmp_path / "profile.yaml").write_text(text)
    file = load_yaml(tmp_path / "profile.yaml")
    rules = RecordRules.parse(file, file.data["records"])
    pq.write_table(
        pa.table({"person_id": [4.0, 5.0, 6.0], "year_of_birth": [1900, 1980, 1990]}), tmp_path / "PERSON.parquet"
    )
    people = {"4": "M4", "5": "M5"}

    def deliver() -> WriteResult:
        table = deidentify_table(
            ParquetRows("person", (tmp_path / "PERSON.parquet",)),
            "person",
            rules,
            PSEUDONYMIZER,
            mrn_of=people.get,
            generated=NOW,
        )
        write_staged(tmp_path / "person.parquet", table.schema, table)
        schema, batches = read_staged(tmp_path / "person.parquet")
        return lake.write(PROJECT, TableSchema.from_arrow("person", schema), batches)

    assert deliver().inserted == 2
    version = deliver().version
    assert (deliver().unchanged, deliver().version) == (2, version)
    with connect() as connection:
        place = lake.location(PROJECT, "person")
        found = connection.execute(f"SELECT person_id, year_of_birth FROM delta_scan('{place}') ORDER BY 2").fetchall()
    assert found == [(PSEUDONYMIZER.secure_hash("4", "person"), 1935), (PSEUDONYMIZER.secure_hash("5", "person"), 1980)]
    stored = lake.described(PROJECT, "person")
    assert stored is not None
    assert [comment_of(field) for field in stored.columns][:2] == [
        "Pseudonym of the person; joins all tables.",
        "Year of birth.",
    ]
