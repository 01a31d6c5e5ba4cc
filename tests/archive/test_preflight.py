"""Pre-flight: what retrieval would bring and take, at real archives, without an image."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from safelight.archive.intake import Intake
from safelight.archive.preflight import Preflight, foresee
from safelight.model import Reason, RequestState
from tests.archive.conftest import NOON, PROJECT, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive
from tests.archive.studies import Study
from tests.services.orthanc import Orthanc, Peer
from tests.services.process import free_port

STUDY, MR = Study(1), Study(2, series=(4,), modality="MR")


def look(stage: Stage, *archives: Any, **more: Any) -> Preflight:
    return foresee(PROJECT, database=stage.database, archives=archives, cache=stage.cache, clock=stage.clock, **more)


@pytest.mark.parametrize("real_archive", ["orthanc c-move", "orthanc dicomweb"], indirect=True)
def test_everything_is_counted_and_nothing_moves(real_archive: Any, stage: Stage) -> None:
    shared = {"AccessionNumber": "CANARYSHARED"}
    twins = [Study(11, overrides=shared), Study(12, overrides=shared)]
    studies = [STUDY, MR, *twins]
    real_archive.archive.upload([file for study in studies for file in study.files()])
    series = STUDY.series_uid(1)
    stage.enter(
        a_request(STUDY, series_uids=(series,)),
        a_request(MR),
        a_request(MR, accession_number="CANARYAGAIN"),
        a_request(Study(3)),
        a_request(MR, mrn="CANARYSOMEONE", procedure_occurrence_id=78),
        a_request(twins[0], study_uid="", accession_number="CANARYSHARED"),
        a_request(MR, study_uid="", accession_number="CANARY*", procedure_occurrence_id=79),
        a_request(STUDY, series_uids=("1.2.3.4",), procedure_occurrence_id=80),
    )
    before = [(one.state, one.attempts) for one in stage.requests()]

    for _ in range(2):
        result = look(stage, an_archive(real_archive))
        assert (result.requests, result.looked_at, result.found, result.repeated) == (8, 8, 3, 1)
        assert (result.missing, result.unknown, result.cached) == (2, 0, 0)
        assert result.set_aside == {Reason.PATIENT_MISMATCH: 1, Reason.AMBIGUOUS_STUDY: 1, Reason.BAD_VALUE: 1}
        work = result.archives["main"]
        assert (work.studies, work.series, work.instances) == (2, 2, STUDY.series[1] + MR.series[0])
        assert work.bytes == STUDY.series[1] * 530_000 + MR.series[0] * 300_000
        assert result.found + result.missing + result.unknown + result.set_aside.total() == result.looked_at
    assert [(one.state, one.attempts) for one in stage.requests()] == before
    assert not list(stage.cache.folder.rglob("*.dcm"))


def test_what_the_cache_has_costs_nothing(orthanc: Orthanc, stage: Stage) -> None:
    orthanc.upload([*STUDY.files(), *MR.files()])
    archive = an_archive(orthanc, retrieve="c-get")
    stage.enter(a_request(STUDY))
    intake = Intake(stage.cache.spool)
    stage.run(intake, archive)
    intake.close()
    stage.enter(a_request(STUDY, accession_number="CANARYAGAIN"), a_request(MR))
    result = look(stage, archive)
    assert (result.requests, result.found, result.cached) == (2, 2, 1)
    assert result.cached_instances == len(STUDY.sop_uids)
    assert result.cached_bytes == sum(path.stat().st_size for path in stage.cache.paths(STUDY.uid))
    assert result.archives["main"].studies == 1

    # Nothing but what the cache has: no archive is asked, and it is done at once.
    again = look(stage, an_archive(Peer("GONE", free_port())))
    assert (again.cached, again.unknown) == (1, 1)


def test_the_end_is_that_of_the_budget_and_the_hours(receiver_peer: Peer, stage: Stage) -> None:
    studies = [Study(100 + number, series=(2, 1)) for number in range(10)]
    archive = HostileArchive(studies, receiver_peer).start()
    stage.enter(*map(a_request, studies))
    try:
        # 10 studies of 2 series: 50 operations; of 3 instances that nobody counts: 10 MB as CT.
        slow = look(stage, an_archive(archive, budget={"operations_per_second": 0.5}))
        assert slow.archives["main"].operations == 50
        assert slow.expected_end == NOON + timedelta(seconds=100)
        narrow = look(stage, an_archive(archive, budget={"operations_per_second": 1000, "megabytes_per_second": 0.1}))
        assert narrow.expected_end == NOON + timedelta(seconds=narrow.archives["main"].bytes / 1e5)
        nights = {"time_zone": "UTC", "periods": [{"opens": "20:00", "closes": "06:00"}]}
        at_night = look(stage, an_archive(archive, hours=nights, budget={"operations_per_second": 0.5}))
        assert at_night.expected_end == NOON.replace(hour=20) + timedelta(seconds=100)
    finally:
        archive.stop()


def test_a_sample_stands_for_all(receiver_peer: Peer, stage: Stage) -> None:
    studies = [Study(100 + number, series=(1,)) for number in range(20)]
    archive = HostileArchive(studies[::2], receiver_peer).start()
    stage.enter(*map(a_request, studies))
    progress: list[tuple[int, int]] = []
    try:
        result = look(
            stage,
            an_archive(archive, budget={"operations_per_second": 1}),
            at_most=7,
            on_progress=lambda done, total: progress.append((done, total)),
        )
        asked = archive.operations["association"]
    finally:
        archive.stop()
    assert (result.requests, result.looked_at) == (20, 7)
    assert result.found + result.missing == 7
    assert progress == [(number, 7) for number in range(1, 8)]
    assert asked == 1, "one association for all"
    seconds = result.archives["main"].operations * 20 / 7
    assert result.expected_end == NOON + timedelta(seconds=seconds)


def test_an_archive_that_counts_nothing(dcmqrscp: Any, stage: Stage, tmp_path: Any) -> None:
    files = []
    for number, content in enumerate(STUDY.files()):
        files.append(tmp_path / f"{number}.dcm")
        files[-1].write_bytes(content)
    dcmqrscp.upload(files)
    stage.enter(a_request(STUDY))
    work = look(stage, an_archive(dcmqrscp)).archives["main"]
    assert (work.studies, work.series) == (1, 2)
    assert work.instances > 0


def test_nobody_knows_while_an_archive_is_away(orthanc: Orthanc, stage: Stage) -> None:
    orthanc.upload(STUDY.files())
    gone = an_archive(Peer("GONE", free_port()), "gone", attempts=1)
    stage.enter(a_request(STUDY), a_request(Study(3)))
    result = look(stage, gone, an_archive(orthanc))
    assert (result.found, result.missing, result.unknown) == (1, 0, 1)
    assert {one.state for one in stage.requests()} == {RequestState.REQUESTED}
