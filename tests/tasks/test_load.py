"""An archive that slows is asked less: it stays below its knee, where a fixed rate drives it over."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from deployments.bootstrap import register_limits
from safelight.archive.budget import Budget, Load
from safelight.archive.load import LoadResponse
from safelight.archive.pace import Pace
from safelight.archive.settings import ArchiveUse
from tasks.throttle import OrchestratorThrottle
from tasks.wiring import now
from tests.archive.conftest import clock as clock
from tests.archive.conftest import database as database
from tests.archive.tiring import TiringArchive, ask_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.link import ArchivePace, LinkDatabase

pytestmark = pytest.mark.usefixtures("prefect_server")
RATE, CLIENTS, SECONDS = 40.0, 10, 14.0


@pytest.fixture
def peer() -> Iterator[TiringArchive]:
    archive = TiringArchive(knee=3, unloaded=0.25)
    archive.start()
    yield archive
    archive.stop()


def use_of(name: str, load: Load) -> ArchiveUse:
    use = ArchiveUse(block=name, budget=Budget(operations_per_second=RATE, associations=CLIENTS), load=load)
    register_limits(use)
    return use


def drive(
    peer: TiringArchive, use: ArchiveUse, database: LinkDatabase, seconds: float, told: list[ArchivePace] | None = None
) -> None:
    """Two workers, each with a pace of its own, that share nothing but the orchestrator and the link database."""
    with ExitStack() as workers:
        throttles = [
            workers.enter_context(OrchestratorThrottle(use.block, pace_of(use, database, told if not number else None)))
            for number in range(2)
        ]
        ask_for(seconds, peer, throttles, clients=CLIENTS)


def pace_of(use: ArchiveUse, database: LinkDatabase, told: list[ArchivePace] | None) -> Pace:
    on_change = (lambda _pace: None) if told is None else told.append
    return Pace(use, LoadResponse(use.block, use.load, database, clock=time.monotonic, on_change=on_change), now)


def test_it_settles_below_the_knee_where_a_fixed_rate_does_not(peer: TiringArchive, database: LinkDatabase) -> None:
    drive(peer, use_of("fixed", Load(least_share=1)), database, 5.0)
    assert peer.slowest() > 2
    assert database.archive_paces("fixed") == []

    peer.answers.clear()
    told: list[ArchivePace] = []
    started = time.monotonic()
    drive(peer, use_of("kind", Load()), database, SECONDS, told)
    assert peer.slowest() < 2, "from the first operation on"
    half = started + SECONDS / 2
    assert peer.rate(half, started + SECONDS) <= 1.02 * peer.capacity

    changes = database.archive_paces("kind", last=1000)
    shares = [change.share for change in reversed(changes)]
    assert min(shares) >= 0.1
    assert max(shares) > 0.2, "it came back step by step"
    assert all("query" in change.cause for change in changes)
    # A worker acts on changes, whoever made them: on the newest each time that it looks, and one never comes back.
    made = {change.number: change.share for change in changes}
    numbers = [pace.number for pace in told]
    assert numbers == sorted(set(numbers))
    assert all(made[pace.number] == pace.share for pace in told)
    assert len(told) > len(changes) / 2
