"""The released tables as Parquet files, at each kind of place that takes files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safelight.errors import SafelightError
from safelight.release.file_store import FileStore
from safelight.release.folder import FolderStore
from safelight.release.lake import Lake
from safelight.release.parquet import ParquetDelivery, TableFile, deliver_tables, stage_tables
from safelight.release.schemas import TABLES, TableSchema
from safelight.release.settings import ParquetDestination
from tasks.destinations import STORE_KINDS
from tests.release.hospital import PROJECT
from tests.release.places import PLACES
from tests.release.reach import store_of

EXTRACT = datetime(2023, 12, 7, 14, 8, 58, tzinfo=UTC)
PERSON = "omop/public/omop/PERSON.parquet"
LINKER = "radiology/IMAGE_LINKER.parquet"
ANN, BOB = "A" * 64, "B" * 64


def field(name: str) -> pa.Field:
    return pa.field(name, pa.string(), nullable=False, metadata={"comment": "A comment."})


PEOPLE = TableSchema("person", "People.", "person_id", pa.schema([field("person_id"), field("gender")]))


def image(number: int, person: str) -> dict[str, object]:
    return dict.fromkeys(TABLES["image_occurrence"].columns.names) | {
        "image_occurrence_id": f"i{number}",
        "person_id": person,
        "procedure_occurrence_id": f"p{number}",
        "image_study_uid": f"2.25.{number}",
        "image_series_uid": f"2.25.{number}.1",
        "instances": 1,
    }


@pytest.fixture
def filled(lake: Lake) -> Lake:
    lake.write(PROJECT, PEOPLE, [[{"person_id": who, "gender": "x"} for who in (ANN, BOB)]])
    # Two series of one study are one line of the linker.
    images = [image(1, ANN), image(1, ANN) | {"image_occurrence_id": "i1b", "image_series_uid": "2.25.1.2"}, image(2, BOB)]
    lake.write(PROJECT, "image_occurrence", [images])
    return lake


Stage = Callable[[], list[TableFile]]


@pytest.fixture
def stage(filled: Lake, tmp_path: Path) -> Stage:
    return lambda: stage_tables(filled, PROJECT, ["person", "note", "measurement"], tmp_path / "staged")


@pytest.fixture(params=["folder", "blob", "ftps"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FileStore, FileStore]:
    """A place for files, empty, and the same with credentials or an address that it does not take."""
    place = PLACES[request.param](request, tmp_path)
    return store_of(place.kind, place.settings), store_of(place.kind, place.wrong)


def there(delivery: ParquetDelivery, tmp_path: Path) -> dict[str, list[dict[str, object]]]:
    found = {}
    with delivery.store.open() as opened:
        for number, name in enumerate(opened.names(PROJECT)):
            assert opened.fetch(name, tmp_path / f"{number}.fetched")
            found[name.removeprefix(f"{PROJECT}/")] = pq.read_table(tmp_path / f"{number}.fetched").to_pylist()
    return found


def test_every_kind_that_a_project_may_name_is_tested() -> None:
    kinds = ParquetDestination.model_json_schema()["properties"]["kind"]["enum"]
    assert set(kinds) == set(STORE_KINDS) == {"folder", "blob", "ftps"}


def test_the_layout_is_what_a_data_safe_haven_expects(store: tuple[FileStore, ...], stage: Stage, tmp_path: Path) -> None:
    delivery = ParquetDelivery(store[0])
    delivery.check(PROJECT)
    assert sorted(delivery.send(PROJECT, EXTRACT, stage())) == [PERSON, LINKER]
    found = there(delivery, tmp_path)
    assert found == {
        f"2023-12-07t14-08-58/parquet/{PERSON}": [{"person_id": ANN, "gender": "x"}, {"person_id": BOB, "gender": "x"}],
        f"2023-12-07t14-08-58/parquet/{LINKER}": [
            {"procedure_occurrence_id": "p1", "pseudo_study_uid": "2.25.1"},
            {"procedure_occurrence_id": "p2", "pseudo_study_uid": "2.25.2"},
        ],
    }
    assert delivery.send(PROJECT, EXTRACT, stage()) == []
    assert there(delivery, tmp_path) == found


def test_new_rows_replace_their_file_and_leave_the_others(
    store: tuple[FileStore, ...], stage: Stage, filled: Lake, tmp_path: Path
) -> None:
    delivery = ParquetDelivery(store[0])
    delivery.send(PROJECT, EXTRACT, stage())
    filled.write(PROJECT, PEOPLE, [[{"person_id": "C" * 64, "gender": "y"}]])
    assert delivery.send(PROJECT, EXTRACT, stage()) == [PERSON]
    assert len(there(delivery, tmp_path)[f"2023-12-07t14-08-58/parquet/{PERSON}"]) == 3


def test_the_manifest_names_each_file_at_each_place(
    store: tuple[FileStore, ...], stage: Stage, filled: Lake, tmp_path: Path
) -> None:
    places = [ParquetDelivery(store[0]), ParquetDelivery(FolderStore(tmp_path / "second", name="second"))]
    for _ in range(2):
        entries = deliver_tables(filled, PROJECT, ["person"], places, extract=EXTRACT, staging=tmp_path / "staged")
        assert {entry["destination"] for entry in entries} == {store[0].name, "second"}
        for entry in (entry for entry in entries if entry["destination"] == "second"):
            data = (tmp_path / "second" / PROJECT / entry["path"]).read_bytes()
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (entry["sha256"], entry["size"])
        assert [entry["rows"] for entry in entries] == [2, 2, 2, 2]
    assert deliver_tables(filled, PROJECT, ["person"], [], extract=EXTRACT, staging=tmp_path / "unused") == []
    assert not (tmp_path / "unused").exists()


def test_a_withdrawn_person_is_taken_out_of_every_extract(
    store: tuple[FileStore, ...], stage: Stage, tmp_path: Path
) -> None:
    delivery = ParquetDelivery(store[0])
    later = EXTRACT.replace(year=2024)
    for extract in (EXTRACT, later):
        delivery.send(PROJECT, extract, stage())
    for _ in range(2):
        assert delivery.withdraw(PROJECT, [ANN], ["2.25.1"], tmp_path / "scratch") == []
        found = there(delivery, tmp_path)
        assert len(found) == 4
        assert ANN not in str(found)
        assert "2.25.1" not in str(found).replace("2.25.1.", "")
        assert str(found).count(BOB) == 2
    assert not (tmp_path / "scratch").exists()


def test_a_file_that_is_no_table_of_ours_is_told_as_left(store: tuple[FileStore, ...], tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"not parquet")
    with store[0].open() as opened:
        opened.put(f"{PROJECT}/old/odd.parquet", tmp_path / "odd")
    assert ParquetDelivery(store[0]).withdraw(PROJECT, [ANN], [], tmp_path / "scratch") == [f"{PROJECT}/old/odd.parquet"]


def test_what_can_not_be_reached_says_what_to_do(store: tuple[FileStore, ...], stage: Stage) -> None:
    with pytest.raises(SafelightError) as caught:
        ParquetDelivery(store[1]).send(PROJECT, EXTRACT, stage())
    assert caught.value.remedy
    assert "SECRETWORD" not in str(caught.value)


def test_the_same_rows_are_the_same_file_however_the_lake_keeps_them(stage: Stage, filled: Lake) -> None:
    before = stage()
    delta = filled.open(PROJECT, "person")
    assert delta is not None
    filled.write(PROJECT, PEOPLE, [[{"person_id": "C" * 64, "gender": "y"}]])
    added = stage()
    delta.update_incremental()
    delta.delete(f"person_id = '{'C' * 64}'")
    assert [file.sha256 for file in added] != [file.sha256 for file in before]
    assert stage() == before
    assert stage() == before


def test_a_table_that_is_no_longer_released_is_not_sent_again(stage: Stage, filled: Lake, tmp_path: Path) -> None:
    assert [file.name for file in stage()] == [PERSON, LINKER]
    assert [file.name for file in stage_tables(filled, PROJECT, [], tmp_path / "staged")] == [LINKER]
    assert not (tmp_path / "staged" / PERSON).exists()
