"""Our storage SCP: whom and what it lets in, and how it fails."""

from __future__ import annotations

import resource
import socket
import subprocess
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)
from pynetdicom import AE

from safelight.archive import RawCache, StorageReceiver
from safelight.archive.intake import Expectation
from safelight.dimse import library
from safelight.errors import ConfigurationError, StorageUnwritable
from tests.archive.hostile import VERIFICATION, encoded, send_half, send_half_and_drop, store
from tests.archive.studies import CT, Study
from tests.services.orthanc import Peer
from tests.services.process import program

STUDY = Study(1)
SENDER = Peer("SENDER", 104)
PRIVATE = "1.2.826.0.1.3680043.9.7433.99.1"


@pytest.fixture
def receiver(cache: RawCache) -> Iterator[StorageReceiver]:
    with StorageReceiver("SAFELIGHT", "127.0.0.1", 0, cache.spool, [SENDER]) as receiver:
        yield receiver


@pytest.fixture
def expected(receiver: StorageReceiver, cache: RawCache) -> Iterator[Expectation]:
    """The receiver expects STUDY."""
    with receiver.intake.expect(an_expectation(cache, STUDY)) as expectation:
        yield expectation


def an_expectation(cache: RawCache, study: Study, **changes: Any) -> Expectation:
    settings: dict[str, Any] = {
        "name_of": cache.file_name,
        "is_patient": lambda identity: identity.patient_id == study.mrn.encode(),
        "series_uids": frozenset(),
        "clock": time.monotonic,
    }
    return Expectation(study.uid, cache.study_folder(study.uid), **{**settings, **changes})


@contextmanager
def association(
    receiver: StorageReceiver,
    *contexts: tuple[str, str],
    calling: str = "SENDER",
    called: str = "SAFELIGHT",
) -> Iterator[Any]:
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = 10
    for sop_class, transfer_syntax in contexts or ((CT, ExplicitVRLittleEndian),):
        entity.add_requested_context(sop_class, transfer_syntax)
    opened = entity.associate("127.0.0.1", receiver.port, ae_title=called)
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()
        library.close_socket(opened)


def instance(series: int = 0, number: int = 0, study: Study = STUDY) -> Dataset:
    return dcmread(BytesIO(study.file(series, number)))


def send(opened: Any, data: Dataset) -> int:
    return store(opened, data, encoded(data))


def files(cache: RawCache) -> list[Path]:
    return sorted(cache.folder.rglob("*.dcm")) + sorted(cache.folder.rglob("*.part"))


def test_an_expected_instance_is_kept_as_it_was_sent(
    receiver: StorageReceiver, expected: Expectation, cache: RawCache
) -> None:
    data = instance()
    with association(receiver) as opened:
        assert send(opened, data) == 0x0000
    (path,) = files(cache)
    kept = path.read_bytes()
    assert kept.endswith(encoded(data))
    assert dcmread(path).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert expected.arrived[data.SOPInstanceUID].path == path
    assert expected.arrived[data.SOPInstanceUID].size == len(kept)
    assert receiver.callers == {"SENDER": 1}


def test_twice_is_once(receiver: StorageReceiver, expected: Expectation, cache: RawCache) -> None:
    with association(receiver) as opened:
        assert [send(opened, instance()) for _ in range(2)] == [0x0000, 0x0000]
    assert len(files(cache)) == len(expected.arrived) == 1


@pytest.mark.parametrize(
    ("called", "calling", "reason"), [("OTHER", "SENDER", (1, 1, 7)), ("SAFELIGHT", "STRANGER", (1, 1, 3))]
)
def test_only_known_callers_that_call_us(
    receiver: StorageReceiver, called: str, calling: str, reason: tuple[int, int, int]
) -> None:
    with association(receiver, called=called, calling=calling) as opened:
        assert opened.is_rejected
        answer = opened.acceptor.primitive
        assert (answer.result, answer.result_source, answer.diagnostic) == reason
    assert receiver.refusals["association"] == 1
    assert not receiver.callers


def test_a_strange_host_is_not_heard(cache: RawCache) -> None:
    elsewhere = Peer("SENDER", 104, host="192.0.2.7")
    with (
        StorageReceiver("SAFELIGHT", "127.0.0.1", 0, cache.spool, [elsewhere]) as receiver,
        association(receiver) as opened,
    ):
        assert not opened.is_established
        assert receiver.refusals == {"host": 1}


@pytest.mark.parametrize("what", ["another study", "another patient", "another series", "nothing is expected"])
def test_only_what_was_asked_for(receiver: StorageReceiver, cache: RawCache, what: str) -> None:
    data = instance(1, 0) if what == "another series" else instance()
    if what == "another study":
        data = instance(study=Study(2))
    if what == "another patient":
        data.PatientID = "CANARYSOMEONE"
    if what == "nothing is expected":
        with association(receiver) as opened:
            assert send(opened, data) == 0x0124
    else:
        wanted = an_expectation(cache, STUDY, series_uids=frozenset({STUDY.series_uid(0)}))
        with receiver.intake.expect(wanted), association(receiver) as opened:
            assert send(opened, data) == 0x0124
            assert send(opened, instance()) == 0x0000
        assert wanted.patient_mismatch is (what == "another patient")
        assert list(wanted.arrived) == [STUDY.sop_uid(0, 0)]
    assert receiver.refusals["instance, status 0124"] == 1
    assert len(files(cache)) == (what != "nothing is expected")


def test_a_data_set_that_is_not_what_the_command_says(
    receiver: StorageReceiver, expected: Expectation, cache: RawCache
) -> None:
    data, other = instance(0, 0), instance(0, 1)
    with association(receiver) as opened:
        assert store(opened, data, encoded(other)) == 0xA900
        del other.SOPInstanceUID
        assert store(opened, data, encoded(other)) == 0xA900
    assert not files(cache)
    assert not expected.arrived


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_truncated_instance_is_not_kept(
    receiver: StorageReceiver, expected: Expectation, cache: RawCache, cut: int
) -> None:
    data = instance()
    with association(receiver) as opened:
        assert store(opened, data, encoded(data)[:-cut]) == 0xC000
        assert store(opened, data, b"no data set at all, CANARY") != 0x0000
        assert send(opened, data) == 0x0000
    assert len(files(cache)) == 1
    assert expected.arrived[data.SOPInstanceUID].size == files(cache)[0].stat().st_size


def test_a_whole_instance_is_not_replaced_by_a_truncated_one(
    receiver: StorageReceiver, expected: Expectation, cache: RawCache
) -> None:
    data = instance()
    with association(receiver) as opened:
        assert send(opened, data) == 0x0000
        assert store(opened, data, encoded(data)[:-100]) == 0xC000
    assert files(cache)[0].read_bytes().endswith(encoded(data))


@pytest.mark.parametrize(
    "transfer_syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        JPEGBaseline8Bit,
        JPEG2000Lossless,
        RLELossless,
        "1.2.840.10008.1.2.4.203",
        "1.3.46.670589.33.1.4.1",
    ],
)
def test_any_transfer_syntax(
    receiver: StorageReceiver, expected: Expectation, cache: RawCache, transfer_syntax: str
) -> None:
    raw = in_syntax(instance(), transfer_syntax)
    with association(receiver, (CT, transfer_syntax)) as opened:
        assert opened.accepted_contexts[0].transfer_syntax == [transfer_syntax]
        assert store(opened, instance(), raw) == 0x0000
    (path,) = files(cache)
    assert path.read_bytes().endswith(raw)
    assert dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID == transfer_syntax


def in_syntax(data: Dataset, transfer_syntax: str) -> bytes:
    """Encode the data set; compressed pixels are made up, since nobody decodes them."""
    target = BytesIO()
    if transfer_syntax not in {ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}:
        if transfer_syntax != ExplicitVRLittleEndian:
            frame = bytes.fromhex("feff00e000000000feff00e004000000ffd8ffd9feffdde000000000")
            head = encoded_without_pixels(data)
            return head + bytes.fromhex("e07f10004f420000ffffffff") + frame
        return encoded(data)
    data.file_meta.TransferSyntaxUID = transfer_syntax
    if transfer_syntax == ExplicitVRBigEndian:
        # Made anew: pydicom does not turn the bytes of one that it has read.
        fresh = STUDY.dataset(0, 0)
        fresh.save_as(target, implicit_vr=False, little_endian=False)
        return target.getvalue()
    else:
        data.save_as(target, implicit_vr=transfer_syntax == ImplicitVRLittleEndian, little_endian=True)
    raw = target.getvalue()
    return raw[144 + int.from_bytes(raw[140:144], "little") :]


def encoded_without_pixels(data: Dataset) -> bytes:
    del data.PixelData
    return encoded(data)


def test_any_storage_sop_class(receiver: StorageReceiver, expected: Expectation, cache: RawCache) -> None:
    for sop_class in (PRIVATE, "1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.999.77"):
        data = instance()
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = sop_class
        with association(receiver, (sop_class, ExplicitVRLittleEndian)) as opened:
            assert store(opened, data, encoded(data)) == 0x0000
    assert expected.arrived[STUDY.sop_uid(0, 0)].sop_class_uid == "1.2.840.10008.5.1.4.1.1.999.77"


def test_it_answers_an_echo(receiver: StorageReceiver) -> None:
    with association(receiver, (VERIFICATION, ImplicitVRLittleEndian)) as opened:
        assert opened.send_c_echo().Status == 0x0000


def test_a_full_disk_is_answered_with_a700(cache: RawCache) -> None:
    everything = 1 << 62
    with StorageReceiver("SAFELIGHT", "127.0.0.1", 0, cache.spool, [SENDER], reserve_bytes=everything) as receiver:
        wanted = an_expectation(cache, STUDY)
        with receiver.intake.expect(wanted), association(receiver) as opened:
            assert [send(opened, instance(0, number)) for number in range(2)] == [0xA700, 0xA700]
        assert wanted.storage_failed
    assert not files(cache)


def test_a_disk_that_fills_while_an_instance_arrives(
    receiver: StorageReceiver, expected: Expectation, cache: RawCache
) -> None:
    """The system refuses to let a file grow beyond 4 KiB; then there is room again, and the same association goes on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with association(receiver) as opened:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            status = send(opened, instance())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert status == 0xA700
        assert not files(cache)
        assert expected.storage_failed
        assert send(opened, instance()) == 0x0000
    assert len(files(cache)) == 1


def test_it_stops_in_less_than_a_second_whatever_is_open(cache: RawCache) -> None:
    entity = AE("SENDER")
    entity.add_requested_context(CT)

    def seconds() -> float:
        with StorageReceiver("SAFELIGHT", "127.0.0.1", 0, cache.spool, [SENDER]) as receiver:
            opened = [entity.associate("127.0.0.1", receiver.port, ae_title="SAFELIGHT") for _ in range(20)]
            silent = socket.create_connection(("127.0.0.1", receiver.port))
            assert all(one.is_established for one in opened)
            started = time.monotonic()
        took = time.monotonic() - started
        silent.close()
        for one in opened:
            one.abort()
            library.close_socket(one)
        assert not list(cache.spool.rglob("*.part"))
        # And its port is free again.
        with StorageReceiver("SAFELIGHT", "127.0.0.1", receiver.port, cache.spool, [SENDER]):
            pass
        return took

    # A machine that has other work may need longer now and then; one that always does waits for something.
    assert any(seconds() < 1 for _ in range(3))


def test_nonsense_does_not_end_it(receiver: StorageReceiver, expected: Expectation) -> None:
    for nonsense in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x01\x00\x00\x00\x00\x04CANA",
        bytes(300),
        b"\x01\x00\xff\xff\xff\xff" + bytes(9999),
    ):
        with socket.create_connection(("127.0.0.1", receiver.port)) as stranger:
            stranger.sendall(nonsense)
    with association(receiver) as opened:
        assert send(opened, instance()) == 0x0000


def test_what_breaks_off_leaves_nothing(receiver: StorageReceiver, expected: Expectation, cache: RawCache) -> None:
    with association(receiver) as opened:
        send_half_and_drop(opened, [instance(0, 0), instance(0, 1)])
    deadline = time.monotonic() + 20
    while len(files(cache)) != 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [path.suffix for path in files(cache)] == [".dcm"]
    assert list(expected.arrived) == [STUDY.sop_uid(0, 0)]


def test_an_instance_begun_before_the_last_one_ended_takes_its_place(
    receiver: StorageReceiver, expected: Expectation, cache: RawCache
) -> None:
    with association(receiver) as opened:
        for number in (0, 1, 2):
            send_half(opened, instance(0, number))
        assert send(opened, instance()) == 0x0000
        assert [path.suffix for path in files(cache)] == [".dcm"]
    assert list(expected.arrived) == [STUDY.sop_uid(0, 0)]


def test_leftovers_of_a_killed_run_are_cleared(cache: RawCache) -> None:
    left = cache.spool / "4194305" / "7.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"CANARY")
    with StorageReceiver("SAFELIGHT", "127.0.0.1", 0, cache.spool, [SENDER]):
        assert not left.exists()


def test_it_says_what_is_wrong_before_it_starts(receiver: StorageReceiver, cache: RawCache, tmp_path: Path) -> None:
    with pytest.raises(StorageUnwritable, match=str(receiver.port)):
        StorageReceiver("SAFELIGHT", "127.0.0.1", receiver.port, cache.spool, [SENDER]).__enter__()
    with pytest.raises(ConfigurationError):
        StorageReceiver("SAFELIGHT", "127.0.0.1", 0, cache.spool, [])
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(StorageUnwritable, match="spool"):
        StorageReceiver("SAFELIGHT", "127.0.0.1", 0, file / "spool", [SENDER]).__enter__()


def test_twenty_associations_at_once_take_no_more_memory(receiver: StorageReceiver, cache: RawCache, tmp_path: Path) -> None:
    study = Study(3, series=(20,), kilobytes=6 * 1024)
    senders = []
    wanted = an_expectation(cache, study)
    for number, content in enumerate(study.files()):
        (tmp_path / f"{number}.dcm").write_bytes(content)
    tracemalloc.start()
    try:
        with receiver.intake.expect(wanted):
            for number in range(20):
                called = ["-aet", SENDER.ae_title, "-aec", "SAFELIGHT", "127.0.0.1", str(receiver.port)]
                senders.append(subprocess.Popen([program("storescu"), *called, str(tmp_path / f"{number}.dcm")]))
            assert [sender.wait() for sender in senders] == [0] * 20
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sorted(wanted.arrived) == sorted(study.sop_uids)
    assert wanted.bytes > 100 << 20
    assert peak < 16 << 20
