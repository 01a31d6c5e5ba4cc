"""What the tests of the archive stage share: a receiver, a cache, archives to ask, and a link database."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from safelight.archive import Archive, RawCache, StorageReceiver, Unlimited, locate_and_retrieve
from safelight.archive.intake import Intake
from safelight.archive.settings import ArchiveUse
from safelight.archive.web import WebService
from safelight.link import LinkDatabase, Request, StageCounts
from safelight.model import DicomPeer, RequestState, StudyRequest
from safelight.pseudonym import ProjectKey, Pseudonymizer
from tests.archive.studies import Study
from tests.services.orthanc import Peer

PROJECT = "chest-xr"
LEASE = timedelta(minutes=10)
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


class Clock:
    """Aware UTC that a test can move."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[LinkDatabase]:
    database = LinkDatabase(f"sqlite:///{tmp_path / 'link.sqlite'}", clock=clock)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def cache(tmp_path: Path, database: LinkDatabase) -> RawCache:
    return RawCache(tmp_path / "cache", database)


@pytest.fixture
def start_receiver(receiver_peer: Peer, cache: RawCache) -> Iterator[Callable[..., StorageReceiver]]:
    """Start the receiver where the shared archives look for it: ``start_receiver(peers, ...)``."""
    running: list[StorageReceiver] = []

    def start(*peers: DicomPeer, **settings: Any) -> StorageReceiver:
        receiver = StorageReceiver(receiver_peer.ae_title, "127.0.0.1", receiver_peer.port, cache.spool, peers, **settings)
        running.append(receiver.__enter__())
        return receiver

    yield start
    for receiver in running:
        receiver.__exit__(None, None, None)


class Reached:
    """A real archive and how it is asked; else as the archive itself."""

    def __init__(self, archive: Any, retrieve: str) -> None:
        self.archive = archive
        self.retrieve = retrieve

    def __getattr__(self, name: str) -> Any:
        return getattr(self.archive, name)


def an_archive(peer: Any, name: str = "main", *, calling: str = "SAFELIGHT", **use: Any) -> Archive:
    """An archive without a budget, that retries at once and does not wait for stragglers longer than need be."""
    retrieve = getattr(peer, "retrieve", "c-move")
    tls = use.pop("tls", None)
    settings = {"settle_seconds": 0.3, "timeout_seconds": 10, "attempts": 3, "retrieve": retrieve, **use}
    if settings["retrieve"] == "dicomweb" and not isinstance(peer, WebService):
        peer = WebService(peer.dicomweb_url, auth=(peer.username, peer.password))
    return Archive(
        name,
        peer,
        calling_ae_title=calling,
        use=ArchiveUse(block=name, **settings),
        throttle=Unlimited(),
        sleep=lambda seconds: time.sleep(min(seconds, 0.05)),
        jitter=lambda: 0.0,
        tls=tls,
    )


def a_request(study: Study, **changes: Any) -> StudyRequest:
    """A request for a study, by UID unless told otherwise."""
    values: dict[str, Any] = {
        "project": PROJECT,
        "mrn": study.mrn,
        "accession_number": study.accession,
        "study_uid": study.uid,
        "study_date": study.when,
        "procedure_occurrence_id": study.number,
        "person_id": "1",
    }
    return StudyRequest(**{**values, **changes})


class Stage:
    """Enters requests and runs the stage over them."""

    def __init__(self, database: LinkDatabase, cache: RawCache, clock: Clock) -> None:
        self.database = database
        self.cache = cache
        self.clock = clock
        self.worker = "worker-1"
        self._numbers = itertools.count(1)

    def enter(self, *requests: StudyRequest) -> None:
        number = next(self._numbers)
        extract = self.database.register_extract(
            PROJECT, name=f"extract-{number}", sha256=f"{number:064d}", generated=NOON, source="omop-es"
        )
        pseudonymizer = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
        self.database.add_requests(extract, requests, pseudonymizer=pseudonymizer, opted_out={})

    def claim(self, *, limit: int = 100) -> list[int]:
        states = (RequestState.LOCATED, RequestState.REQUESTED)
        return self.database.claim(PROJECT, states, worker=self.worker, limit=limit, lease=LEASE)

    def run(
        self, receiver: StorageReceiver | Intake, *archives: Archive, ids: list[int] | None = None, **more: Any
    ) -> StageCounts:
        return locate_and_retrieve(
            self.claim() if ids is None else ids,
            database=self.database,
            archives=archives,
            receiver=receiver,
            cache=self.cache,
            worker=self.worker,
            lease=LEASE,
            clock=self.clock,
            **more,
        )

    def requests(self) -> list[Request]:
        return list(self.database.find(PROJECT, list(RequestState)))

    def only(self) -> Request:
        (request,) = self.requests()
        return request


@pytest.fixture
def stage(database: LinkDatabase, cache: RawCache, clock: Clock) -> Stage:
    return Stage(database, cache, clock)


@pytest.fixture(params=["orthanc c-move", "orthanc c-get", "orthanc dicomweb", "dcmqrscp c-move", "dcmqrscp c-get"])
def real_archive(request: pytest.FixtureRequest) -> Reached:
    """Each make of archive, empty, asked in each way that it offers."""
    make, retrieve = request.param.split()
    return Reached(request.getfixturevalue(make), retrieve)


@pytest.fixture(autouse=True)
def _nothing_identifying_is_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No test of this stage may log or print a canary, at any level, whichever library writes it."""
    caplog.set_level(logging.DEBUG)
    yield
    written = capfd.readouterr()
    seen = caplog.text + written.out + written.err
    assert "CANARY" not in seen
    assert "1.2.826.0.1.3680043.9.7433" not in seen
