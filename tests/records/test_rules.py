"""The records section of a profile: what it allows, and that it says where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.errors import ConfigurationError
from safelight.operation import OPERATIONS
from safelight.records.cdm import CDM, DOMAINS
from safelight.records.rules import FITTING, RecordRules
from safelight.yamlfile import load_yaml

GOOD = """\
name: test
records:
  person:
    person_id: secure-hash
    gender_concept_id: keep
    year_of_birth: {op: num-range, min: 1935}
    birth_datetime: date-floor
    race_concept_id: remove
  measurement:
    value_as_number: keep
    person_id: secure-hash
    measurement_id: secure-hash
    measurement_date: date-shift
    unit_source_value: {op: keep, reason: The laboratory's closed list of units.}
"""


def parse(folder: Path, text: str) -> RecordRules:
    path = folder / "profile.yaml"
    path.write_text(text)
    file = load_yaml(path)
    return RecordRules.parse(file, file.data["records"], ("records",))


def test_columns_come_in_the_order_of_the_data_model_and_removed_ones_are_gone(tmp_path: Path) -> None:
    rules = parse(tmp_path, GOOD)
    assert list(rules.tables["person"].columns) == ["person_id", "gender_concept_id", "year_of_birth", "birth_datetime"]
    assert list(rules.tables["measurement"].columns)[:3] == ["measurement_id", "person_id", "measurement_date"]


def test_no_records_section_lets_nothing_leave(tmp_path: Path) -> None:
    assert parse(tmp_path, "records:\n").tables == {}


def test_the_description_is_the_same_however_the_file_is_ordered(tmp_path: Path) -> None:
    head, person, measurement = GOOD.partition("  person:\n")[0], *GOOD.partition("  person:\n")[2].split("  measurement:\n")
    turned = head + "  measurement:\n" + measurement + "  person:\n" + person
    assert parse(tmp_path, turned).describe() == parse(tmp_path, GOOD).describe()


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("  person:\n", "  persons:\n", 3, "no table 'persons'"),
        ("  person:\n", "  note:\n", 3, "Notes are not records"),
        ("gender_concept_id: keep", "gender: keep", 5, "no column 'gender'"),
        ("gender_concept_id: keep", "gender_concept_id: kept", 5, "no operation 'kept'"),
        ("gender_concept_id: keep", "gender_concept_id: date-shift", 5, "does not fit"),
        ("gender_concept_id: keep", "gender_source_value: keep", 5, "needs a reason"),
        ("gender_concept_id: keep", "gender_source_value: hash", 5, "needs a reason"),
        ("gender_concept_id: keep", "day_of_birth: keep", 5, "needs a reason"),
        ("gender_concept_id: keep", "person_source_value: secure-hash", 5, "needs a domain"),
        ("gender_concept_id: keep", "provider_id: keep", 5, "does not fit"),
        ("gender_concept_id: keep", "gender_concept_id: {op: fixed, value: x}", 5, "fixed value"),
        ("gender_concept_id: keep", "gender_concept_id: {op: map, values: {'1': x}}", 5, "value of the map"),
        ("birth_datetime: date-floor", "birth_datetime: keep", 7, "needs a reason"),
        ("min: 1935", "min: 1935.5", 6, "whole numbers"),
        ("min: 1935", "least: 1935", 6, "num-range"),
        ("    person_id: secure-hash\n    measurement_id", "    measurement_id", 9, "must list 'person_id'"),
        ("    measurement_id: secure-hash\n", "", 9, "must list 'measurement_id'"),
        ("    measurement_id: secure-hash\n", "    measurement_id: empty\n", 12, "must list 'measurement_id'"),
        ("measurement_id: secure-hash", "measurement_id: {op: secure-hash, domain: lab}", 12, "domain"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ConfigurationError, match=words) as caught:
        parse(tmp_path, GOOD.replace(old, new))
    assert str(caught.value).startswith(f"profile.yaml:{line}: ")


def test_every_column_of_the_data_model_is_described() -> None:
    for table in CDM.values():
        assert table.comment
        assert table.key in table.columns
        assert "person_id" in table.columns
        for column in table.columns.values():
            assert column.kind in FITTING
            assert column.comment.endswith("."), column
            assert (column.kind == "id") == bool(column.domain)
            assert len(column.domain) <= 16
    listed = {column.name for table in CDM.values() for column in table.columns.values() if column.kind == "id"}
    assert listed | {"note_id"} == set(DOMAINS)


def test_every_operation_fits_some_column() -> None:
    fitting = {kind.model_fields["op"].default for kinds in FITTING.values() for kind in kinds}
    # The words of imaging devices are no table's business.
    assert fitting == set(OPERATIONS) - {"vocabulary"}


def test_no_kind_that_names_a_person_can_be_kept() -> None:
    assert "keep" not in {kind.model_fields["op"].default for kind in FITTING["id"]}
