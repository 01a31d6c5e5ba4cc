"""One contract that every kind of DICOM destination keeps, at a real server of its kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.errors import IntegrityError, SafelightError
from safelight.model import Reason
from safelight.release.destination import Left, OutputFile
from safelight.release.settings import DicomDestination
from tasks.destinations import DICOM_KINDS
from tasks.wiring import DESTINATION_BLOCKS
from tests.release.hospital import PROJECT, output_files
from tests.release.places import PLACES, Place
from tests.release.reach import KINDS, build
from tests.release.sending import send


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of destination, empty."""
    return PLACES[request.param](request, tmp_path)


def uids(files: list[OutputFile]) -> set[str]:
    return {file.sop_uid for file in files}


def test_every_kind_that_a_project_may_name_is_under_the_contract() -> None:
    kinds = DicomDestination.model_json_schema()["properties"]["kind"]["enum"]
    assert set(kinds) == set(DICOM_KINDS) == set(DESTINATION_BLOCKS) == set(PLACES) == set(KINDS)


def test_what_is_sent_is_there_byte_for_byte(place: Place, tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=3)
    place.target.check(PROJECT)
    result = place.target.send(PROJECT, files)
    assert result.stored == uids(files)
    assert place.content() == {file.sop_uid: place.expected(file.path) for file in files}


def test_sending_twice_leaves_one_copy(place: Place, tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=3)
    place.target.send(PROJECT, files)
    before = place.content()
    result = place.target.send(PROJECT, files)
    assert (result.delivered, result.refused) == (uids(files), {})
    assert place.content() == before


def test_sending_the_rest_after_a_part_completes_it(place: Place, tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=4)
    place.target.send(PROJECT, files[:2])
    result = place.target.send(PROJECT, files[1:])
    assert (result.delivered, result.refused) == (uids(files[1:]), {})
    assert place.content() == {file.sop_uid: place.expected(file.path) for file in files}


def test_a_sending_that_was_killed_half_way_is_completed(place: Place, tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=4)
    assert send(PROJECT, place.kind, place.settings, tmp_path / "work", files, kill=3)[0] == -9
    result = place.target.send(PROJECT, files)
    assert (result.delivered, result.refused) == (uids(files), {})
    assert place.content() == {file.sop_uid: place.expected(file.path) for file in files}


def test_a_refused_instance_is_told_by_its_uid_and_the_others_arrive(place: Place, tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=5)
    others = uids(files) - {files[2].sop_uid}
    place.spoil(files[2])
    for _ in range(2):
        result = place.target.send(PROJECT, files)
        assert result.refused == {files[2].sop_uid: Reason.DESTINATION_REFUSED}
        assert result.delivered == others
        assert {uid for uid, data in place.content().items() if data != b"another"} == others


def test_nothing_is_sent_for_nothing(place: Place) -> None:
    result = place.target.send(PROJECT, [])
    assert (result.delivered, result.refused, place.content()) == (set(), {}, {})


def test_a_file_that_is_gone_stops_the_sending(place: Place, tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=2)
    files[1].path.unlink()
    with pytest.raises(IntegrityError):
        place.target.send(PROJECT, files)


@pytest.mark.parametrize("trouble", ["wrong", "down"])
def test_what_can_not_be_reached_says_what_to_do_and_shows_nothing(place: Place, tmp_path: Path, trouble: str) -> None:
    target = build(place.kind, getattr(place, trouble))
    transient = trouble == "down" and place.kind != "folder"
    code = (
        "storage_unwritable" if place.kind == "folder" else "destination_unavailable" if transient else "destination_refused"
    )
    files = output_files(tmp_path / "work", count=1)
    for call in (lambda: target.check(PROJECT), lambda: target.send(PROJECT, files)):
        with pytest.raises(SafelightError) as caught:
            call()
        assert caught.value.code == code
        assert caught.value.remedy
        shown = f"{caught.value}{target!r}"
        assert not [word for word in ("SECRETWORD", "127.0.0.1", "localhost", str(tmp_path)) if word in str(caught.value)]
        assert place.kind == "c-store" or "SECRETWORD" not in shown
    assert place.content() == {}


def test_memory_does_not_grow_with_the_size_of_an_instance(place: Place, tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=1, rows=5000)
    status, grown = send(PROJECT, place.kind, place.settings, tmp_path / "work", files)
    assert status == 0
    assert sum(map(len, place.content().values())) > 50_000_000
    assert grown < 25, f"{grown} MiB for 48 MiB"


def test_withdrawn_studies_are_gone_or_told_as_left(place: Place, tmp_path: Path) -> None:
    gone = output_files(tmp_path / "work", count=3, study="2.25.7")
    kept = output_files(tmp_path / "work", count=2, study="2.25.71")
    place.target.send(PROJECT, [*gone, *kept])
    result = place.target.withdraw(PROJECT, ["2.25.7", "2.25.8"])
    if place.deletes:
        assert (result.removed, result.absent, result.left) == ({"2.25.7"}, {"2.25.8"}, {})
        assert set(place.content()) == uids(kept)
        again = place.target.withdraw(PROJECT, ["2.25.7", "2.25.8"])
        assert (again.removed, again.absent) == (set(), {"2.25.7", "2.25.8"})
    else:
        assert result.left["2.25.7"] is Left.NO_DELETION
        assert result.removed == set()
        assert set(place.content()) == uids([*gone, *kept])


def test_a_series_is_told_where_it_is(place: Place) -> None:
    told = {name: value.rpartition("2.25.1/")[2] for name, value in place.target.locate(PROJECT, "2.25.1", "2.25.2").items()}
    assert told in ({}, {"wadors_uri": "series/2.25.2"}, {"local_path": "2.25.2"})
    assert (told == {}) is (place.kind in {"ftps", "c-store"})


@pytest.mark.parametrize("uid", ["", "../x", "1.2.3/..", "1.02", "1" * 65])
def test_only_uids_become_paths_and_addresses(tmp_path: Path, uid: str) -> None:
    with pytest.raises(IntegrityError):
        OutputFile(tmp_path, "2.25.1", "2.25.2", uid)
