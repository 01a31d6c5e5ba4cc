"""The demo, as a new user sees it: it balances, it repeats, and each thing that goes wrong in life ends as it must."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from pydicom import dcmread

from deployments.demo import PROJECT, ask, open_database, query
from safelight.model import OUTCOMES, RequestState
from tests.system.conftest import Demo, finished, run_demo


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_table_balances(demo: Demo) -> None:
    assert demo.summary["requested"] == sum(demo.summary["outcomes"].values()) == len(demo.hospital.expected)
    assert set(demo.summary["outcomes"]) <= {state.value for state in OUTCOMES}
    assert demo.summary["balanced"] is True


def test_each_request_ends_as_it_must(demo: Demo) -> None:
    database = open_database(demo.folder)
    ended = {
        request.procedure_occurrence_id: (request.state, request.reason)
        for request in database.find(PROJECT, list(RequestState))
    }
    database.close()
    assert ended == {number: (expected.state, expected.reason) for number, expected in demo.hospital.expected.items()}
    assert len(set(ended.values())) >= 7, "the demo shows too little of what goes wrong in life"


def test_each_instance_that_is_left_out_has_its_reason(demo: Demo) -> None:
    expected: Counter[str] = Counter()
    for outcome in demo.hospital.expected.values():
        expected.update({f"set_aside/{reason.value}": count for reason, count in outcome.set_aside.items() if count})
    found = {name: count for name, count in demo.summary["instances"].items() if name != "written"}
    assert found == expected
    assert demo.summary["instances"]["written"] == len(list((demo.folder / "dicom").rglob("*.dcm")))


def test_bad_rows_are_counted(demo: Demo) -> None:
    assert demo.summary["rows_set_aside"] == {reason.value: count for reason, count in demo.hospital.expected_rows.items()}


def test_one_patient_in_two_extracts_has_one_pseudonym(demo: Demo) -> None:
    database = open_database(demo.folder)
    exported = list(database.find(PROJECT, [RequestState.EXPORTED]))
    database.close()
    by_patient: dict[str, set[int]] = {}
    for request in exported:
        by_patient.setdefault(request.mrn, set()).add(request.extract_id)
    assert any(len(extracts) == 2 for extracts in by_patient.values())
    pseudonyms = {request.pseudo_patient_id for request in exported}
    assert len(pseudonyms) == len(by_patient)
    delivered = {dcmread(path, stop_before_pixels=True).PatientID for path in (demo.folder / "dicom").rglob("*.dcm")}
    assert delivered == pseudonyms


def test_images_join_reports_and_record_rows(demo: Demo) -> None:
    columns, rows = ask(query(demo.folder))
    assert columns == ["modality", "studies", "series", "reports", "persons", "born_from"]
    # Ultrasound is in the cohort, but withheld: nobody has looked for names in its pixels yet.
    assert {row[0] for row in rows} == {"CR", "DX", "CT", "MR"}
    assert sum(row[1] for row in rows) == demo.summary["outcomes"]["exported"]
    assert all(row[3] > 0 and row[4] > 0 for row in rows)


def test_the_second_run_changes_nothing(demo: Demo) -> None:
    # Taken before the second run starts, hence no fixture for it.
    before = {name: files(demo.folder / name) for name in ("dicom", "lake")}
    again = finished(demo.folder, run_demo(demo.folder))
    assert again.summary["newly_exported"] == 0
    assert again.summary["outcomes"] == demo.summary["outcomes"]
    assert {name: files(demo.folder / name) for name in before} == before


def test_the_terminal_says_what_to_do_next(demo: Demo) -> None:
    for words in ("every request is accounted for", "make ui", "delta_scan", "summary.json"):
        assert words in demo.output
