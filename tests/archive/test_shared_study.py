"""One cached study that several have to do with: pushes, archives that differ, requests of other projects, checks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from safelight.archive import RawCache
from safelight.archive.cache import PUSHED
from safelight.archive.intake import SUCCESS, Intake
from safelight.archive.push import Inbox, PushedStudy
from safelight.link import CachedStudy
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


def test_an_archive_that_has_less_takes_nothing_from_the_index(
    intake: Intake, holding: Pretend, stage: Stage, cache: RawCache
) -> None:
    stage.enter(a_request(LONGER))
    stage.run(intake, an_archive(holding(LONGER), "first"))
    assert counted(stage) == [(RequestState.RETRIEVED, 6, 6)]
    stage.enter(a_request(LONGER, accession_number="another"))
    stage.run(intake, an_archive(holding(STUDY), "second", ask_for_cached=True))
    assert counted(stage)[1] == (RequestState.RETRIEVED, 5, 5)
    assert len(cache.paths(LONGER.uid)) == 6


def test_what_was_pushed_to_a_whole_study_stays_when_its_archive_is_asked_again(
    inbox: Inbox, intake: Intake, holding: Pretend, stage: Stage, cache: RawCache
) -> None:
    archive = holding(STUDY)
    stage.enter(a_request(STUDY))
    stage.run(intake, an_archive(archive))
    pushed, late = push(inbox, LONGER, (2, 0))
    assert late
    stage.enter(request := pushed.request_for_series(PROJECT))
    for accession in ("2", "3"):
        stage.enter(a_request(STUDY, accession_number=accession))
        stage.run(intake, an_archive(archive, ask_for_cached=True))
        assert len(cache.paths(STUDY.uid)) == 6
        assert len(cache.paths(STUDY.uid, request.series_uids)) == 1
    assert counted(stage) == [(RequestState.RETRIEVED, count, count) for count in (5, 1, 5, 5)]


def test_a_check_of_the_cache_leaves_alone_what_was_mended_meanwhile(
    intake: Intake, holding: Pretend, stage: Stage, cache: RawCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged, taken_over, abandoned = STUDY, Study(701, series=(2,)), Study(702, series=(1,))
    stage.enter(a_request(damaged))
    stage.run(intake, an_archive(holding(damaged)))
    cache.paths(damaged.uid)[0].write_bytes(b"damaged")
    for study in (taken_over, abandoned):
        folder = left_by_a_killed_run(cache, study, *((0, number) for number in range(study.series[0])))
        for path in (*folder.iterdir(), folder):
            os.utime(path, (1, 1))
    read = stage.database.cache_studies

    def read_while_a_run_goes_on() -> Iterator[CachedStudy]:
        yield from read()
        for study in (LONGER, taken_over):
            stage.enter(a_request(study, accession_number="meanwhile"))
            stage.run(intake, an_archive(holding(study)))

    monkeypatch.setattr(stage.database, "cache_studies", read_while_a_run_goes_on)
    found = cache.verify()
    assert (found.studies, found.intact, found.repaired, found.orphans_removed) == (1, 1, 0, 1)
    monkeypatch.undo()
    assert [len(cache.paths(study.uid)) for study in (LONGER, taken_over)] == [6, 2]
    assert all(study.complete for study in read())
    assert not cache.study_folder(abandoned.uid).exists()
    again = cache.verify()
    assert (again.studies, again.intact, again.repaired, again.orphans_removed) == (2, 2, 0, 0)
