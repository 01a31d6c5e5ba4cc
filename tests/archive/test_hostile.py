"""What is asked again, and how often, of an archive that does something wrong; ``test_behaviours`` has everything else."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from safelight.archive import RawCache, StorageReceiver
from safelight.archive.session import PATIENT_ROOT
from safelight.errors import ArchiveMisconfigured
from safelight.model import Reason, RequestState
from tests.archive import hostile as ways
from tests.archive.conftest import Clock, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive
from tests.archive.studies import Study
from tests.services.orthanc import Peer

STUDY, OTHER = Study(1), Study(2, series=(2,), patient=2)


@pytest.fixture(params=["c-move", "c-get"])
def hostile(request: pytest.FixtureRequest, receiver_peer: Peer) -> Iterator[HostileArchive]:
    archive = HostileArchive([STUDY, OTHER], receiver_peer, request.param).start()
    yield archive
    archive.stop()


@pytest.fixture
def receiver(hostile: HostileArchive, start_receiver: Callable[..., StorageReceiver]) -> StorageReceiver:
    return start_receiver(hostile)


def check(cache: RawCache, *studies: Study) -> None:
    """The cache holds exactly these studies, whole, each instance once, of the right patient, and nothing is left over."""
    found = sorted(
        (str(data.StudyInstanceUID), str(data.SOPInstanceUID), str(data.PatientID))
        for data in (dcmread(path, stop_before_pixels=True) for path in cache.folder.rglob("*.dcm"))
    )
    assert found == sorted((study.uid, uid, study.mrn) for study in studies for uid in study.sop_uids)
    assert not list(cache.folder.rglob("*.part"))


def once(then: Any, first: Any) -> Callable[..., Any]:
    """Do ``first`` the first time and ``then`` from then on."""
    ways_left = [first]

    def do(*arguments: Any) -> Any:
        return (ways_left.pop() if ways_left else then)(*arguments)

    return do


def test_a_well_behaved_archive(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    stage.enter(a_request(STUDY), a_request(OTHER))
    assert dict(stage.run(receiver, an_archive(hostile)).moved) == {"retrieved": 2}
    check(stage.cache, STUDY, OTHER)
    assert hostile.operations["move"] == 2


def test_only_the_missing_ones_are_fetched_again(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    def all_but_two(association: Any, instances: list[Dataset]) -> None:
        ways.send_all(association, instances[:1] + instances[2:-1])

    hostile.send = once(ways.send_all, all_but_two)
    stage.enter(a_request(STUDY))
    assert dict(stage.run(receiver, an_archive(hostile, settle_seconds=0.1)).moved) == {"retrieved": 1}
    check(stage.cache, STUDY)
    asked = [uid for move in hostile.moved[1:] for uid in move]
    assert sorted(asked) == sorted([STUDY.sop_uids[1], STUDY.sop_uids[-1]])


def test_what_stays_missing_is_kept_for_the_next_run(
    hostile: HostileArchive, receiver: StorageReceiver, stage: Stage
) -> None:
    lost = STUDY.sop_uids[2]
    hostile.send = lambda association, instances: ways.send_all(
        association, [one for one in instances if one.SOPInstanceUID != lost]
    )
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(hostile, attempts=2, settle_seconds=0.1))
    request = stage.only()
    assert (request.state, request.reason) == (RequestState.FAILED, Reason.INCOMPLETE)
    assert (request.announced, request.received) == (5, 4)

    hostile.send = ways.send_all
    hostile.moved.clear()
    stage.database.requeue("chest-xr")
    assert dict(stage.run(receiver, an_archive(hostile)).moved) == {"retrieved": 1}
    assert hostile.moved == [[lost]]
    check(stage.cache, STUDY)


def test_a_list_that_is_shorter_than_its_own_count(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    """It says that it has six, and names five: nobody would miss the sixth."""
    hostile.count = 6
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(hostile))
    request = stage.only()
    assert (request.state, request.reason) == (RequestState.FAILED, Reason.INCOMPLETE)
    assert (request.announced, request.received) == (6, 5)
    assert hostile.operations["move"] == 0
    check(stage.cache)

    # One of its makes counts what can't be retrieved.
    stage.database.requeue("chest-xr")
    assert dict(stage.run(receiver, an_archive(hostile, counts_are_right=False)).moved) == {"retrieved": 1}
    check(stage.cache, STUDY)


def test_another_patient_in_the_right_study(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    def send_mixed(association: Any, instances: list[Dataset]) -> None:
        for one in instances[-2:]:
            one.PatientID = "CANARYSOMEONE"
        ways.send_all(association, instances)

    hostile.send = send_mixed
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(hostile))
    assert (stage.only().state, stage.only().reason) == (RequestState.QUARANTINED, Reason.PATIENT_MISMATCH)
    assert hostile.operations["move"] == 1
    assert stage.cache.get(STUDY.uid) is None


def test_truncated_instances(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    hostile.send = once(ways.send_all, ways.send_truncated)
    stage.enter(a_request(STUDY))
    assert dict(stage.run(receiver, an_archive(hostile, settle_seconds=0.1)).moved) == {"retrieved": 1}
    check(stage.cache, STUDY)


def test_dropped_in_the_middle_of_an_instance(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    hostile.send = once(ways.send_all, ways.send_half_and_drop)
    stage.enter(a_request(STUDY))
    assert dict(stage.run(receiver, an_archive(hostile, settle_seconds=0.2)).moved) == {"retrieved": 1}
    check(stage.cache, STUDY)
    assert [uid for move in hostile.moved[1:] for uid in move] == [STUDY.sop_uids[-1]]


@pytest.mark.parametrize("hostile", ["c-move"], indirect=True)
def test_one_instance_again_and_again(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    """After its final answer, and for longer than anybody waits for what is missing."""
    ended = threading.Event()
    again: list[threading.Thread] = []

    def send(association: Any, instances: list[Dataset]) -> None:
        def go_on() -> None:
            end = time.monotonic() + 10
            while not ended.wait(0.02) and time.monotonic() < end:
                hostile.send_apart(instances[:1])

        ways.send_all(association, instances[:1])
        again.append(threading.Thread(target=go_on))
        again[-1].start()

    hostile.send = send
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(hostile, attempts=1, settle_seconds=0.5))
    went_on = again[0].is_alive()
    ended.set()
    again[0].join()
    assert went_on
    assert (stage.only().reason, stage.only().received) == (Reason.INCOMPLETE, 1)
    check(stage.cache, Study(1, series=(1,)))


@pytest.mark.parametrize("hostile", ["c-move"], indirect=True)
def test_instances_after_the_final_answer(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    """The archive answers success at once, and sends afterwards, on an association of its own."""
    late: list[threading.Thread] = []

    def send_late(_association: Any, instances: list[Dataset]) -> None:
        def later() -> None:
            time.sleep(0.3)
            hostile.send_apart(instances)

        late.append(threading.Thread(target=later))
        late[-1].start()

    hostile.send = send_late
    stage.enter(a_request(STUDY))
    counts = stage.run(receiver, an_archive(hostile, settle_seconds=2))
    late[0].join()
    assert dict(counts.moved) == {"retrieved": 1}
    assert hostile.operations["move"] == 1
    check(stage.cache, STUDY)


def test_slow_but_not_silent_is_no_stall(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    def send_slowly(association: Any, instances: list[Dataset]) -> None:
        for one in instances:
            time.sleep(0.3)
            ways.send_all(association, [one])

    hostile.send = send_slowly
    stage.enter(a_request(STUDY))
    counts = stage.run(receiver, an_archive(hostile, attempts=1, move_timeout_seconds=0.9))
    assert dict(counts.moved) == {"retrieved": 1}
    assert hostile.operations["move"] == 1


def test_ten_times_slower_under_load(receiver_peer: Peer, stage: Stage, start_receiver: Any) -> None:
    """Beyond two at once each instance takes ten times as long: slow, and nothing else."""
    studies = [Study(200 + number, series=(2,), patient=number) for number in range(8)]
    archive = HostileArchive(studies, receiver_peer).start()
    at_once, most = itertools.count(), []
    busy: set[int] = set()

    def send(association: Any, instances: list[Dataset]) -> None:
        busy.add(mine := next(at_once))
        most.append(len(busy))
        try:
            for one in instances:
                time.sleep(0.2 if len(busy) > 2 else 0.02)
                ways.send_all(association, [one])
        finally:
            busy.discard(mine)

    archive.send = send
    try:
        stage.enter(*map(a_request, studies))
        asked = an_archive(archive, attempts=1, move_timeout_seconds=5)
        counts = stage.run(start_receiver(archive), asked, parallel=4)
    finally:
        archive.stop()
    assert dict(counts.moved) == {"retrieved": 8}
    assert archive.operations["move"] == 8, "slow is not failed"
    assert max(most) > 2
    check(stage.cache, *studies)


def test_refused_associations(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    hostile.refusals = 2
    stage.enter(a_request(STUDY))
    assert dict(stage.run(receiver, an_archive(hostile)).moved) == {"retrieved": 1}
    check(stage.cache, STUDY)


def test_a_full_disk(hostile: HostileArchive, stage: Stage, start_receiver: Any, clock: Clock) -> None:
    full = start_receiver(hostile, reserve_bytes=1 << 62)
    stage.enter(a_request(STUDY))
    counts = stage.run(full, an_archive(hostile, settle_seconds=0.1))
    assert counts.waiting == 1
    assert (stage.only().state, stage.only().reason) == (RequestState.LOCATED, Reason.STORAGE_FULL)
    assert hostile.operations["move"] == 1, "an archive is not asked again for what there is no room for"
    check(stage.cache)


def test_an_archive_that_offers_patient_root_only(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    hostile.stop()
    hostile.offers = (PATIENT_ROOT.find, PATIENT_ROOT.move, PATIENT_ROOT.get)
    hostile.start()
    stage.enter(a_request(STUDY), a_request(OTHER, study_uid=""))
    with pytest.raises(ArchiveMisconfigured, match="does not offer"):
        stage.run(receiver, an_archive(hostile))
    counts = stage.run(receiver, an_archive(hostile, information_model="patient"))
    assert dict(counts.moved) == {"retrieved": 2}
    assert all(one.PatientID in {STUDY.mrn, OTHER.mrn} for one in hostile.identifiers)
    check(stage.cache, STUDY, OTHER)


def test_a_cached_study_that_has_grown_is_not_given_out_as_it_was(
    hostile: HostileArchive, receiver: StorageReceiver, stage: Stage
) -> None:
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(hostile))
    longer = replace(STUDY, series=(3, 3))
    hostile.instances.append(longer.dataset(1, 2))
    hostile.count = len(longer.sop_uids)
    archive = an_archive(hostile, ask_for_cached=True, attempts=1, settle_seconds=0)
    # It tells of one more, and then fails: when it is asked for it, or for the list already.
    hostile.on_move = lambda: 0xA702
    stage.enter(a_request(STUDY, accession_number="CANARYONE"))
    stage.run(receiver, archive)
    hostile.on_find = lambda: 0xC001 if hostile.identifiers[-1].QueryRetrieveLevel == "SERIES" else None
    stage.enter(a_request(STUDY, accession_number="CANARYTWO"))
    stage.run(receiver, archive)
    _, one, two = stage.requests()
    assert (one.state, one.reason, one.announced, one.received) == (RequestState.FAILED, Reason.INCOMPLETE, 6, 5)
    assert (two.state, two.reason) == (RequestState.LOCATED, Reason.ARCHIVE_UNREACHABLE)

    hostile.mend()
    stage.database.requeue("chest-xr")
    stage.clock.now += timedelta(minutes=2)
    stage.run(receiver, archive)
    assert {each.received for each in stage.requests()[1:]} == {6}
    check(stage.cache, longer)


def test_success_without_a_call_is_no_wrong_destination(
    hostile: HostileArchive, receiver: StorageReceiver, stage: Stage
) -> None:
    """An archive that could not reach us would say so: this one has lost the study, and the others of the batch go on."""
    hostile.on_move = lambda: 0x0000
    stage.enter(a_request(STUDY))
    assert dict(stage.run(receiver, an_archive(hostile, attempts=1, settle_seconds=0)).moved) == {"failed": 1}
    assert not receiver.callers
    assert (stage.only().reason, stage.only().announced, stage.only().received) == (Reason.INCOMPLETE, 5, 0)


def test_a_study_without_an_instance(hostile: HostileArchive, receiver: StorageReceiver, stage: Stage) -> None:
    """It finds the study, and lists nothing that is in it: nothing is asked for, and nobody is blamed."""
    hostile.on_find = lambda: 0x0000 if hostile.identifiers[-1].QueryRetrieveLevel == "IMAGE" else None
    stage.enter(a_request(STUDY))
    for _ in range(2):
        stage.run(receiver, an_archive(hostile))
        assert (stage.only().state, stage.only().reason) == (RequestState.FAILED, Reason.INCOMPLETE)
        stage.database.requeue("chest-xr")
    assert hostile.operations["move"] == 0


def test_where_one_archive_fails_the_next_is_asked(
    hostile: HostileArchive, receiver_peer: Peer, start_receiver: Callable[..., StorageReceiver], stage: Stage
) -> None:
    """Both have the study. The first breaks down after it was located there; what it had sent is not fetched again."""
    second = HostileArchive([STUDY], receiver_peer, hostile.retrieve).start()
    hostile.send = ways.send_half_and_drop
    first = an_archive(hostile, "primary", attempts=1, settle_seconds=0.1)
    try:
        receiver = start_receiver(hostile, second)
        stage.enter(a_request(STUDY))
        counts = stage.run(receiver, first, an_archive(second, "secondary"))
        assert (dict(counts.moved), stage.only().archive) == ({"retrieved": 1}, "secondary")
        assert second.moved == [[STUDY.sop_uids[-1]]]
        check(stage.cache, STUDY)
    finally:
        second.stop()


def test_what_one_archive_announced_is_not_forgotten_because_another_has_less(
    hostile: HostileArchive, receiver_peer: Peer, start_receiver: Callable[..., StorageReceiver], stage: Stage
) -> None:
    """The second archive sends all that it knows of, and has never heard of the instance that the first one owes."""
    second = HostileArchive([replace(STUDY, series=(3, 1))], receiver_peer, hostile.retrieve).start()
    hostile.send = ways.send_half_and_drop
    hostile.on_move = lambda: 0xA702 if hostile.operations["move"] > 1 else None
    try:
        receiver = start_receiver(hostile, second)
        stage.enter(a_request(STUDY))
        archives = [an_archive(hostile, "primary", attempts=1, settle_seconds=0.1), an_archive(second, "secondary")]
        stage.run(receiver, *archives, max_attempts=1)
    finally:
        second.stop()
    request = stage.only()
    assert request.state is RequestState.FAILED
    if hostile.retrieve == "c-move":
        assert (request.reason, request.announced, request.received) == (Reason.INCOMPLETE, 5, 4)
    kept = stage.cache.get(STUDY.uid)
    assert kept is not None
    assert (kept.complete, len(kept.instances)) == (False, 4)
