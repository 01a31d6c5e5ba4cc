"""Studies that are sent unasked, by dcmtk's senders: who may, when one is complete, and what survives."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from safelight.archive import RawCache
from safelight.archive.cache import PUSHED
from safelight.archive.push import Inbox, PushedStudy, PushReceiver
from safelight.errors import StudyRejected
from safelight.link import LinkDatabase
from safelight.model import Reason
from tests.archive.conftest import PROJECT, Stage
from tests.archive.studies import Study
from tests.services.process import program

CT_SENDER, FAR_SENDER = "MODALITY", "FARAWAY"
STUDY = Study(700, series=(2, 1))


class Sender:
    """A registered sender."""

    def __init__(self, ae_title: str, host: str = "127.0.0.1") -> None:
        self.ae_title = ae_title
        self.host = host
        self.port = 104


@pytest.fixture
def inbox(cache: RawCache) -> Inbox:
    return Inbox(cache, PROJECT)


@pytest.fixture
def receiver(inbox: Inbox) -> Iterator[PushReceiver]:
    senders = [Sender(CT_SENDER), Sender(FAR_SENDER, "127.0.0.2")]
    receiver = PushReceiver(inbox, "RESEARCH", "127.0.0.1", 0, senders)
    with receiver:
        yield receiver


Send = Callable[..., int]


@pytest.fixture
def send(receiver: PushReceiver, tmp_path: Path) -> Send:
    """Send files with dcmtk; returns how many were taken."""

    def send_(files: Sequence[bytes], *, calling: str = CT_SENDER, called: str = "RESEARCH", by: str = "storescu") -> int:
        folder = tmp_path / f"sent-{time.monotonic_ns()}"
        folder.mkdir()
        for number, content in enumerate(files):
            (folder / f"{number}.dcm").write_bytes(content)
        paths = sorted(map(str, folder.iterdir()))
        more = ["--no-halt", "-v"] if by == "storescu" else ["-v"]
        done = subprocess.run(
            [program(by), *more, "-aet", calling, "-aec", called, "127.0.0.1", str(receiver.port), *paths],
            capture_output=True,
            text=True,
            check=False,
        )
        return (done.stdout + done.stderr).count("(Success)") or (done.stdout + done.stderr).count("with status SUCCESS")

    return send_


def later(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() + seconds, UTC)


def complete(inbox: Inbox) -> list[PushedStudy]:
    return list(inbox.complete(quiet_seconds=60, now=later(61)))


def only(inbox: Inbox) -> PushedStudy:
    (study,) = complete(inbox)
    return study


@pytest.mark.parametrize("by", ["storescu", "dcmsend"])
def test_a_study_is_complete_when_it_is_quiet(send: Send, inbox: Inbox, cache: RawCache, by: str) -> None:
    assert send(STUDY.files(), by=by) == 3
    assert list(inbox.complete(quiet_seconds=60, now=later(30))) == []
    study = only(inbox)
    request = study.request(PROJECT)
    assert (request.study_uid, request.mrn, request.accession_number) == (STUDY.uid, STUDY.mrn, STUDY.accession)
    assert request.study_date == STUDY.when
    assert request.procedure_occurrence_id < 0
    assert request.series_uids == ()
    assert not inbox.keep(study)
    # Killed before it was done: all of it again, and nothing is doubled.
    again = Inbox(cache, PROJECT)
    assert not again.keep(only(again))
    again.done(only(again))
    assert complete(again) == []
    found = cache.get(STUDY.uid)
    assert found is not None
    assert (found.archive, found.complete, len(found.instances)) == (PUSHED, True, 3)
    assert {path.read_bytes()[-64:] for path in cache.paths(STUDY.uid)} == {content[-64:] for content in STUDY.files()}
    assert not list(cache.folder.glob("pushed/**/*.dcm"))


def test_names_in_the_inbox_tell_nothing(send: Send, inbox: Inbox, cache: RawCache) -> None:
    send(STUDY.files())
    names = " ".join(str(path.relative_to(cache.folder)) for path in cache.folder.rglob("*"))
    assert ".dcm" in names
    assert not [canary for canary in STUDY.canaries() if canary in names]


@pytest.mark.parametrize(
    ("calling", "called"),
    [("STRANGER", "RESEARCH"), (CT_SENDER, "SOMEBODYELSE"), (FAR_SENDER, "RESEARCH")],
    ids=["unknown sender", "another node called", "a sender's name from another address"],
)
def test_who_is_not_registered_is_refused(
    send: Send,
    receiver: PushReceiver,
    inbox: Inbox,
    calling: str,
    called: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        assert send(STUDY.files(), calling=calling, called=called) == 0
    assert complete(inbox) == []
    assert sum(receiver.refusals.values()) >= 1
    assert "refused" in caplog.text
    assert not [canary for canary in STUDY.canaries() if canary in caplog.text]


def test_a_stranger_s_address_is_refused(inbox: Inbox, tmp_path: Path) -> None:
    with PushReceiver(inbox, "RESEARCH", "127.0.0.1", 0, [Sender(CT_SENDER, "127.0.0.2")]) as receiver:
        (tmp_path / "file.dcm").write_bytes(STUDY.files()[0])
        sender = [program("storescu"), "-aet", CT_SENDER, "-aec", "RESEARCH", "127.0.0.1", str(receiver.port)]
        done = subprocess.run([*sender, str(tmp_path / "file.dcm")], capture_output=True, check=False)
        assert done.returncode
        assert receiver.refusals == {"host": 1}
    assert complete(inbox) == []


def test_what_comes_late_is_told_and_joins_the_study(send: Send, inbox: Inbox, cache: RawCache) -> None:
    files = STUDY.files()
    send(files[:2])
    study = only(inbox)
    assert not inbox.keep(study)
    inbox.done(study)
    # The same again is nothing new.
    send(files[:2])
    study = only(inbox)
    assert not inbox.keep(study)
    inbox.done(study)
    send(files[2:])
    study = only(inbox)
    assert inbox.keep(study)
    assert study.request_for_series(PROJECT).series_uids == (STUDY.series_uid(1),)
    assert inbox.keep(only(inbox)), "also after a kill"
    assert only(inbox).request_for_series(PROJECT) == study.request_for_series(PROJECT)
    inbox.done(study)
    # More of the same series is another request, for as often as something comes.
    send(Study(700, series=(2, 2)).files()[3:])
    more = only(inbox)
    assert inbox.keep(more)
    first, second = (one.request_for_series(PROJECT) for one in (study, more))
    assert first != second
    assert replace(first, part="") == replace(second, part="")
    inbox.done(more)
    found = cache.get(STUDY.uid)
    assert found is not None
    assert len(found.instances) == 4


def test_instances_of_two_patients_are_set_aside(send: Send, inbox: Inbox, cache: RawCache) -> None:
    other = Study(700, series=(2, 1), patient=2)
    send([STUDY.files()[0], other.files()[2]])
    study = only(inbox)
    with pytest.raises(StudyRejected) as rejected:
        inbox.keep(study)
    assert rejected.value.reason is Reason.PATIENT_MISMATCH
    inbox.set_aside(study)
    assert complete(inbox) == []
    assert cache.get(STUDY.uid) is None
    inbox.ask_again()
    assert len(only(inbox).files) == 2


def test_a_study_of_another_patient_in_the_cache_is_not_mixed(send: Send, inbox: Inbox, cache: RawCache) -> None:
    send(Study(700, series=(2, 1), patient=2).files())
    inbox.keep(study := only(inbox))
    inbox.done(study)
    send([Study(700, series=(2, 1), patient=1).file(1, 0)])
    with pytest.raises(StudyRejected):
        inbox.keep(only(inbox))


def test_what_is_asked_for_is_not_evicted_before_it_was_used(
    send: Send, inbox: Inbox, cache: RawCache, stage: Stage, database: LinkDatabase
) -> None:
    send(STUDY.files())
    study = only(inbox)
    inbox.keep(study)
    assert database.cache_pins() == set()
    stage.enter(study.request(PROJECT))
    assert database.cache_pins() == {STUDY.uid}
    assert database.known(study.request(PROJECT)) is not None
    assert database.known(study.request_for_series(PROJECT)) is None


def test_a_full_disk_is_told_to_the_sender(cache: RawCache, inbox: Inbox, send: Send) -> None:
    free = os.statvfs(cache.folder)
    inbox._reserve = free.f_frsize * free.f_blocks
    assert send(STUDY.files()) == 0
    assert complete(inbox) == []
