"""An archive in trouble is left alone, by all workers; its manager's switch holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from safelight.archive import StorageReceiver, circuit
from safelight.archive.circuit import Circuit
from safelight.cli.main import main
from safelight.errors import (
    ArchiveBusy,
    ArchiveClosed,
    ArchiveMisconfigured,
    ArchiveUnreachable,
    DatabaseUnavailable,
    StorageFull,
    StudyRejected,
    TransientError,
)
from safelight.link import LinkDatabase
from safelight.model import Reason, RequestState
from tests.archive.conftest import Clock, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive, send_nothing
from tests.archive.studies import Study
from tests.services.orthanc import Peer

STUDIES = [Study(400 + number, series=(1,)) for number in range(8)]


@pytest.fixture
def hostile(receiver_peer: Peer) -> Iterator[HostileArchive]:
    archive = HostileArchive(STUDIES, receiver_peer).start()
    yield archive
    archive.stop()


@pytest.fixture
def receiver(hostile: HostileArchive, start_receiver: Callable[..., StorageReceiver]) -> StorageReceiver:
    return start_receiver(hostile)


def test_it_opens_rests_and_closes(
    hostile: HostileArchive, receiver: StorageReceiver, stage: Stage, clock: Clock, database: LinkDatabase
) -> None:
    archive = an_archive(hostile, attempts=1, open_after_failures=3, rest_seconds=600)
    hostile.on_find = lambda: 0xC001
    stage.enter(*map(a_request, STUDIES))
    counts = stage.run(receiver, archive, parallel=1)
    assert counts.waiting == len(STUDIES)
    assert hostile.operations["find"] == 3, "then nothing was sent any more"
    assert database.archive_health("main").state == "open"
    assert [one.attempts for one in stage.requests()] == [1, 1, 1, 0, 0, 0, 0, 0]
    assert [one.reason for one in stage.requests()] == [Reason.ARCHIVE_UNREACHABLE] * 3 + [Reason.ARCHIVE_CLOSED] * 5

    hostile.operations.clear()
    clock.now += timedelta(minutes=5)
    stage.run(receiver, archive, parallel=1)
    assert not hostile.operations, "it rests, for every worker"

    # Half-open: an echo is answered, the study fails, it opens again at once.
    clock.now += timedelta(minutes=6)
    stage.run(receiver, archive, parallel=1)
    assert (hostile.operations["echo"], hostile.operations["find"]) == (1, 1)
    assert database.archive_health("main").state == "open"

    hostile.on_find = lambda: None
    hostile.operations.clear()
    clock.now += timedelta(minutes=11)
    counts = stage.run(receiver, archive, parallel=1)
    assert dict(counts.moved) == {"retrieved": len(STUDIES)}
    assert hostile.operations["echo"] == 1
    assert database.archive_health("main").state == "closed"


def test_only_one_worker_tries(hostile: HostileArchive, database: LinkDatabase, clock: Clock) -> None:
    archive = an_archive(hostile, attempts=1, open_after_failures=1, rest_seconds=60)
    first, second = Circuit(archive, database, clock), Circuit(archive, database, clock)
    first.failed(ArchiveUnreachable("away"))
    clock.now += timedelta(seconds=61)
    first.enter()
    with pytest.raises(ArchiveClosed):
        second.enter()
    assert hostile.operations["echo"] == 1
    # The one who tried was killed: after one more rest another may.
    clock.now += timedelta(seconds=61)
    second.enter()
    second.succeeded()
    first.enter()


def test_studies_that_take_longer_than_it_rests_close_it(
    hostile: HostileArchive, database: LinkDatabase, clock: Clock
) -> None:
    """Another one tries before the first has ended; what was let through since it opened tells that it is well."""
    archive = an_archive(hostile, attempts=1, open_after_failures=1, rest_seconds=60)
    trials = [Circuit(archive, database, clock) for _ in range(4)]
    trials[0].failed(ArchiveUnreachable("away"))
    for one in trials[:3]:
        clock.now += timedelta(seconds=61)
        one.enter()
    # The last of them finds it in trouble still: what the others found before says nothing any more.
    trials[2].failed(ArchiveUnreachable("away"))
    trials[0].succeeded()
    assert database.archive_health("main").state == "open"
    clock.now += timedelta(seconds=61)
    trials[3].enter()
    trials[1].succeeded()
    assert database.archive_health("main").state == "half_open"
    clock.now += timedelta(seconds=61)
    Circuit(archive, database, clock).enter()
    trials[3].succeeded()
    assert database.archive_health("main").state == "closed"


def test_of_workers_that_come_at_once_one_tries(hostile: HostileArchive, database: LinkDatabase, clock: Clock) -> None:
    archive = an_archive(hostile, attempts=1, open_after_failures=1, rest_seconds=60)
    Circuit(archive, database, clock).failed(ArchiveUnreachable("away"))
    clock.now += timedelta(seconds=61)

    def come(_worker: int) -> bool:
        try:
            Circuit(archive, database, clock).enter()
        except ArchiveClosed:
            return False
        return True

    with ThreadPoolExecutor(8) as workers:
        assert list(workers.map(come, range(8))).count(True) == 1
    assert hostile.operations["echo"] == 1
    # A study that was on its way since before it opened proves nothing.
    Circuit(archive, database, clock).succeeded()
    assert database.archive_health("main").state == "half_open"


def test_an_answer_that_does_not_serve_us_closes_it(hostile: HostileArchive, database: LinkDatabase, clock: Clock) -> None:
    archive = an_archive(hostile, attempts=1, open_after_failures=1, rest_seconds=60)
    Circuit(archive, database, clock).failed(ArchiveUnreachable("away"))
    clock.now += timedelta(seconds=61)
    with pytest.raises(StudyRejected), Circuit(archive, database, clock).study():
        raise StudyRejected(Reason.AMBIGUOUS_STUDY)
    assert database.archive_health("main").state == "closed"
    with pytest.raises(ArchiveUnreachable), Circuit(archive, database, clock).study():
        raise ArchiveUnreachable("away")
    assert database.archive_health("main").state == "open"


def test_an_archive_that_does_not_even_answer_an_echo_rests_on(
    hostile: HostileArchive, database: LinkDatabase, clock: Clock
) -> None:
    archive = an_archive(hostile, attempts=1, open_after_failures=1, rest_seconds=60)
    one = Circuit(archive, database, clock)
    one.failed(ArchiveUnreachable("away"))
    hostile.stop()
    clock.now += timedelta(seconds=61)
    with pytest.raises(ArchiveUnreachable):
        one.enter()
    assert database.archive_health("main").state == "open"
    with pytest.raises(ArchiveClosed):
        one.enter()
    hostile.start()


def test_the_share_that_failed_within_the_window_opens_it(
    hostile: HostileArchive, database: LinkDatabase, clock: Clock
) -> None:
    archive = an_archive(hostile, open_after_failures=4, open_at_share=0.5, window_seconds=60)
    one = Circuit(archive, database, clock)

    def seen(*failed: bool) -> str:
        for this in failed:
            one.failed(ArchiveBusy("busy")) if this else one.succeeded()
        return database.archive_health("main").state

    assert seen(*[False, True, False] * 10) == "closed", "a third of them, and 10 in all"
    clock.now += timedelta(seconds=61)
    assert seen(True, True, True) == "closed", "so few tell nothing, and what was before is over"
    clock.now += timedelta(seconds=61)
    assert seen(True, False, True, False, True, False) == "closed"
    assert seen(True) == "open"
    assert seen(True, True) == "open", "what was on its way changes nothing"
    assert database.archive_health("main").failures == 4
    clock.now += timedelta(seconds=61)
    trial = Circuit(archive, database, clock)
    trial.enter()
    trial.succeeded()
    assert seen(True, True, True) == "closed", "counted anew"


def test_studies_that_stay_incomplete_open_it(
    hostile: HostileArchive, receiver: StorageReceiver, stage: Stage, database: LinkDatabase
) -> None:
    """It finds everything, says that all was sent, and sends nothing: its store is broken, and asking it more is no use."""
    hostile.send = send_nothing
    stage.enter(*map(a_request, STUDIES))
    archive = an_archive(hostile, attempts=1, settle_seconds=0, open_after_failures=3)
    told: list[TransientError] = []
    counts = stage.run(receiver, archive, parallel=1, on_trouble=told.append)
    assert (dict(counts.moved), counts.waiting) == ({"failed": 3}, len(STUDIES) - 3)
    assert (database.archive_health("main").state, database.archive_health("main").cause) == ("open", "incomplete")
    assert dict(counts.reasons) == {"incomplete": 3, "archive_closed": len(STUDIES) - 3}
    assert ["is left alone (incomplete)" in str(one) for one in told] == [True], "said once, and why"


@pytest.mark.parametrize(
    "error", [ArchiveClosed(""), StorageFull(""), DatabaseUnavailable(""), ArchiveMisconfigured(""), ValueError()]
)
def test_what_says_nothing_about_the_archive_does_not_count(
    hostile: HostileArchive, database: LinkDatabase, clock: Clock, error: Exception
) -> None:
    one = Circuit(an_archive(hostile, open_after_failures=1), database, clock)
    one.failed(error)
    assert database.archive_health("main").state == "closed"


def test_the_managers_switch(
    hostile: HostileArchive, receiver: StorageReceiver, stage: Stage, clock: Clock, tmp_path: Path, database: LinkDatabase
) -> None:
    where = ["--database", f"sqlite:///{tmp_path / 'link.sqlite'}"]

    def type_(*words: str) -> str:
        result = CliRunner().invoke(main, ["archive", *words, *where])
        assert result.exit_code == 0, result.output
        return result.output

    type_("stop", "main", "--cause", "upgrade")
    stage.enter(*map(a_request, STUDIES))
    counts = stage.run(receiver, an_archive(hostile))
    assert counts.waiting == len(STUDIES)
    assert not hostile.operations
    assert {(one.state, one.attempts) for one in stage.requests()} == {(RequestState.REQUESTED, 0)}
    Circuit(an_archive(hostile), database, clock).succeeded()
    Circuit(an_archive(hostile), database, clock).failed(ArchiveBusy("busy"))
    state = json.loads(type_("status", "main", "--json"))
    assert (state["state"], state["cause"]) == ("stopped", "upgrade")
    with pytest.raises(ArchiveClosed, match=r"upgrade.*safelight archive resume"):
        Circuit(an_archive(hostile), database, clock).enter()

    type_("resume", "main")
    assert "closed" in type_("status", "main")
    clock.now += timedelta(hours=2)
    assert dict(stage.run(receiver, an_archive(hostile)).moved) == {"retrieved": len(STUDIES)}


def test_a_cached_study_needs_no_archive(
    hostile: HostileArchive, receiver: StorageReceiver, stage: Stage, clock: Clock, database: LinkDatabase
) -> None:
    stage.enter(a_request(STUDIES[0]))
    stage.run(receiver, an_archive(hostile))
    circuit.stop(database, "main", cause="night", clock=clock)
    stage.enter(a_request(STUDIES[0], accession_number="CANARYOTHER"))
    assert dict(stage.run(receiver, an_archive(hostile)).moved) == {"retrieved": 1}
