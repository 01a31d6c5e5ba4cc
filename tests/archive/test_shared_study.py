"""One cached study that several have to do with: pushes, archives that differ, requests of other projects, checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from safelight.archive import RawCache
from safelight.archive.cache import PUSHED
from safelight.archive.intake import SUCCESS, Intake
from safelight.archive.push import Inbox, PushedStudy
from safelight.model import Reason, RequestState
from tests.archive.conftest import PROJECT, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive, send_all
from tests.archive.studies import CT, Study

STUDY, LONGER = Study(700, series=(3, 2)), Study(700, series=(3, 2, 1))
Pretend = Callable[[Study], HostileArchive]


@pytest.fixture
def intake(cache: RawCache) -> Iterator[Intake]:
    intake = Intake(cache.spool)
    yield intake
    intake.close()


@pytest.fixture
def inbox(cache: RawCache) -> Inbox:
    return Inbox(cache, PROJECT)


@pytest.fixture
def holding() -> Iterator[Pretend]:
    """Start an archive that holds a study, and counts it."""
    running: list[HostileArchive] = []

    def start(study: Study) -> HostileArchive:
        archive = HostileArchive([study], None, "c-get").start()
        archive.count = len(study.sop_uids)
        running.append(archive)
        return archive

    yield start
    for archive in running:
        archive.stop()


def push(inbox: Inbox, study: Study, *instances: tuple[int, int]) -> tuple[PushedStudy, bool]:
    """Push instances of a study, and keep it; also returns whether they came late."""
    for series, number in instances:
        part = inbox.begin("MODALITY")
        part.write(study.file(series, number))
        assert inbox.finish(part, CT, study.sop_uid(series, number)) == SUCCESS
    (pushed,) = inbox.complete(quiet_seconds=0, now=datetime(2100, 1, 1, tzinfo=UTC))
    late = inbox.keep(pushed)
    inbox.done(pushed)
    return pushed, late


def left_by_a_killed_run(cache: RawCache, study: Study, *instances: tuple[int, int]) -> Path:
    """Files without an index entry."""
    folder = cache.study_folder(study.uid)
    folder.mkdir(parents=True)
    for series, number in instances:
        (folder / cache.file_name(study.sop_uid(series, number))).write_bytes(study.file(series, number))
    return folder


def counted(stage: Stage) -> list[tuple[RequestState, int, int]]:
    return [(one.state, one.received, one.announced) for one in stage.requests()]


def test_a_pushed_fragment_is_the_whole_study_for_its_push_only(
    inbox: Inbox, intake: Intake, holding: Pretend, stage: Stage, cache: RawCache
) -> None:
    archive = holding(STUDY)
    pushed, late = push(inbox, STUDY, (0, 0))
    assert not late
    stage.enter(pushed.request(PROJECT))
    stage.run(intake, an_archive(archive))
    assert counted(stage) == [(RequestState.RETRIEVED, 1, 1)]
    assert archive.asked == 0

    stage.enter(a_request(STUDY, accession_number="another"))
    for _ in range(2):
        stage.run(intake, an_archive(archive))
        assert counted(stage)[1] == (RequestState.RETRIEVED, 5, 5)
    assert sorted(uid for asked in archive.moved for uid in asked) == sorted(STUDY.sop_uids[1:]), "only what is missing"
    # Now an archive has proved it: for anyone, and at no cost.
    asked = archive.asked
    stage.enter(a_request(STUDY, accession_number="a third"))
    stage.run(intake, an_archive(archive))
    assert counted(stage)[2] == (RequestState.RETRIEVED, 5, 5)
    assert archive.asked == asked


def test_what_an_archive_owes_to_another_request_is_no_matter_of_a_push(
    inbox: Inbox, intake: Intake, holding: Pretend, stage: Stage, cache: RawCache
) -> None:
    archive = holding(STUDY)
    archive.send = lambda association, instances: send_all(association, instances[:1])
    pushed, _ = push(inbox, STUDY, (0, 0), (0, 1))
    stage.enter(a_request(STUDY, accession_number="another"))
    stage.run(intake, an_archive(archive, attempts=1, settle_seconds=0.1))
    assert stage.requests()[0].reason is Reason.INCOMPLETE
    kept = cache.get(STUDY.uid)
    assert kept is not None
    assert (kept.archive, kept.complete) == (PUSHED, True)
    stage.enter(pushed.request(PROJECT))
    asked = archive.asked
    stage.run(intake, an_archive(archive))
    assert counted(stage)[1][0] is RequestState.RETRIEVED
    assert archive.asked == asked


def test_what_a_killed_run_left_is_not_made_whole_by_a_push(
    inbox: Inbox, intake: Intake, holding: Pretend, stage: Stage, cache: RawCache
) -> None:
    left_by_a_killed_run(cache, STUDY, (0, 0), (0, 1))
    pushed, _ = push(inbox, STUDY, (1, 0))
    kept = cache.get(STUDY.uid)
    assert kept is not None
    assert (len(kept.instances), kept.complete) == (3, False)
    stage.enter(pushed.request(PROJECT))
    stage.run(intake, an_archive(holding(STUDY)))
    assert counted(stage) == [(RequestState.RETRIEVED, 5, 5)]
    # A listener that was killed between the files and their entry left what it was keeping, and nothing else.
    other = Study(701, series=(2,))
    left_by_a_killed_run(cache, other, (0, 0))
    push(inbox, other, (0, 0), (0, 1))
    again = cache.get(other.uid)
    assert again is not None
    assert (len(again.instances), again.complete) == (2, True)
