"""The schema: migrations and tables agree, times keep their zone, and nobody opens a database of another version."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import DateTime, create_engine, inspect, text

from safelight.errors import ConfigurationError, IntegrityError
from safelight.link import LinkDatabase
from safelight.link.migration import REVISION, configuration
from safelight.link.schema import UtcDateTime, metadata
from tests.link.conftest import PROJECT, Clock, Ledger, a_request


def migrate(url: str) -> None:
    database = LinkDatabase(url, clock=Clock())
    database.migrate()
    database.close()


def test_the_migrations_make_exactly_the_tables_of_the_code(empty_url: str) -> None:
    for _ in range(2):
        migrate(empty_url)
        engine = create_engine(empty_url)
        with engine.connect() as connection:
            # Alembic can't read back SQLite's text defaults.
            opts = {"compare_server_default": connection.dialect.name == "postgresql"}
            context = MigrationContext.configure(connection, opts=opts)
            assert compare_metadata(context, metadata) == []
            assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
        engine.dispose()


def test_the_revision_that_is_checked_is_the_newest_step() -> None:
    scripts = ScriptDirectory.from_config(configuration())
    assert scripts.get_heads() == [REVISION]


def test_every_step_says_why_and_leads_on() -> None:
    steps = list(ScriptDirectory.from_config(configuration()).walk_revisions())
    assert steps
    assert all(step.doc for step in steps)


def test_what_an_older_version_has_cached_is_counted(empty_url: str) -> None:
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "request_part")
        connection.execute(
            text(
                "INSERT INTO cached_study (id, study_uid, complete, last_used) "
                "VALUES (1, '1.2', :yes, :at), (2, '1.3', :yes, :at)"
            ),
            {"yes": True, "at": "2026-01-05 12:00:00"},
        )
        connection.execute(
            text(
                "INSERT INTO cached_instance (id, cached_study_id, sop_uid, size) "
                "VALUES (1, 1, '1.2.1', 30), (2, 1, '1.2.2', 12)"
            )
        )
    engine.dispose()
    database = LinkDatabase(empty_url, clock=Clock())
    for _ in range(2):
        database.migrate()
        assert dict(database.cache_sizes()) == {"1.2": 42, "1.3": 0}
    database.close()


def test_an_empty_database_is_refused_until_it_is_migrated(empty_url: str) -> None:
    database = LinkDatabase(empty_url, clock=Clock())
    with pytest.raises(ConfigurationError, match="safelight db migrate"):
        database.check()
    with pytest.raises(ConfigurationError, match="safelight db migrate"):
        database.summary(PROJECT)
    database.migrate()
    database.check()
    database.close()


def test_a_database_of_another_version_is_refused(ledger: Ledger) -> None:
    ledger.database.check()
    engine = create_engine(ledger.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of_tomorrow'"))
    try:
        with pytest.raises(ConfigurationError, match="this version"):
            ledger.database.check()
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{REVISION}'"))
        engine.dispose()


def test_workers_that_start_together_migrate_once(empty_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=migrate, args=(empty_url,)) for _ in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.join(120)
    assert [process.exitcode for process in running] == [0, 0, 0]
    database = LinkDatabase(empty_url, clock=Clock())
    database.check()
    database.close()


def test_a_migration_keeps_the_rows(ledger: Ledger) -> None:
    ledger.add(a_request("M1"))
    ledger.database.migrate()
    assert ledger.database.summary(PROJECT).requested == 1


def test_times_come_back_aware_in_utc_and_sort_by_time(ledger: Ledger) -> None:
    summer = timezone(timedelta(hours=1))
    times = [
        datetime(2026, 6, 1, 0, 30, tzinfo=summer),
        datetime(2026, 5, 31, 23, 30, 0, 1, tzinfo=UTC),
        datetime(2026, 5, 31, 23, 30, 1, tzinfo=UTC),
    ]
    for number, at in enumerate(times):
        ledger.clock.now = at
        ledger.database.record_release(PROJECT, f"r{number}", "a" * 64, [])
    found = [row.recorded_at for row in ledger.database.releases(PROJECT)]
    assert found == times
    assert {at.tzinfo for at in found} == {UTC}
    engine = create_engine(ledger.url)
    with engine.connect() as connection:
        order = connection.scalars(text("SELECT release_id FROM release ORDER BY recorded_at")).all()
    engine.dispose()
    assert order == ["r0", "r1", "r2"]


def test_a_time_without_a_zone_is_refused(ledger: Ledger) -> None:
    ledger.clock.now = datetime(2026, 6, 1)  # noqa: DTZ001  that is the point
    with pytest.raises(IntegrityError, match="refused a statement"):
        ledger.database.audit("test", "test")
    ledger.clock.now = datetime(2026, 6, 1, tzinfo=UTC)
    assert ledger.database.verify_audit() == 0


def test_every_time_column_is_of_the_type_that_keeps_the_zone() -> None:
    columns = [column for table in metadata.tables.values() for column in table.columns]
    times = [column for column in columns if isinstance(column.type, DateTime | UtcDateTime)]
    assert len(times) > 10
    assert all(isinstance(column.type, UtcDateTime) for column in times)
