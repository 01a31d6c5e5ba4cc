"""What is made from the code is what the code says now."""

from __future__ import annotations

from deployments import check_profiles, data_dictionary
from safelight.release.schemas import TABLES
from tests.repo import ROOT


def test_the_data_dictionary_is_current() -> None:
    assert data_dictionary.PAGE.read_text() == data_dictionary.render()


def test_the_data_dictionary_explains_every_column_of_every_table() -> None:
    page = data_dictionary.render()
    for table in TABLES.values():
        assert f"### {table.name}\n" in page
        assert [name for name in table.stored.names if f"| {name} |" not in page] == []


def test_the_schema_of_projects_is_current() -> None:
    path = ROOT / "profiles" / "schema" / check_profiles.PROJECT_SCHEMA
    assert path.read_text() == check_profiles.project_schema()
