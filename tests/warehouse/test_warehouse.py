"""Reading a hospital database: nothing but reading, nothing but what was named, streamed, and in time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import pytest
from sqlalchemy.dialects import mssql
from sqlalchemy.dialects.postgresql import psycopg2

from safelight.errors import ConfigurationError, DatabaseUnavailable, SafelightError
from safelight.warehouse import Relation, Relations, Warehouse
from safelight.warehouse.query import check_query
from safelight.warehouse.reader import open_engine, parse_address
from tests.services.postgresql import execute
from tests.services.process import free_port

CANARY = "CANARY-ROW"
SQL_SERVER = "mssql+pyodbc://user:CANARY-PASSWORD@host/db?driver=ODBC+Driver+18+for+SQL+Server"
Open = Callable[..., Warehouse]


@pytest.fixture
def site(postgresql_url: str) -> Callable[..., None]:
    """Runs statements as the owner of the database."""

    run = partial(execute, postgresql_url)
    run(
        "CREATE SCHEMA omop",
        "CREATE TABLE omop.measurement"
        " (measurement_id bigint, person_id bigint, value_as_number numeric, note text, code uuid)",
        f"INSERT INTO omop.measurement SELECT n, mod(n, 10), n / 4.0, '{CANARY}', gen_random_uuid()"
        " FROM generate_series(1, 5000) n",
    )
    return run


@pytest.fixture
def open_warehouse(postgresql_url: str, tmp_path: Path) -> Iterator[Open]:
    opened: list[Warehouse] = []

    def make(url: str = postgresql_url, **settings: int) -> Warehouse:
        opened.append(Warehouse(url, queries=tmp_path, **settings))
        return opened[-1]

    yield make
    for warehouse in opened:
        warehouse.close()


def test_only_the_rows_and_columns_asked_for_come(site: Callable[..., None], open_warehouse: Open) -> None:
    warehouse = open_warehouse()
    assert warehouse.columns("omop.measurement") == ["measurement_id", "person_id", "value_as_number", "note", "code"]
    for _ in range(2):
        batches = list(warehouse.read("omop.measurement", ["measurement_id", "person_id"], people=["4", "7"]))
        assert [batch.schema.names for batch in batches] == [["measurement_id", "person_id"]]
        assert batches[0].num_rows == 1000
        assert set(batches[0].column("person_id").to_pylist()) == {4, 7}
    assert sum(batch.num_rows for batch in warehouse.read("omop.measurement", ["note"])) == 5000
    assert list(warehouse.read("omop.measurement", ["note"], people=[])) == []


def test_people_are_asked_for_in_groups_and_each_row_comes_once(site: Callable[..., None], open_warehouse: Open) -> None:
    people = [str(number) for number in range(2_500)]
    batches = open_warehouse().read("omop.measurement", ["measurement_id"], people=people)
    assert sorted(chain.from_iterable(batch.column(0).to_pylist() for batch in batches)) == list(range(1, 5001))


def test_people_whose_id_is_text_are_found_too(site: Callable[..., None], open_warehouse: Open) -> None:
    site("CREATE VIEW omop.named AS SELECT 'P' || person_id AS person_id, measurement_id FROM omop.measurement")
    found = list(open_warehouse().read("omop.named", ["person_id"], people=["P3", "3' OR '1'='1"]))
    assert [batch.num_rows for batch in found] == [500]


def test_rows_are_fetched_as_they_are_read(site: Callable[..., None], open_warehouse: Open) -> None:
    # A driver that fetched everything first would meet the bad row before it gave the first batch.
    site("CREATE VIEW omop.large AS SELECT n, 1 / (45000 - n) AS share FROM generate_series(1, 50000) n")
    batches = open_warehouse().read("omop.large", ["n", "share"])
    assert sum(next(batches).num_rows for _ in range(4)) == 40_000
    with pytest.raises(ConfigurationError, match="22012"):
        next(batches)


def test_nothing_can_be_written(site: Callable[..., None], open_warehouse: Open) -> None:
    site(
        "CREATE TABLE omop.trace (n int)",
        "CREATE FUNCTION omop.leave() RETURNS int LANGUAGE sql AS 'INSERT INTO omop.trace VALUES (1) RETURNING 1'",
        "CREATE VIEW omop.sly AS SELECT omop.leave() AS person_id",
    )
    with pytest.raises(ConfigurationError, match=r"refused to read 'omop.sly'.*25006"):
        list(open_warehouse().read("omop.sly", ["person_id"]))
    assert sum(batch.num_rows for batch in open_warehouse().read("omop.trace", ["n"])) == 0


def test_a_statement_that_takes_too_long_is_given_up(site: Callable[..., None], open_warehouse: Open) -> None:
    site("CREATE VIEW omop.slow AS SELECT pg_sleep(30)::text AS person_id")
    with pytest.raises(DatabaseUnavailable, match="longer than 1 seconds"):
        list(open_warehouse(timeout_seconds=1).read("omop.slow", ["person_id"]))


def test_what_is_wrong_is_said_without_a_row_or_a_password(
    site: Callable[..., None], open_warehouse: Open, postgresql_url: str, tmp_path: Path
) -> None:
    site("CREATE VIEW omop.broken AS SELECT note::int AS person_id FROM omop.measurement")
    gone = f"postgresql://u:CANARY-PASSWORD@127.0.0.1:{free_port()}/x"
    cases: list[tuple[Callable[[], object], type[SafelightError], str]] = [
        (lambda: open_warehouse().columns("omop.nothing"), ConfigurationError, "no 'omop.nothing'"),
        (lambda: list(open_warehouse().read("omop.measurement", ["nothing"])), ConfigurationError, "lacks a column"),
        (lambda: list(open_warehouse().read("omop.broken", ["person_id"])), ConfigurationError, "22P02"),
        (lambda: open_warehouse(gone).columns("a"), DatabaseUnavailable, "does not answer"),
        (lambda: open_warehouse(postgresql_url.replace("@", "CANARY@")).columns("a"), ConfigurationError, "does not let us"),
        (lambda: open_warehouse("CANARY-PASSWORD"), ConfigurationError, "not a URL"),
        (lambda: open_warehouse("mysql://u:CANARY-PASSWORD@h/d"), ConfigurationError, "can't be 'mysql'"),
    ]
    for act, kind, words in cases:
        with pytest.raises(kind, match=words) as caught:
            act()
        assert "CANARY" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a.b.c.d", 'a"b', "a--b", "../x.sql", "x/y.sql", "é"])
def test_a_name_is_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="name of a table or view"):
        Relations(tmp_path, "postgresql").find(name)


@pytest.mark.parametrize("dialect", ["postgresql", "mssql"])
@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "UPDATE t SET a = 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE t",
        "SELECT * INTO u FROM t",
        "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
        "SELECT 1 AS a) AS t DELETE FROM t SELECT * FROM (SELECT 1 AS a",
        "EXEC xp_cmdshell 'x'",
        "TRUNCATE TABLE t",
        "GRANT ALL ON t TO u",
        "SET x = 1",
        "SELECT a FROM t WHERE a = ?",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT pg_catalog.pg_read_file('/etc/passwd')",
        "SELECT * FROM dblink('host=elsewhere', 'DELETE FROM t') AS t(a int)",
        "SELECT * FROM OPENQUERY(elsewhere, 'DELETE FROM t')",
        "no SQL at all",
        "",
    ],
)
def test_a_query_that_does_more_than_read_is_refused(query: str, dialect: str) -> None:
    with pytest.raises(ConfigurationError, match=r"q\.sql"):
        check_query(query, "q.sql", dialect)


def test_a_reviewed_query_is_read_like_a_view(site: Callable[..., None], open_warehouse: Open, tmp_path: Path) -> None:
    (tmp_path / "some.sql").write_text(
        "-- Reviewed.\nSELECT measurement_id, person_id::bigint AS person_id, '50 % : of' AS words\n"
        "FROM omop.measurement WHERE note LIKE 'CAN%'  -- the end"
    )
    warehouse = open_warehouse()
    assert warehouse.columns("some.sql") == ["measurement_id", "person_id", "words"]
    found = list(warehouse.read("some.sql", ["words", "person_id"], people=["1"]))
    assert found[0].num_rows == 500
    assert set(found[0].column("words").to_pylist()) == {"50 % : of"}


def test_sql_server_gets_its_own_words() -> None:
    # There is no SQL Server to test with: what is sent is held here, and the rest of the path on PostgreSQL.
    dialect = mssql.dialect()
    view = Relation("cdm.dbo.Measurement").select(["measurement_id", "User"], people=["1", "2"])
    text = str(view.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))
    assert " ".join(text.split()) == (
        "SELECT cdm.dbo.[Measurement].measurement_id, cdm.dbo.[Measurement].[User] FROM cdm.dbo.[Measurement] "
        "WHERE cdm.dbo.[Measurement].person_id IN (:person_id_1_1, :person_id_1_2)"
    )
    query = Relation("q.sql", check_query("SELECT TOP 5 a AS person_id FROM dbo.t", "q.sql", "mssql"))
    text = str(query.select(["person_id"], people=["1"]).compile(dialect=dialect))
    assert "FROM (SELECT TOP 5 a AS person_id FROM dbo.t" in text
    assert "INSERT" not in str(query.describe().compile(dialect=dialect))
    assert 'FROM omop."Measurement"' in str(Relation("omop.Measurement").describe().compile(dialect=psycopg2.dialect()))


def test_sql_server_is_asked_as_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    address = parse_address(SQL_SERVER)
    assert address.query == {"driver": "ODBC Driver 18 for SQL Server", "ApplicationIntent": "ReadOnly"}
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    with pytest.raises(ConfigurationError, match="pyodbc") as caught:
        open_engine(SQL_SERVER, 60)
    assert "CANARY" not in str(caught.value)
