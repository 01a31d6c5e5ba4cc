"""What one study is answered with costs that study, and neither the others of its batch nor what another archive has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.dataelem import DataElement

from safelight.archive import StorageReceiver
from safelight.archive.identifier import STUDY_INSTANCES, StudyAnswer
from safelight.archive.locate import resolve
from safelight.errors import StudyRejected
from safelight.model import Reason, RequestState
from tests.archive.conftest import LEASE, PROJECT, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive
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
