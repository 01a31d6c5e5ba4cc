"""Patients who do not take part any more: what left of them is taken back, or told as left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from safelight.errors import DestinationUnavailable
from safelight.link.removals import Removals
from safelight.linkage.outcomes import outcome_row
from safelight.model import Reason, RequestState
from safelight.release.batch import export_project
from safelight.release.destination import Destination, Withdrawn
from safelight.release.folder import FolderDestination, FolderStore
from safelight.release.lake import Lake
from safelight.release.parquet import ParquetDelivery, stage_tables
from safelight.release.schemas import TABLES, TableSchema
from safelight.release.storage_peer import StoragePeerDestination
from safelight.release.withdrawal import TakenBack, Withdrawal, take_back
from safelight.staging import read_staged, write_staged
from tests.release.hospital import CANARY, LEASE, NOW, PROJECT, PSEUDONYMIZER, Hospital
from tests.services.orthanc import Orthanc

PEOPLE = TableSchema(
    "person",
    "People.",
    "person_id",
    pa.schema([pa.field("person_id", pa.string(), nullable=False, metadata={"comment": "Pseudonym."})]),
)


def person(number: int) -> str:
    return PSEUDONYMIZER.secure_hash(str(number), "person")


def study(number: int) -> str:
    return PSEUDONYMIZER.uid(f"1.2.3.{number}")


@dataclass
class Site:
    """A hospital whose data left: to a folder, to a node that deletes nothing, to the lake and as Parquet files."""

    hospital: Hospital
    lake: Lake
    places: list[Destination]
    raw: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder = self.hospital.folder
        self.tables = ParquetDelivery(FolderStore(self.folder / "haven"))
        self.staged = self.hospital.work / "records" / "person.parquet"

    def deliver(self, numbers: list[int]) -> None:
        self.hospital.verify(numbers)
        rows = [{"person_id": person(number)} for number in numbers]
        self.lake.write(PROJECT, PEOPLE, [rows])
        write_staged(self.staged, PEOPLE.columns, [pa.RecordBatch.from_pylist(rows, schema=PEOPLE.columns)])
        export_project(self.hospital.export(self.lake, self.places, record_tables=["person"]))
        self.tables.send(PROJECT, NOW, self.stage())
        self.raw |= {f"1.2.3.{number}" for number in numbers}

    def stage(self) -> list[object]:
        return stage_tables(self.lake, PROJECT, ["person"], self.hospital.work / "parquet")  # type: ignore[return-value]

    def opt_out(self, numbers: list[int], text: str = "1") -> None:
        extract = self.hospital.database.register_extract(
            PROJECT, name="later", sha256=text * 64, generated=NOW, source="test"
        )
        out = {f"{CANARY}-{number}": Reason.NOT_ON_OPT_OUT_LIST for number in numbers}
        self.hospital.database.add_requests(extract, [], pseudonymizer=PSEUDONYMIZER, opted_out=out)

    def forget_raw(self, uids: Collection[str]) -> int:
        gone = self.raw & set(uids)
        self.raw -= gone
        return len(gone)

    def take_back(self) -> TakenBack:
        work = self.hospital.work
        return take_back(
            Withdrawal(
                project=PROJECT,
                database=self.hospital.database,
                pseudonymizer=PSEUDONYMIZER,
                lake=self.lake,
                tables=[*TABLES, "person"],
                destinations=self.places,
                parquet=[self.tables],
                outcome=lambda request, instances: outcome_row(request, instances, PSEUDONYMIZER),
                work=work,
                studies=work,
                staged=[self.staged] if self.staged.exists() else [],
                prepared=[work / "parquet"],
                forget_raw=self.forget_raw,
                clock=self.hospital.clock,
                actor="flow run",
            )
        )

    def words(self) -> str:
        """Every byte outside the link database, and every value of the tables."""
        places = [self.folder / "dicom", self.folder / "lake", self.folder / "haven", self.hospital.work]
        files = [path for place in places for path in place.rglob("*") if path.is_file()]
        names = (*TABLES, "person")
        rows = [self.lake.read(PROJECT, name).to_pylist() for name in names if self.lake.open(PROJECT, name)]
        return "".join(f"{path} {path.read_bytes()!r}" for path in files) + str(rows)


@pytest.fixture
def site(hospital: Hospital, lake: Lake, orthanc: Orthanc, tmp_path: Path) -> Site:
    return Site(hospital, lake, [FolderDestination(tmp_path / "dicom"), StoragePeerDestination(orthanc)])


def test_a_withdrawn_patient_is_gone_from_everywhere_and_the_others_are_not(site: Site, orthanc: Orthanc) -> None:
    site.deliver([1, 2, 3])
    before = site.words()
    assert person(1) in before
    assert study(1) in before
    site.hospital.database.withdraw_patient(PROJECT, f"{CANARY}-1", actor="governance")
    result = site.take_back()
    assert (result.requests, result.studies, result.raw_studies) == (1, 1, 1)
    assert result.rows == 1 + 2 + 1  # one series, two instances, one person
    assert result.left == {"c-store": [study(1)]}

    after = site.words()
    record = (site.hospital.work / "withdrawals").glob("*.json")
    told = "".join(path.read_text() for path in record)
    assert json.loads(told)["left"] == {"c-store": [study(1)]}
    for path in (site.hospital.work / "withdrawals").iterdir():
        path.unlink()
    after = site.words()
    assert person(1) not in after
    assert study(1) not in after
    assert after.count(person(2)) > 3
    assert site.raw == {"1.2.3.2", "1.2.3.3"}
    assert [row["person_id"] for row in read_staged(site.staged)[1].__next__().to_pylist()] == [person(2), person(3)]
    outcomes = {row["state"]: row for row in site.lake.read(PROJECT, "request_outcome").to_pylist()}
    assert (outcomes["opted_out"]["image_study_uid"], outcomes["opted_out"]["reason"]) == (None, "withdrawn")
    assert CANARY not in f"{result}{told}{after}"


def test_again_it_finds_nothing_and_changes_nothing(site: Site) -> None:
    site.deliver([1, 2])
    site.opt_out([1])
    assert site.take_back().requests == 1
    before, audited = site.words(), site.hospital.database.audit_head()
    assert site.take_back() == TakenBack()
    assert (site.words(), site.hospital.database.audit_head()) == (before, audited)
    assert site.hospital.database.verify_audit() == audited[0]


def test_who_opts_out_in_a_later_delivery_is_found_without_being_named(site: Site) -> None:
    site.deliver([1, 2])
    assert site.take_back() == TakenBack()
    site.opt_out([2])
    assert site.take_back().studies == 1
    assert person(2) not in site.words()
    assert site.hospital.states() == {"exported": 1, "opted_out": 1}


def test_who_comes_back_and_opts_out_again_is_taken_back_again(site: Site) -> None:
    site.deliver([1])
    site.opt_out([1])
    assert site.take_back().requests == 1
    site.hospital.ask([1])  # in an extract that says nothing against it
    assert site.hospital.states() == {"requested": 1}
    assert site.take_back() == TakenBack()
    site.opt_out([1], "2")
    assert site.take_back().requests == 1


def test_a_table_that_can_not_be_read_is_left_for_its_keeper(site: Site) -> None:
    site.deliver([1, 2])
    site.opt_out([1])
    odd = site.folder / "haven" / PROJECT / "odd.parquet"
    odd.write_bytes(b"not parquet")
    assert site.take_back().left == {"c-store": [study(1)], "folder": [f"{PROJECT}/odd.parquet"]}
    (event,) = [event for event in site.hospital.database.audit_events() if event.event == "remove"]
    assert event.details["left_at_folder"] == 1
    assert odd.read_bytes() == b"not parquet"


class Failing(FolderDestination):
    """Not there the first time."""

    left = 1

    def withdraw(self, project: str, studies: object) -> Withdrawn:
        if self.left:
            self.left -= 1
            raise DestinationUnavailable("not now")
        return super().withdraw(project, studies)  # type: ignore[arg-type]


def test_a_destination_that_is_down_leaves_it_all_to_be_done_again(site: Site, tmp_path: Path) -> None:
    site.places = [FolderDestination(tmp_path / "dicom"), Failing(tmp_path / "other", name="other")]
    site.deliver([1, 2])
    site.opt_out([1])
    with pytest.raises(DestinationUnavailable):
        site.take_back()
    assert len(site.hospital.database.removals().due(PROJECT)) == 1
    result = site.take_back()
    assert (result.requests, result.studies, result.left) == (1, 1, {})
    assert study(1) not in site.words()


@pytest.mark.parametrize("step", ["vacuum", "cleanup_metadata", "forget_raw", "record"])
def test_cut_off_anywhere_it_ends_as_if_it_had_not_been(site: Site, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Rows may be gone from a table while its history still has them."""
    site.deliver([1, 2])
    site.opt_out([1])

    def killed(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    owner = {"forget_raw": Site, "record": Removals}.get(step, DeltaTable)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, killed)
        with pytest.raises(KeyboardInterrupt):
            site.take_back()
    assert site.take_back().requests == 1
    shutil.rmtree(site.hospital.work / "withdrawals")
    after = site.words()
    assert person(1) not in after
    assert study(1) not in after
    assert site.take_back() == TakenBack()


def test_it_does_not_run_beside_an_export(site: Site) -> None:
    site.deliver([1])
    site.opt_out([1])
    site.hospital.verify([2])
    site.hospital.database.claim(PROJECT, [RequestState.VERIFIED], worker="export", limit=1, lease=LEASE)
    with pytest.raises(DestinationUnavailable, match="export") as caught:
        site.take_back()
    assert "ended" in caught.value.remedy
    site.hospital.time += 2 * LEASE
    assert site.take_back().requests == 1


def test_what_never_left_needs_no_destination(site: Site, tmp_path: Path) -> None:
    site.hospital.ask([1])
    site.places = [StoragePeerDestination(None)]  # type: ignore[arg-type]
    site.opt_out([1])
    result = site.take_back()
    assert (result.requests, result.studies, result.left) == (1, 0, {})
    assert list((site.hospital.work / "withdrawals").iterdir()) == []
