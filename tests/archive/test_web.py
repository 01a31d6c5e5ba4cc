"""DICOMweb archives: what a request shows after each thing that one can do wrong, and how we get in."""

from __future__ import annotations

import itertools
import ssl
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safelight.archive.intake import Intake
from safelight.archive.web import WebService
from safelight.errors import ArchiveBusy, ArchiveMisconfigured, ArchiveUnreachable, StudyRejected
from safelight.model import Reason
from tests.archive import hostile_web as ways
from tests.archive.conftest import Stage, a_request, an_archive
from tests.archive.hostile_web import HostileWebArchive
from tests.archive.studies import Study
from tests.archive.test_hostile import check, once
from tests.services.certificates import Authority, Certificate
from tests.services.orthanc import Orthanc
from tests.services.process import free_port

STUDY, OTHER = Study(1), Study(2, series=(2,), patient=2)


@pytest.fixture
def hostile() -> Iterator[HostileWebArchive]:
    with HostileWebArchive([STUDY, OTHER]) as archive:
        yield archive


@pytest.fixture
def intake(stage: Stage) -> Iterator[Intake]:
    intake = Intake(stage.cache.spool)
    yield intake
    intake.close()


def web(archive: HostileWebArchive, **use: Any) -> Any:
    return an_archive(WebService(archive.url), retrieve="dicomweb", **use)


def test_a_well_behaved_archive(hostile: HostileWebArchive, intake: Intake, stage: Stage) -> None:
    stage.enter(a_request(STUDY), a_request(OTHER))
    assert dict(stage.run(intake, web(hostile)).moved) == {"retrieved": 2}
    check(stage.cache, STUDY, OTHER)
    asked = len(hostile.requests)
    stage.enter(a_request(STUDY, accession_number="CANARYAGAIN"))
    assert dict(stage.run(intake, web(hostile)).moved) == {"retrieved": 1}
    assert len(hostile.requests) == asked


def test_nothing_listens_and_nothing_is_left(hostile: HostileWebArchive, intake: Intake, stage: Stage) -> None:
    stage.enter(a_request(STUDY))
    stage.run(intake, web(hostile))
    intake.close()
    assert not list(stage.cache.spool.iterdir())


@pytest.mark.parametrize("body", [ways.twice, ways.cut, ways.truncated, ways.nothing])
def test_a_bad_body_is_asked_for_again(hostile: HostileWebArchive, intake: Intake, stage: Stage, body: Any) -> None:
    hostile.body = once(ways.whole, body)
    stage.enter(a_request(STUDY))
    assert dict(stage.run(intake, web(hostile, settle_seconds=0.05)).moved) == {"retrieved": 1}
    assert stage.only().announced == stage.only().received == len(STUDY.sop_uids)
    check(stage.cache, STUDY)
    if body is ways.cut:
        (*_, last) = [path for path, query in hostile.requests if not query]
        assert last.endswith(f"/instances/{list(hostile.files)[len(STUDY.sop_uids) - 1]}")


def test_a_malformed_header_puts_no_address_into_the_log(
    hostile: HostileWebArchive, intake: Intake, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    hostile.content_type += "\r\nThis is no header."
    stage.enter(a_request(STUDY))
    assert dict(stage.run(intake, web(hostile)).moved) == {"retrieved": 1}
    assert "/studies/" not in caplog.text


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_errors_are_tried_again(hostile: HostileWebArchive, intake: Intake, stage: Stage, status: int) -> None:
    numbers = itertools.count(1)
    hostile.on_request = lambda _path: status if next(numbers) % 3 == 1 else None
    stage.enter(a_request(STUDY), a_request(OTHER))
    assert dict(stage.run(intake, web(hostile)).moved) == {"retrieved": 2}
    check(stage.cache, STUDY, OTHER)


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, ArchiveMisconfigured), (401, ArchiveMisconfigured), (302, ArchiveMisconfigured), (503, ArchiveBusy),
     (500, ArchiveUnreachable)],
)  # fmt: skip
def test_errors_say_what_to_do_and_show_nothing(hostile: HostileWebArchive, status: int, error: type[Exception]) -> None:
    hostile.on_request = lambda _path: status
    with pytest.raises(error) as caught:
        web(hostile, attempts=2).find_study(a_request(STUDY, study_uid=""))
    assert len(hostile.requests) == (1 if error is ArchiveMisconfigured else 2)
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_address_that_is_no_dicomweb_service(hostile: HostileWebArchive, intake: Intake, stage: Stage) -> None:
    hostile.content_type = "text/html"
    stage.enter(a_request(STUDY))
    with pytest.raises(ArchiveMisconfigured, match="no DICOM file"):
        stage.run(intake, web(hostile))
    assert stage.claim() == [stage.only().id]
    with pytest.raises(ArchiveUnreachable):
        an_archive(WebService(f"http://localhost:{free_port()}"), retrieve="dicomweb", attempts=1).echo()
    with pytest.raises(ArchiveMisconfigured, match="address"):
        an_archive(WebService("http://"), retrieve="dicomweb").echo()


@pytest.mark.parametrize("path", ["web", "ssl-proxy/web"])
def test_an_address_that_speaks_of_tls_is_no_trouble_with_it(path: str) -> None:
    """What was asked for is part of the address, too."""
    archive = an_archive(WebService(f"http://localhost:{free_port()}/{path}"), retrieve="dicomweb", attempts=1)
    for _ in range(2):
        with pytest.raises(ArchiveUnreachable):
            archive.find_study(a_request(STUDY, study_uid="", accession_number="CANARYSSL"))


def test_a_search_goes_on_to_the_last_page(hostile: HostileWebArchive) -> None:
    hostile.page = 2
    found = web(hostile).find_instances(STUDY.uid)
    assert sorted(one.sop_uid for one in found) == sorted(STUDY.sop_uids)


MANY = Study(3, series=(150,), kilobytes=1)


def test_a_service_that_knows_no_pages_gives_everything_at_once() -> None:
    with HostileWebArchive([MANY]) as archive:
        archive.knows_pages = False
        for asked in (2, 4):
            assert len(web(archive, image_query_needs_series=False).find_instances(MANY.uid)) == 150
            assert len(archive.requests) == asked


@pytest.mark.parametrize(("limit", "warn"), [(100, False), (1000, True)])
def test_a_service_that_gives_the_first_page_again_costs_the_study(
    intake: Intake, stage: Stage, limit: int, warn: bool
) -> None:
    """What it has beyond that page would be missed."""
    with HostileWebArchive([MANY, OTHER]) as archive:
        archive.knows_pages, archive.page = False, limit
        archive.fields = {"Warning": "299 web: There are more."} if warn else {}
        stage.enter(a_request(MANY))
        counts = stage.run(intake, web(archive))
        assert dict(counts.reasons) == {Reason.INCOMPLETE.value: 1}
        check(stage.cache)


def test_a_search_goes_on_for_so_many_pages_and_no_more(hostile: HostileWebArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile.page = 1
    monkeypatch.setattr("safelight.archive.web._PAGES", len(STUDY.sop_uids) - 1)
    with pytest.raises(StudyRejected, match=Reason.INCOMPLETE.value):
        web(hostile, image_query_needs_series=False).find_instances(STUDY.uid)
    assert len(hostile.requests) == len(STUDY.sop_uids) - 1


@pytest.mark.parametrize("compressed", [False, True])
def test_an_answer_without_end_costs_the_study_and_no_memory(
    hostile: HostileWebArchive, intake: Intake, stage: Stage, compressed: bool
) -> None:
    sent = 0

    def endless(items: bytes) -> Iterator[bytes]:
        nonlocal sent
        squeeze = zlib.compressobj(wbits=31)
        more = itertools.repeat(b" " * (1 << 20), 512) if STUDY.uid.encode() in items else ()
        for piece in itertools.chain([items], more):
            sent += len(piece)
            yield squeeze.compress(piece) if compressed else piece
        yield squeeze.flush() if compressed else b""

    hostile.listed, hostile.fields = endless, {"Content-Encoding": "gzip"} if compressed else {}
    stage.enter(a_request(STUDY), a_request(OTHER))
    counts = stage.run(intake, web(hostile, attempts=1))
    assert dict(counts.moved) == {"retrieved": 1}
    assert counts.waiting == 1
    assert compressed or sent < 40 << 20
    check(stage.cache, OTHER)


@pytest.mark.parametrize("items", [b"[" * 100_000, b"{}", b"[1", b"\xff", b"1"])
def test_an_answer_that_is_no_list_is_not_understood(hostile: HostileWebArchive, items: bytes) -> None:
    hostile.listed = lambda _items: iter([items])
    with pytest.raises(ArchiveUnreachable, match="no DICOM JSON"):
        web(hostile, attempts=1).find_study(a_request(STUDY))


def test_a_body_whose_first_part_never_comes_is_cut(hostile: HostileWebArchive, intake: Intake, stage: Stage) -> None:
    sent = 0

    def endless(_files: list[bytes]) -> Iterator[bytes]:
        nonlocal sent
        for _ in range(512):
            sent += 1 << 20
            yield bytes(1 << 20)

    hostile.body = endless
    stage.enter(a_request(STUDY))
    assert stage.run(intake, web(hostile, attempts=1, settle_seconds=0.05)).waiting == 1
    assert sent < 100 << 20
    check(stage.cache)


def test_a_full_disk(hostile: HostileWebArchive, stage: Stage) -> None:
    intake = Intake(stage.cache.spool, reserve_bytes=1 << 62)
    stage.enter(a_request(STUDY))
    counts = stage.run(intake, web(hostile, settle_seconds=0.05))
    intake.close()
    assert (counts.waiting, stage.only().reason) == (1, Reason.STORAGE_FULL)
    assert len([path for path, query in hostile.requests if not query]) == 1
    check(stage.cache)


def test_one_request_one_operation(hostile: HostileWebArchive, intake: Intake, stage: Stage) -> None:
    archive, operations = web(hostile), itertools.count()
    archive.throttle.operation = lambda: next(operations)
    hostile.page, hostile.body = 2, once(ways.whole, ways.nothing)
    stage.enter(a_request(STUDY, series_uids=(STUDY.series_uid(0),)))
    stage.run(intake, archive)
    assert next(operations) == len(hostile.requests)


def test_a_refused_token_takes_two_operations(hostile: HostileWebArchive) -> None:
    hostile.on_request = lambda _path: 401 if len(hostile.requests) % 2 else None
    archive = an_archive(WebService(hostile.url, auth=lambda fresh: str(fresh)), retrieve="dicomweb")
    operations = itertools.count()
    archive.throttle.operation = lambda: next(operations)  # type: ignore[assignment, method-assign]
    for _ in range(2):
        archive.echo()
    assert next(operations) == len(hostile.requests) == 4


# -- how we get in


def test_passwords(orthanc: Orthanc) -> None:
    orthanc.upload(STUDY.files())
    right = WebService(orthanc.dicomweb_url, auth=(orthanc.username, orthanc.password))
    assert an_archive(right, retrieve="dicomweb").find_study(a_request(STUDY))
    for auth in (None, (orthanc.username, "CANARY")):
        with pytest.raises(ArchiveMisconfigured, match="credentials") as caught:
            an_archive(WebService(orthanc.dicomweb_url, auth=auth), retrieve="dicomweb").echo()
        assert "CANARY" not in str(caught.value) + repr(caught.value)


def test_tokens(hostile: HostileWebArchive) -> None:
    """One that has run out is renewed, once."""
    asked: list[bool] = []

    def give(*, fresh: bool) -> str:
        asked.append(fresh)
        return "new" if fresh else "old"

    archive = an_archive(WebService(hostile.url, auth=give), retrieve="dicomweb")
    archive.echo()
    hostile.on_request = lambda _path: 401 if hostile.headers[-1]["Authorization"] == "Bearer old" else None
    archive.echo()
    assert [one["Authorization"] for one in hostile.headers] == ["Bearer old", "Bearer old", "Bearer new"]
    assert asked == [False, False, True]
    hostile.on_request = lambda _path: 401
    with pytest.raises(ArchiveMisconfigured, match="credentials"):
        archive.echo()


@pytest.mark.parametrize(
    ("error", "expected"), [(PermissionError, ArchiveMisconfigured), (ConnectionError, ArchiveUnreachable)]
)
def test_without_a_token_nothing_is_sent(
    hostile: HostileWebArchive, error: type[Exception], expected: type[Exception]
) -> None:
    def give(*, fresh: bool) -> str:
        raise error("CANARY")

    with pytest.raises(expected) as caught:
        an_archive(WebService(hostile.url, auth=give), retrieve="dicomweb", attempts=1).echo()
    assert "CANARY" not in str(caught.value)
    assert not hostile.requests


def context(authority: Authority, certificate: Certificate, *, ask: bool = False) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.pem)
    if ask:
        tls.load_verify_locations(authority.bundle)
        tls.verify_mode = ssl.CERT_REQUIRED
    return tls


def test_tls(authority: Authority, tmp_path: Path) -> None:
    ours, stranger = authority.issue("safelight"), Authority(tmp_path / "other").issue("stranger")
    with HostileWebArchive([STUDY], tls=context(authority, authority.issue("web"), ask=True)) as archive:
        right = WebService(archive.url, ca=authority.bundle, certificate=(ours.certificate, ours.key))
        assert an_archive(right, retrieve="dicomweb").find_study(a_request(STUDY))
        wrong = [
            WebService(archive.url),
            WebService(archive.url, ca=authority.bundle),
            WebService(archive.url, ca=authority.bundle, certificate=(stranger.certificate, stranger.key)),
            WebService(archive.url, ca=tmp_path / "missing.pem"),
        ]
        for service in wrong:
            with pytest.raises(ArchiveMisconfigured, match="block"):
                an_archive(service, retrieve="dicomweb").echo()
    with (
        HostileWebArchive([STUDY], tls=context(authority, authority.issue("old", days=-1))) as archive,
        pytest.raises(ArchiveMisconfigured, match="expired"),
    ):
        an_archive(WebService(archive.url, ca=authority.bundle), retrieve="dicomweb").echo()
