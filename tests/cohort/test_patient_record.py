"""The patient record: streamed, and a bad line named by its number only."""

from __future__ import annotations

import json
import traceback
from datetime import date
from pathlib import Path

import pytest

from safelight.cohort import read_patient_record
from safelight.errors import ExtractInvalid
from tests.cohort.conftest import CANARY


def write(folder: Path, *lines: str | bytes) -> Path:
    encoded = [line.encode() if isinstance(line, str) else line for line in lines]
    (folder / "patients.jsonl").write_bytes(b"\n".join(encoded))
    return folder


def test_each_line_is_a_patient(tmp_path: Path) -> None:
    smith = {"mrn": " 007 ", "surname": "Zoë", "dob": "1950-02-01", "address": {"postcode": "AB1"}, "unknown": 1}
    write(tmp_path, json.dumps(smith), "", json.dumps({"mrn": "2", "dob": ""}), "  ")
    one, two = read_patient_record(tmp_path)
    assert (one.mrn, one.surname, one.dob, one.address.postcode) == ("007", "Zoë", date(1950, 2, 1), "AB1")
    assert (two.mrn, two.dob) == ("2", None)


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, b'\xef\xbb\xbf{"mrn": "1"}')
    assert [known.mrn for known in read_patient_record(tmp_path)] == ["1"]


def test_the_record_is_streamed(tmp_path: Path) -> None:
    write(tmp_path, '{"mrn": "1"}', '{"mrn": "2"}', "broken")
    stream = read_patient_record(tmp_path)
    assert next(stream).mrn == "1"
    assert next(stream).mrn == "2"
    with pytest.raises(ExtractInvalid, match="Line 3"):
        next(stream)


@pytest.mark.parametrize(
    "line",
    [
        f'{{"mrn": "{CANARY}"',
        f'["{CANARY}"]',
        f'{{"mrn": ["{CANARY}"]}}',
        f'{{"surname": "{CANARY}"}}',
        f'{{"mrn": " ", "surname": "{CANARY}"}}',
        f'{{"mrn": "1", "dob": "{CANARY}"}}',
        CANARY.encode() + b"\xff",
        '{"mrn": "' + "x" * (1 << 20) + CANARY,
        "[" * 50_000,
        "null",
    ],
)
def test_a_bad_line_stops_and_is_named_by_its_number_only(tmp_path: Path, line: str | bytes) -> None:
    write(tmp_path, '{"mrn": "1"}', line)
    with pytest.raises(ExtractInvalid, match="Line 2 of") as caught:
        list(read_patient_record(tmp_path))
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_missing_record_stops(tmp_path: Path) -> None:
    with pytest.raises(ExtractInvalid, match=r"patients\.jsonl"):
        list(read_patient_record(tmp_path))
