"""Requests from retrieved to verified, against a real link database."""

from __future__ import annotations

import errno
import os
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safelight.dicom import DeidEngine, ImageFilters
from safelight.dicom.batch import deidentify_requests
from safelight.dicom.filters import ManufacturerFilter, SeriesFilter
from safelight.errors import StorageFull
from safelight.link import LinkDatabase, Request, StageCounts
from safelight.model import InstanceOutcome, KnownIdentifiers, Reason, RequestState, StudyRequest
from safelight.profile import load_profile
from safelight.pseudonym import Pseudonymizer
from tests.dicom.conftest import PROFILES
from tests.dicom.encoding import number, text
from tests.dicom.hard import Hard, Maker, put

LEASE = timedelta(minutes=5)
CT_ONLY = ImageFilters(modalities=("CT",))


def now() -> datetime:
    return datetime(2026, 11, 21, tzinfo=UTC)


class Hospital:
    """A link database with retrieved studies, and their files in a raw cache."""

    def __init__(self, folder: Path, engine: DeidEngine, pseudonymizer: Pseudonymizer) -> None:
        self.folder = folder
        self.engine = engine
        self.pseudonymizer = pseudonymizer
        self.database = LinkDatabase(f"sqlite:///{folder}/link.sqlite", clock=now)
        self.work = folder / "work"
        self.known = KnownIdentifiers(mrn="", surname="Zqxsurname", given="Zqxgiven")
        self.extract = self.database.register_extract(
            "trial", name="one", sha256="a" * 64, generated=datetime(2026, 1, 1, tzinfo=UTC), source="test"
        )

    def study(self, maker: Maker, files: list[bytes], *, series: tuple[str, ...] = (), received: int = 0) -> int:
        """Enter a request for a study that lies in the cache, and bring it to retrieved."""
        request = StudyRequest("trial", maker.mrn, "", maker.study, None, 1 + len(list(self.all())), series_uids=series)
        before = {one.id for one in self.all()}
        self.database.add_requests(self.extract, [request], pseudonymizer=self.pseudonymizer, opted_out={})
        (new,) = [one.id for one in self.all() if one.id not in before]
        cache = self.folder / "cache" / maker.study
        cache.mkdir(parents=True, exist_ok=True)
        for place, data in enumerate(files):
            (cache / f"{place:03d}.dcm").write_bytes(data)
        self.claim(RequestState.REQUESTED)
        self.database.move(new, RequestState.LOCATED, worker="w", located_study_uid=maker.study)
        self.database.move(new, RequestState.RETRIEVED, worker="w", received=received)
        return new

    def all(self) -> list[Request]:
        return list(self.database.find("trial", list(RequestState)))

    def claim(self, *states: RequestState) -> list[int]:
        return self.database.claim("trial", states, worker="w", limit=99, lease=LEASE)

    def run(self, filters: ImageFilters = CT_ONLY) -> StageCounts:
        return deidentify_requests(
            self.claim(RequestState.RETRIEVED, RequestState.DEIDENTIFIED),
            database=self.database,
            engine=self.engine,
            filters=filters,
            cache_paths=lambda uid, _series: sorted((self.folder / "cache" / uid).glob("*")),
            work=self.work,
            worker="w",
            lease=LEASE,
            known=lambda request: self.known.model_copy(update={"mrn": request.mrn}),
        )

    def outputs(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.work)): path.read_bytes() for path in self.work.rglob("*") if path.is_file()}

    def state(self, request_id: int) -> tuple[RequestState, Reason | None]:
        (request,) = self.database.requests([request_id])
        return request.state, request.reason


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty link database, to be copied: migrating anew takes longer than any test here."""
    folder = tmp_path_factory.mktemp("migrated")
    database = LinkDatabase(f"sqlite:///{folder}/link.sqlite", clock=now)
    database.migrate()
    database.close()
    return folder / "link.sqlite"


@pytest.fixture
def hospital(tmp_path: Path, migrated: Path, research: DeidEngine, pseudonymizer: Pseudonymizer) -> Hospital:
    shutil.copyfile(migrated, tmp_path / "link.sqlite")
    return Hospital(tmp_path, research, pseudonymizer)


@pytest.fixture
def maker() -> Maker:
    return Maker(random.Random("batch"))


def test_a_study_is_verified_with_all_its_instances_accounted_for(hospital: Hospital, maker: Maker) -> None:
    burned = maker.ct(**put(text(0x00280301, "CS", "YES")))
    request = hospital.study(maker, [maker.ct(), maker.ct(), burned, b"not dicom"])
    counts = hospital.run()
    assert (counts.taken, dict(counts.moved), counts.waiting) == (1, {"verified": 1}, 0)
    results = hospital.database.instances(request)
    assert sorted(str(result.reason or result.outcome) for result in results) == [
        "burned_in",
        "not_dicom",
        "written",
        "written",
    ]
    (found,) = hospital.database.requests([request])
    assert found.pseudo_study_uid == hospital.pseudonymizer.uid(maker.study)
    assert found.pseudo_patient_id == hospital.pseudonymizer.secure_hash(maker.mrn, "patient")
    assert {Path(name).parts[0] for name in hospital.outputs()} == {found.pseudo_study_uid}
    assert len(hospital.outputs()) == 2


def test_doing_it_again_after_a_kill_writes_the_same_bytes(hospital: Hospital, maker: Maker) -> None:
    request = hospital.study(maker, [maker.ct(), maker.ct()])
    (hospital.work / "x").mkdir(parents=True)
    hospital.run()
    first = hospital.outputs()
    again = Hospital.__new__(Hospital)
    again.__dict__ = dict(hospital.__dict__)
    hospital.claim(RequestState.VERIFIED)
    hospital.database.move(request, RequestState.RETRIEVED, worker="w")
    hospital.claim(RequestState.RETRIEVED)
    # Killed between the two moves of the stage: the lease stays, the state is deidentified.
    hospital.database.move(request, RequestState.DEIDENTIFIED, worker="w")
    hospital.database.release([request], worker="w")
    counts = again.run()
    assert dict(counts.moved) == {"verified": 1}
    assert hospital.outputs() == first


def test_the_wrong_patient_or_study_is_never_delivered(hospital: Hospital, maker: Maker) -> None:
    other = Maker(random.Random("other"))
    stranger = hospital.study(maker, [maker.ct(**put(text(0x00100020, "LO", "SOMEBODY")))])
    elsewhere = hospital.study(other, [other.ct(**put(text(0x0020000D, "UI", "1.2.3")))])
    hospital.run()
    assert hospital.state(stranger) == (RequestState.QUARANTINED, Reason.PATIENT_MISMATCH)
    assert hospital.state(elsewhere) == (RequestState.QUARANTINED, Reason.STUDY_MISMATCH)
    assert hospital.outputs() == {}


def test_filters_reject_what_the_project_does_not_want(hospital: Hospital, maker: Maker) -> None:
    scout = maker.ct(**put(text(0x0008103E, "LO", "Scout view"), text(0x0020000E, "UI", "1.2.9")))
    request = hospital.study(maker, [scout])
    filters = ImageFilters(modalities=("CT",), exclude_series_descriptions=("scout",))
    hospital.run(filters)
    assert hospital.state(request) == (RequestState.REJECTED, Reason.SERIES_FILTERED)


def test_small_series_are_taken_back(hospital: Hospital, maker: Maker) -> None:
    lone = maker.ct(**put(text(0x0020000E, "UI", "1.2.9")))
    request = hospital.study(maker, [maker.ct(), maker.ct(), lone])
    hospital.run(ImageFilters(modalities=("CT",), min_instances_per_series=2))
    reasons = [result.reason for result in hospital.database.instances(request)]
    assert sorted(map(str, reasons)) == ["None", "None", "too_few_instances"]
    assert len(hospital.outputs()) == 2


def test_other_series_of_the_study_are_left_to_their_own_request(hospital: Hospital, maker: Maker) -> None:
    other = maker.ct(**put(text(0x0020000E, "UI", "1.2.9")))
    request = hospital.study(maker, [maker.ct(), other], series=(maker.series,))
    hospital.run()
    assert [result.outcome for result in hospital.database.instances(request)] == [InstanceOutcome.WRITTEN]


def test_an_identifier_that_stayed_is_found_and_taken_back(hospital: Hospital, maker: Maker) -> None:
    # A project that keeps the manufacturer as it is: a name typed there is what only the independent look can find.
    kept = {"dicom": {"elements": {"Manufacturer": "keep"}}}
    hospital.engine = DeidEngine(load_profile(PROFILES, "research", overrides=kept).dicom, hospital.pseudonymizer)
    planted = maker.ct(**put(text(0x00080070, "LO", "Zqxgiven Zqxsurname")))
    request = hospital.study(maker, [planted])
    hospital.run()
    assert hospital.state(request) == (RequestState.QUARANTINED, Reason.RESIDUAL_IDENTIFIER)
    assert hospital.outputs() == {}


def test_a_study_that_left_the_cache_is_asked_for_again(hospital: Hospital, maker: Maker) -> None:
    request = hospital.study(maker, [])
    hospital.run()
    assert hospital.state(request)[0] is RequestState.REQUESTED


def test_a_study_of_which_the_cache_has_less_than_was_received_is_asked_for_again(hospital: Hospital, maker: Maker) -> None:
    """Otherwise the missing instance would be missed by nobody. More than was received is what came for others since."""
    less = hospital.study(maker, [maker.ct(), maker.ct()], received=3)
    other = Maker(random.Random("more"))
    more = hospital.study(other, [other.ct(), other.ct()], received=1)
    assert dict(hospital.run().moved) == {"requested": 1, "verified": 1}
    assert hospital.state(less) == (RequestState.REQUESTED, Reason.INCOMPLETE)
    assert hospital.state(more) == (RequestState.VERIFIED, None)
    assert (len(hospital.outputs()), hospital.database.instances(less)) == (2, [])


@pytest.mark.parametrize("left", [0, 1])
def test_also_when_a_run_was_killed_with_it_half_done(hospital: Hospital, maker: Maker, left: int) -> None:
    request = hospital.study(maker, [maker.ct()] * left, received=2)
    hospital.claim(RequestState.RETRIEVED)
    hospital.database.move(request, RequestState.DEIDENTIFIED, worker="w")
    hospital.database.release([request], worker="w")
    for expected in (RequestState.RETRIEVED, RequestState.REQUESTED):
        hospital.run()
        assert hospital.state(request) == (expected, Reason.INCOMPLETE)


def test_what_an_earlier_profile_let_through_goes_when_the_new_one_does_not(hospital: Hospital, maker: Maker) -> None:
    request = hospital.study(maker, [maker.ct()])
    hospital.run()
    assert hospital.outputs()
    hospital.claim(RequestState.VERIFIED)
    hospital.database.move(request, RequestState.RETRIEVED, worker="w")
    hospital.run(ImageFilters(modalities=("MR",)))
    assert hospital.state(request) == (RequestState.REJECTED, Reason.MODALITY_NOT_ALLOWED)
    assert hospital.outputs() == {}


def test_a_full_disk_loses_nothing(hospital: Hospital, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    request = hospital.study(maker, [maker.ct()])

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        # A full disk can't be had in a test without mounting one: the system call is made to answer as it would.
        patch.setattr("safelight.dicom.engine.write_all", full)
        with pytest.raises(StorageFull):
            hospital.run()
    assert hospital.state(request)[0] is RequestState.RETRIEVED
    assert hospital.outputs() == {}
    assert dict(hospital.run().moved) == {"verified": 1}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({}, None),
        ({"Modality": "MR"}, Reason.MODALITY_NOT_ALLOWED),
        ({"Manufacturer": "Acme"}, Reason.MANUFACTURER_NOT_ALLOWED),
        ({"SeriesNumber": "3"}, Reason.SERIES_FILTERED),
        ({"SeriesNumber": "x"}, Reason.SERIES_FILTERED),
        ({"SeriesDescription": "a LOCALISER b"}, Reason.SERIES_FILTERED),
    ],
)
def test_each_filter_has_its_reason(header: dict[str, str], reason: Reason | None) -> None:
    filters = ImageFilters(
        modalities=("CT",),
        manufacturers=(ManufacturerFilter(regex="^siemens", exclude_series_numbers=(3,)),),
        exclude_series_descriptions=("localiser",),
    )
    values = {"Modality": "CT", "Manufacturer": "SIEMENS", "SeriesNumber": "1", "SeriesDescription": "", **header}
    assert SeriesFilter(filters).apply(values) is reason


def test_the_maker_of_hard_files_is_what_these_tests_run_on(maker: Maker) -> None:
    assert Hard(maker.ct(**put(number(0x00280010, "US", 16)))).expect is None


def test_who_opts_out_while_the_study_is_worked_on_stops_nothing(hospital: Hospital, maker: Maker) -> None:
    """The national opt-out is read by another worker, at any moment."""
    leaving, staying = Maker(random.Random("leaving")), maker
    gone = hospital.study(leaving, [leaving.ct()])
    kept = hospital.study(staying, [staying.ct()])
    known = hospital.known

    class Leaving(KnownIdentifiers):
        """Opts out at the moment in which the stage asks who the patient is."""

        def model_copy(self, *, update: object = None, deep: bool = False) -> KnownIdentifiers:
            hospital.database.withdraw_patient("trial", leaving.mrn, actor="governance")
            return known.model_copy(update=update)

    hospital.known = Leaving(**known.model_dump())
    counts = hospital.run()
    assert hospital.state(gone) == (RequestState.OPTED_OUT, Reason.WITHDRAWN)
    assert hospital.state(kept) == (RequestState.VERIFIED, None)
    assert (counts.taken, dict(counts.moved), counts.waiting) == (2, {"verified": 1}, 1)
