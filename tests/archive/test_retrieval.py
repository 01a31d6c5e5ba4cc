"""From requests to studies in the raw cache, from real archives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from safelight.archive import RawCache, StorageReceiver
from safelight.archive.batch import RetrievalProgress
from safelight.errors import ArchiveMisconfigured
from safelight.link import LinkDatabase
from safelight.model import Reason, RequestState
from tests.archive.conftest import Clock, Stage, a_request, an_archive
from tests.archive.studies import Study
from tests.services.orthanc import Orthanc, Peer
from tests.services.process import free_port

Start = Callable[..., StorageReceiver]
STUDY = Study(1)


def upload(archive: Any, folder: Path, *studies: Study) -> None:
    files = []
    for study in studies:
        for index, content in enumerate(study.files()):
            path = folder / f"upload-{study.number}-{index}.dcm"
            path.write_bytes(content)
            files.append(path)
    archive.upload(files)


def cached_uids(cache: RawCache, study: Study) -> list[str]:
    return sorted(str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in cache.paths(study.uid))


def test_a_study_arrives_whole(real_archive: Any, stage: Stage, start_receiver: Start, tmp_path: Path) -> None:
    upload(real_archive, tmp_path, STUDY, Study(2))
    receiver = start_receiver(real_archive)
    stage.enter(a_request(STUDY))
    progress: list[RetrievalProgress] = []

    counts = stage.run(receiver, an_archive(real_archive), on_progress=progress.append)

    assert (counts.taken, dict(counts.moved), counts.waiting) == (1, {"retrieved": 1}, 0)
    request = stage.only()
    assert (request.state, request.archive, request.located_study_uid) == (RequestState.RETRIEVED, "main", STUDY.uid)
    assert request.announced == request.received == len(STUDY.sop_uids)
    assert cached_uids(stage.cache, STUDY) == sorted(STUDY.sop_uids)
    assert progress[-1].state == "retrieved"
    for path in stage.cache.paths(STUDY.uid):
        sent = next(one for one in STUDY.files() if dcmread(path).SOPInstanceUID.encode() in one)
        assert dcmread(path).PixelData in sent


def test_nothing_in_the_cache_is_named_after_anything(
    orthanc: Orthanc, stage: Stage, start_receiver: Start, cache: RawCache
) -> None:
    orthanc.upload(STUDY.files())
    stage.enter(a_request(STUDY))
    stage.run(start_receiver(orthanc), an_archive(orthanc))
    names = " ".join(str(path.relative_to(cache.folder)) for path in cache.folder.rglob("*"))
    assert len(cache.paths(STUDY.uid)) == len(STUDY.sop_uids)
    for canary in [*STUDY.canaries(), *STUDY.sop_uids]:
        assert canary not in names
    assert not list(cache.spool.rglob("*.part"))


def test_the_second_time_costs_the_archive_nothing(
    orthanc: Orthanc, stage: Stage, start_receiver: Start, cache: RawCache
) -> None:
    orthanc.upload(STUDY.files())
    receiver = start_receiver(orthanc)
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(orthanc))
    before = {path: path.stat().st_mtime_ns for path in cache.paths(STUDY.uid)}
    stage.enter(a_request(STUDY, accession_number="CANARYOTHER"))

    counts = stage.run(receiver, an_archive(Peer("GONE", free_port())))

    assert dict(counts.moved) == {"retrieved": 1}
    second = stage.requests()[1]
    assert (second.state, second.archive) == (RequestState.RETRIEVED, "main")
    assert second.announced == second.received == len(STUDY.sop_uids)
    assert {path: path.stat().st_mtime_ns for path in cache.paths(STUDY.uid)} == before


def test_a_cached_study_of_another_patient_is_not_given_out(orthanc: Orthanc, stage: Stage, start_receiver: Start) -> None:
    orthanc.upload(STUDY.files())
    receiver = start_receiver(orthanc)
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(orthanc))
    stage.enter(a_request(STUDY, mrn="CANARYSOMEONE"))
    stage.run(receiver, an_archive(orthanc))
    second = stage.requests()[1]
    assert (second.state, second.reason) == (RequestState.QUARANTINED, Reason.PATIENT_MISMATCH)


def test_another_count_in_the_archive_fetches_only_what_is_new(
    orthanc: Orthanc, stage: Stage, start_receiver: Start, cache: RawCache
) -> None:
    orthanc.upload(STUDY.files())
    receiver = start_receiver(orthanc)
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(orthanc))
    before = {path: path.stat().st_mtime_ns for path in cache.paths(STUDY.uid)}
    longer = replace(STUDY, series=(3, 4))
    orthanc.upload(longer.files())
    # By accession number, so that the archive is asked and reports its count.
    stage.enter(a_request(STUDY, study_uid=""))
    stage.run(receiver, an_archive(orthanc))
    assert cached_uids(cache, STUDY) == sorted(longer.sop_uids)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_whether_a_cached_study_has_grown_is_asked_where_the_project_says_so(
    orthanc: Orthanc, stage: Stage, start_receiver: Start, cache: RawCache, clock: Clock
) -> None:
    orthanc.upload(STUDY.files())
    receiver = start_receiver(orthanc)
    longer = replace(STUDY, series=(3, 4))
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(orthanc))
    orthanc.upload(longer.files())
    for number, (ask, expected) in enumerate(((False, STUDY), (True, longer))):
        stage.enter(a_request(STUDY, accession_number=f"CANARY{number}"))
        stage.run(receiver, an_archive(orthanc, ask_for_cached=ask))
        assert cached_uids(cache, STUDY) == sorted(expected.sop_uids)
    # It is used all the same where the archive can't be asked, or has lost it.
    orthanc.clear()
    gone = an_archive(Peer("GONE", free_port()), "gone", attempts=1, ask_for_cached=True)
    for number, archive in enumerate((gone, an_archive(orthanc, ask_for_cached=True))):
        stage.enter(a_request(STUDY, accession_number=f"CANARYGONE{number}"))
        assert dict(stage.run(receiver, archive).moved) == {"retrieved": 1}
    assert {one.received for one in stage.requests()[2:]} == {len(longer.sop_uids)}


def test_by_accession_number_when_the_uid_is_not_there(
    real_archive: Any, stage: Stage, start_receiver: Start, tmp_path: Path
) -> None:
    upload(real_archive, tmp_path, STUDY)
    stage.enter(a_request(STUDY, study_uid="1.2.3.999"))
    stage.run(start_receiver(real_archive), an_archive(real_archive))
    assert (stage.only().state, stage.only().located_study_uid) == (RequestState.RETRIEVED, STUDY.uid)


def test_only_the_series_asked_for(real_archive: Any, stage: Stage, start_receiver: Start, tmp_path: Path) -> None:
    upload(real_archive, tmp_path, STUDY)
    receiver = start_receiver(real_archive)
    stage.enter(a_request(STUDY, series_uids=(STUDY.series_uid(1),)))
    stage.run(receiver, an_archive(real_archive))
    request = stage.only()
    assert (request.state, request.announced, request.received) == (RequestState.RETRIEVED, STUDY.series[1], STUDY.series[1])
    of_series = [uid for uid in STUDY.sop_uids if uid.startswith(STUDY.series_uid(1))]
    assert cached_uids(stage.cache, STUDY) == sorted(of_series)

    # The other series comes in later, beside it; then the whole study, for which nothing is missing.
    stage.enter(a_request(STUDY, series_uids=(STUDY.series_uid(0),)))
    stage.run(receiver, an_archive(real_archive))
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(real_archive))
    assert [one.state for one in stage.requests()] == [RequestState.RETRIEVED] * 3
    assert cached_uids(stage.cache, STUDY) == sorted(STUDY.sop_uids)
    assert len(stage.cache.paths(STUDY.uid, [STUDY.series_uid(0)])) == STUDY.series[0]


def test_a_series_that_does_not_exist(orthanc: Orthanc, stage: Stage, start_receiver: Start) -> None:
    orthanc.upload(STUDY.files())
    stage.enter(a_request(STUDY, series_uids=("1.2.3.4",)), a_request(STUDY, series_uids=(STUDY.series_uid(0), "1.2.3.4")))
    stage.run(start_receiver(orthanc), an_archive(orthanc))
    first, second = stage.requests()
    assert (first.state, first.reason) == (RequestState.NOT_FOUND, Reason.NOT_IN_ANY_ARCHIVE)
    assert (second.state, second.reason) == (RequestState.FAILED, Reason.INCOMPLETE)


def test_the_second_archive_is_asked_when_the_first_has_it_not(
    orthanc: Orthanc, second_orthanc: Orthanc, stage: Stage, start_receiver: Start
) -> None:
    other = Study(2, series=(2,))
    orthanc.upload(STUDY.files())
    second_orthanc.upload(other.files())
    receiver = start_receiver(orthanc, second_orthanc)
    stage.enter(a_request(STUDY), a_request(other), a_request(Study(3)))
    counts = stage.run(receiver, an_archive(orthanc, "primary"), an_archive(second_orthanc, "secondary"))
    assert dict(counts.moved) == {"retrieved": 2, "not_found": 1}
    assert [one.archive for one in stage.requests()] == ["primary", "secondary", ""]
    assert stage.requests()[2].reason is Reason.NOT_IN_ANY_ARCHIVE


def test_not_found_is_not_said_while_an_archive_is_away(
    orthanc: Orthanc, stage: Stage, start_receiver: Start, clock: Clock
) -> None:
    orthanc.upload(STUDY.files())
    gone = an_archive(Peer("GONE", free_port()), "primary")
    receiver = start_receiver(orthanc)
    stage.enter(a_request(STUDY), a_request(Study(3)))
    counts = stage.run(receiver, gone, an_archive(orthanc, "secondary"), max_attempts=2)
    assert (dict(counts.moved), counts.waiting) == ({"retrieved": 1}, 1)
    waiting = stage.requests()[1]
    assert (waiting.state, waiting.reason, waiting.attempts) == (RequestState.REQUESTED, Reason.ARCHIVE_UNREACHABLE, 1)
    assert stage.claim() == []

    clock.now += 3 * (clock.now - clock.now.replace(hour=11))
    counts = stage.run(receiver, gone, an_archive(orthanc, "secondary"), max_attempts=2)
    assert dict(counts.moved) == {"failed": 1}
    assert stage.requests()[1].reason is Reason.ARCHIVE_UNREACHABLE


def test_the_patient_must_be_the_requests(orthanc: Orthanc, stage: Stage, start_receiver: Start) -> None:
    orthanc.upload(STUDY.files())
    stage.enter(a_request(STUDY, mrn="CANARYSOMEONE"), a_request(STUDY, mrn=STUDY.mrn.lstrip("0")))
    stage.run(start_receiver(orthanc), an_archive(orthanc))
    assert {(one.state, one.reason) for one in stage.requests()} == {(RequestState.QUARANTINED, Reason.PATIENT_MISMATCH)}
    assert not list(stage.cache.folder.rglob("*.dcm"))


def test_ambiguity_is_resolved_by_rule_or_set_aside(
    real_archive: Any, stage: Stage, start_receiver: Start, tmp_path: Path
) -> None:
    """Also at an archive that does not say which modalities a study has."""
    same = {"AccessionNumber": "CANARYSHARED"}
    ct, us = Study(11, overrides=same), Study(12, overrides=same, modality="US")
    later = Study(13, overrides=same, when=STUDY.when.replace(day=9))
    upload(real_archive, tmp_path, ct, us, later)
    receiver = start_receiver(real_archive)
    shared = {"study_uid": "", "accession_number": "CANARYSHARED"}
    stage.enter(a_request(later, **shared))
    stage.run(receiver, an_archive(real_archive))
    assert stage.requests()[0].located_study_uid == later.uid

    stage.enter(a_request(ct, **shared, series_uids=(ct.series_uid(0),)))
    stage.run(receiver, an_archive(real_archive))
    assert stage.requests()[1].reason is Reason.AMBIGUOUS_STUDY

    stage.enter(a_request(us, **shared, series_uids=(us.series_uid(0),)))
    stage.run(receiver, an_archive(real_archive), modalities=("US",))
    assert stage.requests()[2].located_study_uid == us.uid


def test_a_refused_value_sets_the_request_aside(orthanc: Orthanc, stage: Stage, start_receiver: Start) -> None:
    stage.enter(a_request(STUDY, study_uid="", accession_number="CANARY*"))
    stage.run(start_receiver(orthanc), an_archive(orthanc))
    assert (stage.only().state, stage.only().reason) == (RequestState.QUARANTINED, Reason.BAD_VALUE)


def test_what_a_killed_run_had_received_is_not_fetched_again(
    real_archive: Any, stage: Stage, start_receiver: Start, cache: RawCache, database: LinkDatabase, tmp_path: Path
) -> None:
    upload(real_archive, tmp_path, STUDY)
    receiver = start_receiver(real_archive)
    stage.enter(a_request(STUDY))
    stage.run(receiver, an_archive(real_archive))
    # As if the index entry had not been written, and one file had not arrived and one only in part.
    database.cache_drop(STUDY.uid)
    files = sorted(cache.study_folder(STUDY.uid).iterdir())
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-10])
    kept = {path: path.stat().st_mtime_ns for path in files[2:]}
    stage.enter(a_request(STUDY, accession_number="CANARYOTHER"))
    counts = stage.run(receiver, an_archive(real_archive))
    assert dict(counts.moved) == {"retrieved": 1}
    assert cached_uids(cache, STUDY) == sorted(STUDY.sop_uids)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_destination_that_the_archive_does_not_know(
    dcmqrscp: Any, stage: Stage, start_receiver: Start, cache: RawCache, tmp_path: Path
) -> None:
    upload(dcmqrscp, tmp_path, STUDY)
    stage.enter(a_request(STUDY), a_request(Study(2)))
    with (
        StorageReceiver("NOBODY", "127.0.0.1", 0, cache.spool, [dcmqrscp]) as receiver,
        pytest.raises(ArchiveMisconfigured, match="NOBODY"),
    ):
        stage.run(receiver, an_archive(dcmqrscp))
    assert {one.state for one in stage.requests()} <= {RequestState.REQUESTED, RequestState.LOCATED, RequestState.NOT_FOUND}
    assert stage.claim(), "the leases were given back"


def test_a_destination_that_the_archive_has_wrong(orthanc: Orthanc, stage: Stage, cache: RawCache) -> None:
    """Orthanc answers C000 to anything that goes wrong; that it never called us tells."""
    orthanc.upload(STUDY.files())
    stage.enter(a_request(STUDY))
    with (
        StorageReceiver("SAFELIGHT", "127.0.0.1", 0, cache.spool, [orthanc]) as receiver,
        pytest.raises(ArchiveMisconfigured, match="never called our receiver"),
    ):
        stage.run(receiver, an_archive(orthanc, attempts=1))
    assert stage.only().state is RequestState.LOCATED
    assert stage.claim() == [stage.only().id]


def test_many_requests_at_once(orthanc: Orthanc, stage: Stage, start_receiver: Start) -> None:
    studies = [Study(100 + number, series=(2, 1), patient=number % 3) for number in range(12)]
    orthanc.upload([content for study in studies for content in study.files()])
    stage.enter(*map(a_request, studies))
    counts = stage.run(start_receiver(orthanc), an_archive(orthanc), parallel=4)
    assert dict(counts.moved) == {"retrieved": 12}
    assert [cached_uids(stage.cache, study) for study in studies] == [sorted(study.sop_uids) for study in studies]


def test_who_opts_out_while_the_study_is_fetched_stops_nothing(
    orthanc: Orthanc, stage: Stage, start_receiver: Start, tmp_path: Path
) -> None:
    """The national opt-out is read by another worker, at any moment: here when the first instance has arrived."""
    other = Study(2, patient=2)
    upload(orthanc, tmp_path, STUDY, other)
    leaving, staying = a_request(STUDY), a_request(other)
    stage.enter(leaving, staying)

    def leave(progress: RetrievalProgress) -> None:
        if progress.instances:
            stage.database.withdraw_patient(leaving.project, leaving.mrn, actor="governance")

    counts = stage.run(start_receiver(orthanc), an_archive(orthanc), on_progress=leave)
    assert {request.mrn: request.state for request in stage.requests()} == {
        leaving.mrn: RequestState.OPTED_OUT,
        staying.mrn: RequestState.RETRIEVED,
    }
    assert (counts.taken, counts.waiting) == (2, 1)
