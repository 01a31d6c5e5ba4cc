"""Whatever an archive does wrong, and whichever way studies come: nothing is lost, doubled or mixed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, get_args

import pytest

from safelight.archive import StorageReceiver
from safelight.archive.intake import Intake
from safelight.archive.settings import ArchiveUse
from safelight.archive.web import WebService
from safelight.model import RequestState
from tests.archive.behaviours import BEHAVIOURS
from tests.archive.conftest import PROJECT, Clock, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive
from tests.archive.hostile_web import HostileWebArchive
from tests.archive.studies import Study
from tests.archive.test_hostile import check
from tests.services.orthanc import Peer

#: Every way that a project may choose.
WAYS: tuple[str, ...] = get_args(ArchiveUse.model_fields["retrieve"].annotation)
FEW = [Study(1), Study(2, series=(2,), patient=2)]
MANY = [Study(200 + number, series=(2,), patient=number) for number in range(8)]
Start = Callable[..., StorageReceiver]


@contextmanager
def reached(
    way: str, studies: list[Study], destination: Peer, start_receiver: Start, stage: Stage
) -> Iterator[tuple[Any, Any, StorageReceiver | Intake]]:
    """Yield a hostile archive, who it is for ``an_archive``, and where studies arrive."""
    if way == "dicomweb":
        intake = Intake(stage.cache.spool)
        with HostileWebArchive(studies) as web:
            yield web, WebService(web.url), intake
        intake.close()
        return
    archive = HostileArchive(studies, destination, way).start()
    try:
        yield archive, archive, start_receiver(archive)
    finally:
        archive.stop()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_nothing_is_lost_doubled_or_mixed_up(
    name: str, way: str, receiver_peer: Peer, start_receiver: Start, stage: Stage, clock: Clock
) -> None:
    behaviour = BEHAVIOURS[name]
    studies = MANY if behaviour.many else FEW
    with reached(way, studies, receiver_peer, start_receiver, stage) as (archive, peer, receiver):
        asked = an_archive(peer, retrieve=way, attempts=2, move_timeout_seconds=0.4, settle_seconds=0.1)
        (behaviour.web if way == "dicomweb" else behaviour.dimse)(archive)
        stage.enter(*map(a_request, studies))
        counts = stage.run(receiver, asked, parallel=behaviour.at_once)

        states, reason = (way == "c-move" and behaviour.by_move) or behaviour.shown
        for one in stage.requests():
            assert one.state in states
            assert one.reason is reason
            whole = 0 < one.announced == one.received
            assert whole is (one.state is RequestState.RETRIEVED)
        assert sum(counts.moved.values()) + counts.waiting == counts.taken == len(studies)
        complete = {study.uid for study in studies if (kept := stage.cache.get(study.uid)) and kept.complete}
        assert complete == {one.study_uid for one in stage.requests() if one.state is RequestState.RETRIEVED}

        # It mends its ways: everything that was asked for is there in the end, and only that.
        archive.mend()
        clock.now += timedelta(minutes=2)
        stage.database.requeue(PROJECT, states=[RequestState.FAILED, RequestState.QUARANTINED])
        stage.run(receiver, asked)
        assert {(one.state, one.announced) for one in stage.requests()} == {
            (RequestState.RETRIEVED, len(study.sop_uids)) for study in studies
        }
        check(stage.cache, *studies)

        # Once more costs it nothing, and changes nothing.
        before = {path: path.stat().st_mtime_ns for path in stage.cache.folder.rglob("*.dcm")}
        asked_before = archive.asked
        stage.enter(*(a_request(study, accession_number="CANARYAGAIN") for study in studies))
        assert dict(stage.run(receiver, asked).moved) == {"retrieved": len(studies)}
        assert archive.asked == asked_before
        assert {path: path.stat().st_mtime_ns for path in stage.cache.folder.rglob("*.dcm")} == before


def test_every_behaviour_is_tried_in_every_way() -> None:
    """What archives have been seen to do, by name: a new one is added to the table and tried in each way at once."""
    assert set(WAYS) == {"c-move", "c-get", "dicomweb"}
    assert set(BEHAVIOURS) == {
        "refuses associations",
        "drops them mid-instance",
        "answers success with nothing sent",
        "sends each instance twice",
        "sends the wrong study",
        "sends the wrong patient",
        "stalls",
        "sends truncated instances",
        "returns 5 % transient errors",
        "slows tenfold under load",
        "dies for a minute",
    }
