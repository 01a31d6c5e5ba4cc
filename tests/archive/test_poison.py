"""What one study is answered with costs that study, and neither the others of its batch nor what another archive has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from safelight.archive import StorageReceiver
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
