"""What one study is answered with costs that study, and neither the others of its batch nor what another archive has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydicom.dataelem import DataElement

from safelight.archive import RetrievalProgress, StorageReceiver, WebService
from safelight.archive.identifier import STUDY_INSTANCES, StudyAnswer
from safelight.archive.intake import Intake
from safelight.archive.locate import resolve
from safelight.errors import ArchiveMisconfigured, StudyRejected, TransientError
from safelight.model import Reason, RequestState
from tests.archive.conftest import LEASE, PROJECT, Clock, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive
from tests.archive.hostile_web import HostileWebArchive
from tests.archive.studies import Study
from tests.services.orthanc import Peer

FIRST, OTHER = Study(730), Study(731, series=(2,), patient=2)
Start = Callable[..., StorageReceiver]


@pytest.fixture
def hostile(receiver_peer: Peer) -> Iterator[HostileArchive]:
    archive = HostileArchive([FIRST, OTHER], receiver_peer).start()
    yield archive
    archive.stop()


def test_what_the_cache_lost_between_the_stages_is_there_again(
    hostile: HostileArchive, start_receiver: Start, stage: Stage
) -> None:
    """Another project's archive has one instance less, so the index forgot it; the request was sent back for it."""
    receiver, archive = start_receiver(hostile), an_archive(hostile)
    stage.enter(a_request(FIRST))
    stage.run(receiver, archive)
    whole = [arrived for arrived, _ in stage.cache.on_disk(FIRST.uid).values()]
    stage.cache.put(FIRST.uid, "elsewhere", whole[1:], complete=True)
    ids = stage.database.claim(PROJECT, [RequestState.RETRIEVED], worker=stage.worker, limit=1, lease=LEASE)
    stage.database.move(ids[0], RequestState.REQUESTED, worker=stage.worker, reason=Reason.INCOMPLETE)
    hostile.count = 5
    assert dict(stage.run(receiver, archive).moved) == {"retrieved": 1}
    assert (stage.only().received, len(stage.cache.paths(FIRST.uid))) == (5, 5)
    assert hostile.operations["move"] == 1, "it was on disk all the time"


@pytest.mark.parametrize("digits", [19, 5000])
def test_a_count_that_nobody_can_count_to_is_none(
    hostile: HostileArchive, start_receiver: Start, stage: Stage, digits: int
) -> None:
    """It would not fit into the link database, and stop the batch in each run."""
    answers = hostile._find

    def find(event: Any) -> Iterator[Any]:
        for status, answer in answers(event):
            if answer.QueryRetrieveLevel == "STUDY":
                answer.add(DataElement(STUDY_INSTANCES, "LO", "9" * digits, already_converted=True))
            yield status, answer

    hostile.stop()
    hostile._find = find  # type: ignore[method-assign]
    hostile.start()
    stage.enter(a_request(FIRST), a_request(OTHER))
    counts = stage.run(start_receiver(hostile), an_archive(hostile))
    assert dict(counts.moved) == {"retrieved": 2}
    assert [one.announced for one in stage.requests()] == [5, 2]


@pytest.mark.parametrize("uid", ["1.2.\ud800", "1.2\0.3", "../../../x", "1" * 65])
def test_what_is_no_uid_is_no_answer(uid: str) -> None:
    """DICOMweb answers can hold any text, also such as no database takes."""
    with pytest.raises(StudyRejected) as caught:
        resolve(a_request(FIRST), [StudyAnswer(uid, patient_id=FIRST.mrn)])
    assert caught.value.reason is Reason.BAD_VALUE


def _bar(archive: HostileArchive, level: str) -> None:
    """Answer 'not authorised' (0124) for the first study, and well for every other."""

    def barred() -> int | None:
        asked = archive.identifiers[-1]
        return 0x0124 if (asked.QueryRetrieveLevel, asked.StudyInstanceUID) == (level, FIRST.uid) else None

    if level == "RETRIEVE":
        archive.on_move = lambda: 0x0124 if archive.moved[-1] == FIRST.sop_uids else None
    else:
        archive.on_find = barred


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE", "RETRIEVE"])
def test_a_study_that_is_barred_from_us_costs_itself_only(
    receiver_peer: Peer, stage: Stage, clock: Clock, level: str
) -> None:
    """It comes first, so that nothing was answered before it; at the end it is alone, and has had its attempts."""
    archive = HostileArchive([FIRST, OTHER], receiver_peer, "c-get").start()
    intake = Intake(stage.cache.spool)
    _bar(archive, level)
    stage.enter(a_request(FIRST), a_request(OTHER))
    seen = []
    try:
        for _ in range(3):
            counts = stage.run(intake, an_archive(archive), parallel=1)
            seen.append((dict(counts.moved), counts.waiting))
            clock.now += timedelta(hours=1)
    finally:
        archive.stop()
        intake.close()
    first = stage.requests()[0]
    assert seen == [({"retrieved": 1}, 1), ({}, 1), ({"failed": 1}, 0)]
    assert (first.state, first.reason) == (RequestState.FAILED, Reason.ARCHIVE_UNREACHABLE)


@pytest.mark.parametrize("status", [400, 403, 406])
def test_also_by_dicomweb(stage: Stage, status: int) -> None:
    intake = Intake(stage.cache.spool)
    with HostileWebArchive([FIRST, OTHER]) as archive:
        archive.on_request = lambda path: status if path.endswith(f"/studies/{FIRST.uid}") else None
        stage.enter(a_request(FIRST), a_request(OTHER))
        counts = stage.run(intake, an_archive(WebService(archive.url), retrieve="dicomweb"), parallel=1)
    intake.close()
    assert (dict(counts.moved), counts.waiting) == ({"retrieved": 1}, 1)
    assert stage.requests()[0].attempts == 1


def test_who_is_refused_everything_stops_soon(hostile: HostileArchive, start_receiver: Start, stage: Stage) -> None:
    """Then it is us. Nothing is lost, and no attempt is counted."""
    hostile.on_find = lambda: 0x0124
    stage.enter(*(a_request(FIRST, accession_number=f"CANARY{number}") for number in range(10)))
    with pytest.raises(ArchiveMisconfigured, match="authorise"):
        stage.run(start_receiver(hostile), an_archive(hostile), parallel=1)
    assert hostile.operations["find"] == 3
    assert {(one.state, one.attempts) for one in stage.requests()} == {(RequestState.REQUESTED, 0)}
    assert len(stage.claim()) == 10, "the leases were given back"


def test_an_abort_by_who_has_answered_is_an_accident(hostile: HostileArchive, start_receiver: Start, stage: Stage) -> None:
    """It answers the search for a study, and breaks down over its series: it knows who we are."""

    def break_down() -> None:
        asked = hostile.identifiers[-1]
        if (asked.QueryRetrieveLevel, asked.StudyInstanceUID) == ("SERIES", FIRST.uid):
            for association in hostile._server.active_associations:
                association.abort()
            time.sleep(0.2)

    hostile.on_find = break_down
    stage.enter(a_request(FIRST), a_request(OTHER))
    counts = stage.run(start_receiver(hostile), an_archive(hostile, attempts=2), parallel=1)
    assert (dict(counts.moved), counts.waiting) == ({"retrieved": 1}, 1)
    assert stage.requests()[0].reason is Reason.ARCHIVE_UNREACHABLE


def test_series_that_only_the_second_archive_has(receiver_peer: Peer, start_receiver: Start, stage: Stage) -> None:
    part = Study(FIRST.number, series=(3,))
    first, second = (HostileArchive([study], receiver_peer).start() for study in (part, FIRST))
    try:
        stage.enter(a_request(FIRST, series_uids=(FIRST.series_uid(1),)))
        stage.run(start_receiver(first, second), an_archive(first, "first"), an_archive(second, "second"))
    finally:
        first.stop()
        second.stop()
    request = stage.only()
    assert (request.state, request.archive, request.received) == (RequestState.RETRIEVED, "second", 2)


def _never_call_for(archive: HostileArchive, *studies: Study) -> None:
    """Fail a C-MOVE of these studies without a call to our receiver."""

    def on_move() -> None:
        if archive.moved[-1] in [study.sop_uids for study in studies]:
            # Before it has named a destination: the library answers C5xx, and calls nobody.
            raise OSError

    archive.on_move = on_move


def test_who_never_calls_is_followed_by_the_second_archive(
    hostile: HostileArchive, receiver_peer: Peer, start_receiver: Start, stage: Stage
) -> None:
    _never_call_for(hostile, FIRST)
    second = HostileArchive([FIRST], receiver_peer).start()
    told: list[TransientError] = []
    try:
        stage.enter(a_request(FIRST))
        archives = an_archive(hostile, "first", attempts=1), an_archive(second, "second")
        counts = stage.run(start_receiver(hostile, second), *archives, on_trouble=told.append)
    finally:
        second.stop()
    assert ["'first' was asked" in str(one) for one in told] == [True], "or nobody would ever look why"
    assert dict(counts.moved) == {"retrieved": 1}
    assert (stage.only().archive, stage.only().received) == ("second", 5)


def test_who_opts_out_while_the_batch_waits_for_a_call_stops_nothing(
    receiver_peer: Peer, start_receiver: Start, stage: Stage
) -> None:
    third = Study(732, patient=3)
    archive = HostileArchive([FIRST, OTHER, third], receiver_peer).start()
    _never_call_for(archive, FIRST, third)
    stage.enter(*map(a_request, (FIRST, third, OTHER)))

    def leave(progress: RetrievalProgress) -> None:
        if progress.state == "retrieved":
            stage.database.withdraw_patient(PROJECT, FIRST.mrn, actor="governance")

    try:
        asked = an_archive(archive, attempts=1, settle_seconds=0)
        counts = stage.run(start_receiver(archive), asked, parallel=1, on_progress=leave)
    finally:
        archive.stop()
    assert {one.procedure_occurrence_id: one.state for one in stage.requests()} == {
        FIRST.number: RequestState.OPTED_OUT,
        third.number: RequestState.FAILED,
        OTHER.number: RequestState.RETRIEVED,
    }
    assert (dict(counts.moved), counts.waiting) == ({"failed": 1, "retrieved": 1}, 1)
