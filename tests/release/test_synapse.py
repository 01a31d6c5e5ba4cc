"""What is generated for Synapse: SQL that parses, with the types that the lake has.

There is no Synapse here. sqlglot reads the T-SQL; what it does not know of serverless SQL (OPENROWSET with WITH) is taken
out and read as the column list that it is.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from click.testing import CliRunner
from sqlglot import exp

from safelight.cli.main import main
from safelight.errors import ConfigurationError
from safelight.release.lake import Lake
from safelight.release.schemas import TABLES
from safelight.release.synapse import serverless_script, spark_notebook
from tests.release.test_lake import PROJECT, rows

ADDRESS = "abfss://lake@account.dfs.core.windows.net/v1"
_ROWSET = re.compile(
    r"OPENROWSET\(BULK '(\w+)', DATA_SOURCE = 'safelight_lake', FORMAT = 'DELTA'\)\nWITH \((.*?)\n\) AS \[stored\]", re.S
)
#: What the types of the lake's Parquet files are to serverless SQL (Microsoft Learn, "Automatic schema inference").
_SQL_TYPES: dict[Any, set[str]] = {
    pa.string(): {"VARCHAR"},
    pa.int64(): {"BIGINT"},
    pa.float64(): {"FLOAT"},
    pa.date32(): {"DATE"},
    pa.timestamp("us", "UTC"): {"DATETIME2"},
}


def views(script: str) -> dict[str, dict[str, exp.DataType]]:
    """Table -> column -> type, of each view; every other statement has been parsed on the way."""
    found: dict[str, dict[str, exp.DataType]] = {}
    for batch in script.split("\nGO\n"):
        rowset = _ROWSET.search(batch)
        if rowset is None:
            if batch.strip() and "EXTERNAL" not in batch and "CREDENTIAL" not in batch and "MASTER KEY" not in batch:
                assert len(sqlglot.parse(batch, dialect="tsql")) == 1
            continue
        (view,) = sqlglot.parse(batch.replace(rowset[0], "[stored]"), dialect="tsql")
        assert isinstance(view, exp.Create)
        (table,) = sqlglot.parse(f"CREATE TABLE t ({rowset[2]})", dialect="tsql")
        assert isinstance(table, exp.Create)
        columns = {column.name: column for column in table.find_all(exp.ColumnDef)}
        assert [column.name for column in view.expression.selects] == list(columns)
        for column in columns.values():
            collated = "Latin1_General_100_BIN2_UTF8" in column.sql(dialect="tsql")
            assert collated == (column.kind.this is exp.DataType.Type.VARCHAR)
        assert view.this.name == rowset[1]
        found[rowset[1]] = {name: column.kind for name, column in columns.items()}
    return found


def test_each_view_has_the_columns_and_types_of_the_stored_table(lake: Lake) -> None:
    script = serverless_script(ADDRESS, PROJECT, list(TABLES.values()))
    found = views(script)
    assert set(found) == set(TABLES)
    for name, columns in found.items():
        lake.write(PROJECT, name, [rows(name, ["a"])])
        delta = lake.open(PROJECT, name)
        assert delta is not None
        stored = pa.schema(delta.schema().to_arrow())
        assert list(columns) == stored.names
        for field in stored:
            assert columns[field.name].this.value in _SQL_TYPES[field.type], field.name


def test_text_is_as_wide_as_its_values_can_be() -> None:
    note = views(serverless_script(ADDRESS, PROJECT, [TABLES["note"]]))["note"]
    assert note["note_text"].sql(dialect="tsql") == "VARCHAR(MAX)"
    assert note["note_id"].sql(dialect="tsql") == "VARCHAR(64)"
    assert note["note_title"].sql(dialect="tsql") == "VARCHAR(8000)"


def test_each_project_has_a_database_and_an_address_of_its_own() -> None:
    one, two = (serverless_script(ADDRESS, slug, [TABLES["note"]]) for slug in ("chest-xray", "knee"))
    assert "[safelight_chest_xray] COLLATE Latin1_General_100_BIN2_UTF8" in one
    assert f"LOCATION = '{ADDRESS}/chest-xray'" in one
    assert "knee" not in one
    assert f"LOCATION = '{ADDRESS}/knee'" in two
    own = serverless_script("abfss://{project}@account.dfs.core.windows.net", "knee", [TABLES["note"]])
    assert "LOCATION = 'abfss://knee@account.dfs.core.windows.net/knee'" in own


@pytest.mark.parametrize("uri", ["/data/lake", "az://lake/v1", "abfss://lake@account.dfs.core.windows.net/v1'; DROP", ""])
def test_an_address_that_synapse_can_not_read_is_refused(uri: str) -> None:
    for make in (serverless_script, spark_notebook):
        with pytest.raises(ConfigurationError, match="abfss"):
            make(uri, PROJECT, [TABLES["note"]])


def test_the_notebook_is_one_and_opens_every_table() -> None:
    notebook = json.loads(spark_notebook(ADDRESS, PROJECT, list(TABLES.values())))
    assert notebook["nbformat"] == 4
    opening = "".join(notebook["cells"][1]["source"])
    compile(opening, "cell", "exec")
    assert all(f'"{name}"' in opening for name in TABLES)
    joined = sqlglot.parse_one("".join(notebook["cells"][3]["source"][1:]), dialect="spark")
    for column in joined.find_all(exp.Column):
        assert column.name in {*TABLES["image_occurrence"].columns.names, *TABLES["note"].columns.names, "studies"}


def test_the_command_writes_both_and_again_the_same(tmp_path: Path) -> None:
    arguments = ["release", "synapse", "demo-hospital", "--lake", ADDRESS, "--output", str(tmp_path)]
    written = []
    for _ in range(2):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        written.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {"demo-hospital-serverless.sql", "demo-hospital-spark.ipynb"}
    assert {"measurement", "person", "note"} <= set(views(written[0]["demo-hospital-serverless.sql"].decode()))
