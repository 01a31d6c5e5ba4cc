"""What a kept column holds is looked at: a value that points at a person sets its row aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safelight.model import Reason
from safelight.records.content import pointing, points_at_person
from safelight.records.rules import RecordRules
from safelight.records.source import ParquetRows
from safelight.records.tables import deidentify_table
from safelight.yamlfile import load_yaml
from tests.records.test_tables import GENERATED, MRNS, P

IDENTIFYING = [
    "943 476 5919",
    "9434765919",
    "no 943-476-5919.",
    "NW1 2BU",
    "nw12bu",
    "at SW1A 1AA, London",
    "a.person@example.org",
    "020 7946 0958",
    "+44 20 7946 0958",
    "seen by the team on the ward after the fall of his wife",
]
HARMLESS = [
    "",
    "FBC",
    "mg/dL",
    "9434765918",
    "C34.1",
    "1.2.840.10008.5.1.4.1.1.2",
    "HbA1c",
    "T2 N0 M0",
    "SIEMENS Somatom",
    "120/80",
]


@pytest.mark.parametrize("text", IDENTIFYING)
def test_an_identifier_is_seen(text: str) -> None:
    assert points_at_person(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_code_or_unit_is_none(text: str) -> None:
    assert not points_at_person(text)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["FBC", None, "NW1 2BU"]), [False, False, True]),
        (pa.array([9434765919.0, 9434765918.0, None, 1.5]), [True, False, False, False]),
        (pa.array([9434765919, 3], pa.int64()), [True, False]),
        (pa.array([], pa.string()), []),
        (pa.array([None], pa.date32()), [False]),
    ],
)
def test_each_row_of_a_column_is_told(values: Any, expected: list[bool]) -> None:
    assert pointing(values).to_pylist() == expected


def test_a_kept_column_lets_no_identifier_through_and_counts_its_rows(tmp_path: Path) -> None:
    (tmp_path / "profile.yaml").write_text(
        "records:\n  measurement:\n    measurement_id: secure-hash\n    person_id: secure-hash\n    value_as_number: keep\n"
        "    value_source_value: {op: keep, reason: the laboratory writes codes here}\n"
    )
    file = load_yaml(tmp_path / "profile.yaml")
    values = [*HARMLESS, *IDENTIFYING]
    numbers = [*([1.0] * (len(values) - 1)), 2.0]
    numbers[0] = 9434765919.0
    table = pa.table(
        {
            "measurement_id": range(len(values)),
            "person_id": [4] * len(values),
            "value_as_number": numbers,
            "value_source_value": values,
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    for _ in range(2):
        found = deidentify_table(
            ParquetRows("measurement", (tmp_path / "m.parquet",)),
            "measurement",
            RecordRules.parse(file, file.data["records"]),
            P,
            mrn_of=MRNS.get,
            generated=GENERATED,
        )
        rows = [row for batch in found for row in batch.to_pylist()]
        assert {row["value_source_value"] for row in rows} == set(HARMLESS) - {""}
        assert found.counts.set_aside == {Reason.RESIDUAL_IDENTIFIER: len(IDENTIFYING) + 1}
