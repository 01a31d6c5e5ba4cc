"""Every engine that researchers use reads the same rows: DuckDB, Polars, and a Spark Connect engine."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from safelight.release.audit import audit_table
from safelight.release.lake import Lake
from safelight.release.query import connect
from safelight.release.schemas import TABLES
from safelight.release.upkeep import maintain
from tests.release.test_lake import PROJECT, row, rows
from tests.services.spark import read_by_spark

_SPARK_TYPES: dict[Any, str] = {
    pa.string(): "string",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
}


def written(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Every table after appends, changes, a checkpoint and compaction; returns its rows by key."""
    expected: dict[str, list[dict[str, Any]]] = {}
    for name in TABLES:
        for number in range(3):
            lake.write(PROJECT, name, [[row(name, "a"), row(name, f"é'{number}")]])
        nullable = [field.name for field in TABLES[name].columns if field.nullable]
        lake.write(PROJECT, name, [[row(name, "a", **dict.fromkeys(nullable))]])
        maintain(lake, PROJECT, name, keep_hours=0)
        for number in range(6):
            lake.write(PROJECT, name, [rows(name, [f"later {number}"])])
        audit_table(lake, PROJECT, name)
        expected[name] = sorted(lake.read(PROJECT, name).to_pylist(), key=lambda item: str(item[TABLES[name].key]))
    return expected


def test_all_engines_read_the_same(lake: Lake) -> None:
    expected = written(lake)
    places = {name: lake.location(PROJECT, name) for name in TABLES}
    spark = read_by_spark(list(places.values()))
    with connect() as duck:
        duck.execute("SET TimeZone = 'UTC'")
        for name, place in places.items():
            key = TABLES[name].key
            assert len(expected[name]) == 10
            by_duck = duck.execute(f"SELECT * FROM delta_scan('{place}')").to_arrow_table().to_pylist()
            by_polars = pl.read_delta(place).to_dicts()
            for found in (by_duck, by_polars):
                assert sorted(found, key=lambda item: str(item[key])) == expected[name]
            as_text = [
                {
                    column: str(value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value)
                    for column, value in item.items()
                }
                for item in expected[name]
            ]
            assert sorted(spark[place]["rows"], key=lambda item: item[key]) == as_text
            assert spark[place]["schema"] == {field.name: _SPARK_TYPES[field.type] for field in TABLES[name].stored}
