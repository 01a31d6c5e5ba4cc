"""Record tables: only listed columns of the cohort's people leave, and every row is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.errors import ConfigurationError, ExtractInvalid, StudyRejected
from safelight.model import Reason
from safelight.operation import OPERATIONS
from safelight.pseudonym import ProjectKey, Pseudonymizer, plain_hash
from safelight.records.cdm import CDM
from safelight.records.columns import TYPES, read_column
from safelight.records.rules import FITTING, RecordRules
from safelight.records.source import ParquetRows, record_files
from safelight.records.tables import DeidentifiedTable, deidentify_table, table_schema
from safelight.yamlfile import load_yaml

P = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
GENERATED = datetime(2026, 11, 20, tzinfo=UTC)
CANARY = "CANARY7"
MRNS = {"4": " MRN004 ", "5": "MRN005"}
RULES = """\
records:
  measurement:
    measurement_id: secure-hash
    person_id: secure-hash
    measurement_concept_id: keep
    measurement_date: date-shift
    measurement_datetime: date-shift
    operator_concept_id: {op: map, values: {'1': '10', '2': '20'}}
    value_as_number: {op: num-range, min: 0, max: 100}
    unit_concept_id: {op: fixed, value: 8840}
    range_low: empty
    visit_occurrence_id: secure-hash
    measurement_source_value: {op: secure-hash, domain: lab}
    unit_source_value: {op: map, values: [mg, g]}
    value_source_value: clean-text
"""


def rules_of(folder: Path, text: str = RULES) -> RecordRules:
    path = folder / "profile.yaml"
    path.write_text(text)
    file = load_yaml(path)
    return RecordRules.parse(file, file.data["records"])


def measurement(rows: int, **columns: Any) -> pa.Table:
    found: dict[str, Any] = {
        "measurement_id": pa.array(range(rows), pa.float64()),
        "person_id": pa.array([4.0] * rows),
        "measurement_concept_id": pa.array([3000 + n for n in range(rows)], pa.int32()),
        "measurement_date": pa.array([date(2020, 2, 29)] * rows),
        "measurement_datetime": pa.array([datetime(2020, 2, 29, 13, 5)] * rows, pa.timestamp("us")),  # noqa: DTZ001  as deliveries are
        "operator_concept_id": pa.array([1.0] * rows),
        "value_as_number": pa.array([7.5] * rows),
        "unit_concept_id": pa.nulls(rows, pa.bool_()),
        "range_low": pa.array([1.0] * rows),
        "visit_occurrence_id": pa.array([77.0] * rows),
        "measurement_source_value": pa.array([f"{CANARY} lab"] * rows),
        "unit_source_value": pa.array(["MG "] * rows),
        "value_source_value": pa.array(["clear"] * rows),
        "provider_id": pa.array([f"{CANARY}"] * rows),
        "surprise": pa.array([CANARY] * rows),
    }
    return pa.table({**found, **columns})


def clean(text: str, known: object, shift: int) -> str:
    if CANARY in text:
        raise StudyRejected(Reason.TEXT_UNREADABLE)
    return f"{text} {shift}"


def run(folder: Path, *tables: pa.Table, rules: RecordRules | None = None) -> tuple[list[dict[str, Any]], DeidentifiedTable]:
    paths = []
    for number, table in enumerate(tables):
        paths.append(folder / f"part-{number}.parquet")
        pq.write_table(table, paths[-1])
    found = deidentify_table(
        ParquetRows("measurement", tuple(paths)),
        "measurement",
        rules or rules_of(folder),
        P,
        mrn_of=MRNS.get,
        generated=GENERATED,
        clean_text=clean,
    )
    return [row for batch in found for row in batch.to_pylist()], found


def test_each_operation_does_what_its_name_says(tmp_path: Path) -> None:
    (row,), table = run(tmp_path, measurement(1))
    days = timedelta(days=P.date_shift("MRN004"))
    assert row == {
        "measurement_id": P.secure_hash("0", "measurement"),
        "person_id": P.secure_hash("4", "person"),
        "measurement_concept_id": 3000,
        "measurement_date": date(2020, 2, 29) + days,
        "measurement_datetime": datetime(2020, 2, 29, 13, 5, tzinfo=UTC) + days,
        "operator_concept_id": 10,
        "value_as_number": 7.5,
        "range_low": None,
        "unit_concept_id": 8840,
        "visit_occurrence_id": P.secure_hash("77", "visit"),
        "measurement_source_value": P.secure_hash(f"{CANARY} lab", "lab"),
        "unit_source_value": "mg",
        "value_source_value": f"clear {P.date_shift('MRN004')}",
        "extract_datetime": GENERATED,
    }
    assert (table.counts.read, table.counts.delivered, table.counts.set_aside) == (1, 1, Counter())


def test_nothing_that_is_not_listed_leaves(tmp_path: Path) -> None:
    rows, table = run(tmp_path, measurement(3))
    assert CANARY not in str(rows)
    assert "provider_id" not in table.schema.names
    assert "surprise" not in table.schema.names


def test_every_row_is_delivered_or_set_aside_with_its_reason(tmp_path: Path) -> None:
    first = measurement(
        8,
        measurement_id=pa.array([0.0, None, 2.5, 3, 4, 5, 6, 7]),
        person_id=pa.array([4.0, 4, 4, None, 99, 5, 4, 4.5]),
        value_as_number=pa.array([1.0, 1, 1, 1, 1, float("inf"), float("nan"), 1]),
    )
    second = measurement(
        3,
        measurement_id=pa.array([10, 11, 12]),
        measurement_date=pa.array([date(9999, 12, 31), date(1, 1, 1), None]),
        value_source_value=pa.array([None, None, f"{CANARY} text"]),
    )
    rows, table = run(tmp_path, first, second)
    assert table.counts.read == 11
    assert table.counts.set_aside == {
        Reason.MISSING_IDENTIFIER: 2,
        Reason.BAD_VALUE: 4,
        Reason.UNMATCHED_PERSON: 1,
        Reason.TEXT_UNREADABLE: 1,
    }
    assert len(rows) == table.counts.delivered == 3
    assert CANARY not in str(rows)
    assert next(row for row in rows if row["measurement_id"] == P.secure_hash("6", "measurement"))["value_as_number"] is None


def test_ids_give_one_pseudonym_in_whatever_type_they_come(tmp_path: Path) -> None:
    for column in ([4, 5], [4.0, 5.0], ["4", " 5 "]):
        rows, _ = run(tmp_path, measurement(2, person_id=pa.array(column)))
        assert [row["person_id"] for row in rows] == [P.secure_hash("4", "person"), P.secure_hash("5", "person")]


def test_intervals_of_one_person_stay_and_those_of_another_are_shifted_otherwise(tmp_path: Path) -> None:
    days = [date(2020, 1, 1), date(2020, 3, 1), date(2020, 1, 1)]
    rows, _ = run(tmp_path, measurement(3, person_id=pa.array([4, 4, 5]), measurement_date=pa.array(days)))
    one, two, other = (row["measurement_date"] for row in rows)
    assert two - one == timedelta(days=60)
    assert other != one


def test_an_all_null_table_keeps_its_types(tmp_path: Path) -> None:
    nulls = {
        name: pa.nulls(2, pa.bool_()) for name in measurement(1).column_names if name not in ("measurement_id", "person_id")
    }
    rows, table = run(tmp_path, measurement(2, **nulls))
    assert [row["measurement_date"] for row in rows] == [None, None]
    assert table.counts.delivered == 2


def test_a_second_reading_gives_the_same(tmp_path: Path) -> None:
    rows, table = run(tmp_path, measurement(5))
    assert [row for batch in table for row in batch.to_pylist()] == rows
    assert table.counts.read == 5


def test_missing_columns_are_empty_and_missing_keys_stop_the_delivery(tmp_path: Path) -> None:
    (row,), _ = run(tmp_path, measurement(1).drop_columns(["value_as_number", "measurement_date"]))
    assert row["value_as_number"] is None
    with pytest.raises(ExtractInvalid, match="no column 'person_id'"):
        run(tmp_path, measurement(1).drop_columns(["person_id"]))


def test_upper_case_columns_are_the_same_columns(tmp_path: Path) -> None:
    table = measurement(1)
    rows, _ = run(tmp_path, table)
    again, _ = run(tmp_path, table.rename_columns([name.upper() for name in table.column_names]))
    assert rows == again


def test_a_broken_file_stops_the_delivery_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1" + CANARY.encode() * 9 + b"PAR1")
    found = deidentify_table(
        ParquetRows("measurement", (path,)),
        "measurement",
        rules_of(tmp_path),
        P,
        mrn_of=MRNS.get,
        generated=GENERATED,
        clean_text=clean,
    )
    with pytest.raises(ExtractInvalid, match="measurement") as caught:
        list(found)
    assert CANARY not in str(caught.value)


def test_what_the_rules_need_must_be_there(tmp_path: Path) -> None:
    rules = rules_of(tmp_path)
    with pytest.raises(ConfigurationError, match="clean-text"):
        deidentify_table(ParquetRows("none", ()), "measurement", rules, P, mrn_of=MRNS.get, generated=GENERATED)
    with pytest.raises(ConfigurationError, match="nothing of table 'person'"):
        deidentify_table(ParquetRows("none", ()), "person", rules, P, mrn_of=MRNS.get, generated=GENERATED)


@pytest.mark.parametrize("name", sorted(CDM))
def test_each_table_of_the_model_can_leave_and_describes_itself(tmp_path: Path, name: str) -> None:
    lines = [
        f"    {column.name}: {'secure-hash' if column.kind == 'id' else 'empty'}" for column in CDM[name].columns.values()
    ]
    rules = rules_of(tmp_path, f"records:\n  {name}:\n" + "\n".join(lines) + "\n")
    schema = table_schema(rules.tables[name])
    assert schema.metadata[b"key"].decode() == CDM[name].key
    assert all(field.metadata[b"comment"] for field in schema)
    data = pa.table(
        {column: pa.array([1.0], pa.float64()) for column in CDM[name].columns if CDM[name].columns[column].kind == "id"}
        | {"person_id": [4]}
    )
    path = tmp_path / "one.parquet"
    pq.write_table(data, path)
    (batch,) = deidentify_table(ParquetRows(name, (path,)), name, rules, P, mrn_of=MRNS.get, generated=GENERATED)
    assert batch.schema.equals(schema)
    assert batch.num_rows == 1


_VALUES = {"text": "abc", "concept": 3, "integer": 3, "quasi": 3, "number": 3.5, "date": date(2020, 5, 6)}
_EXPECTED: dict[tuple[str, str], Any] = {
    ("text", "keep"): "abc",
    ("text", "hash"): plain_hash("abc"),
    ("text", "uid"): P.uid("abc"),
    ("text", "fixed"): "x",
    ("integer", "fixed"): 9,
    ("number", "fixed"): 9,
    ("integer", "keep"): 3,
    ("number", "num-range"): 4,
    ("integer", "num-range"): 4,
    ("quasi", "num-range"): 4,
    ("quasi", "keep"): 3,
    ("quasi", "fixed"): 9,
    ("number", "keep"): 3.5,
    ("concept", "fixed"): 9,
    ("concept", "keep"): 3,
    ("date", "keep"): date(2020, 5, 6),
    ("date", "date-floor"): date(2020, 1, 1),
    ("datetime", "keep"): datetime(2020, 5, 6, 7, 8, tzinfo=UTC),
    ("datetime", "date-floor"): datetime(2020, 1, 1, tzinfo=UTC),
    ("integer", "map"): 5,
    ("concept", "map"): 5,
    ("text", "map"): "5",
}
_ARGUMENTS = {"fixed": "value: {fixed}", "num-range": "min: 4, max: 8", "map": "values: {{'3': '5', abc: '5'}}"}
_COLUMN = {
    "text": "value_source_value",
    "concept": "unit_concept_id",
    "number": "range_low",
    "date": "measurement_date",
    "datetime": "measurement_datetime",
    "integer": "drug_exposure.days_supply",
    "quasi": "person.month_of_birth",
}


@pytest.mark.parametrize(("kind", "name"), sorted(_EXPECTED))
def test_each_operation_on_each_kind_of_column(tmp_path: Path, kind: str, name: str) -> None:
    table, _, column = _COLUMN[kind].rpartition(".")
    table = table or "measurement"
    fixed = "x" if kind == "text" else 9
    extra = _ARGUMENTS.get(name, "").format(fixed=fixed)
    rule = f"{{op: {name}, reason: A test{', ' + extra if extra else ''}}}"
    key = CDM[table].key
    keys = dict.fromkeys((key, "person_id"))
    text = f"records:\n  {table}:\n" + "".join(f"    {one}: secure-hash\n" for one in keys) + f"    {column}: {rule}\n"
    value = datetime(2020, 5, 6, 7, 8, tzinfo=UTC) if kind == "datetime" else _VALUES[kind]
    path = tmp_path / "one.parquet"
    pq.write_table(pa.table({**{one: [4] for one in keys}, column: [value]}), path)
    (batch,) = deidentify_table(
        ParquetRows(table, (path,)), table, rules_of(tmp_path, text), P, mrn_of=MRNS.get, generated=GENERATED
    )
    assert batch.column(column).to_pylist() == [_EXPECTED[kind, name]]


def test_every_pair_of_kind_and_operation_is_tested() -> None:
    elsewhere = {"secure-hash", "date-shift", "clean-text", "empty", "remove"}
    pairs = {
        (kind, operation.model_fields["op"].default) for kind, operations in FITTING.items() for operation in operations
    }
    assert {pair for pair in pairs if pair[1] not in elsewhere} == set(_EXPECTED)
    assert elsewhere < set(OPERATIONS)


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), min_size=1, max_size=20))
def test_a_double_becomes_a_whole_number_exactly_or_is_marked(values: list[float | None]) -> None:
    found, bad = read_column(pa.array(values, pa.float64()), "id")
    for value, text, wrong in zip(values, found.to_pylist(), bad.to_pylist(), strict=True):
        if value is None or value != value:
            assert (text, wrong) == (None, False)
        elif wrong:
            assert text is None
            assert not float(value).is_integer() or abs(value) >= 2**53
        else:
            assert text == str(int(value))
            assert float(text) == value


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("date", ["2020-02-29", "2021-02-29", " ", "29/02/2020"], [date(2020, 2, 29), None, None, None]),
        ("datetime", ["2020-02-29T10:00:00+01:00", "x"], [datetime(2020, 2, 29, 9, tzinfo=UTC), None]),
        ("number", ["1.5", "one", "inf", "1_0"], [1.5, None, None, None]),
        ("integer", ["7", "7.0", "7.5", str(2**63), "1_000", "٣"], [7, 7, None, None, None, None]),
        ("id", ["4.0", "004", "A1.0", "4.5"], ["4", "004", "A1.0", "4.5"]),
    ],
)
def test_text_is_read_strictly(kind: Any, values: Sequence[str], expected: Sequence[Any]) -> None:
    found, bad = read_column(pa.array(values), kind)
    assert found.to_pylist() == expected
    assert bad.to_pylist() == [bool(text.strip()) and value is None for text, value in zip(values, expected, strict=True)]
    assert found.type == TYPES[kind]


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("wrong", [pa.array([True]), pa.array([[1]]), pa.array([{"a": 1}]), pa.array([b"x"])])
def test_a_column_of_a_senseless_type_is_bad_and_not_guessed(kind: Any, wrong: Any) -> None:
    found, bad = read_column(wrong, kind)
    assert (found.to_pylist(), bad.to_pylist()) == ([None], [True])


def test_both_layouts_are_found(tmp_path: Path) -> None:
    one = tmp_path / "single" / "public" / "omop"
    one.mkdir(parents=True)
    pq.write_table(measurement(1), one / "MEASUREMENT.parquet")
    assert record_files(tmp_path / "single") == {"measurement": [one / "MEASUREMENT.parquet"]}
    many = tmp_path / "parts" / "public" / "omop" / "measurement"
    many.mkdir(parents=True)
    for number in (1, 0):
        pq.write_table(measurement(1), many / f"part-{number}.parquet")
    assert record_files(tmp_path / "parts") == {"measurement": [many / "part-0.parquet", many / "part-1.parquet"]}
    pq.write_table(measurement(1), many.parent / "MEASUREMENT.parquet")
    with pytest.raises(ExtractInvalid, match="twice"):
        record_files(tmp_path / "parts")
    with pytest.raises(ExtractInvalid, match="public/omop"):
        record_files(tmp_path / "nothing")
