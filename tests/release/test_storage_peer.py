"""A DICOM node as destination: dcmtk's storescp and Orthanc, in clear and over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt

from safelight.errors import DestinationRefused, StorageFull
from safelight.model import Reason
from safelight.release.destination import OutputFile
from safelight.release.storage_peer import StoragePeerDestination
from tests.release.hospital import PROJECT, output_files
from tests.release.places import data_set
from tests.release.reach import WAIT
from tests.services.certificates import Authority
from tests.services.orthanc import Orthanc, Peer
from tests.services.process import Program, accepts_connections, free_port, program


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Peer]:
    """dcmtk's storage SCP; what it received is in the folder."""
    folder.mkdir()
    peer = Peer("STORESCP", free_port())
    arguments = [program("storescp"), "-aet", peer.ae_title, "-od", str(folder), "+B", *options, str(peer.port)]
    running = Program(arguments, folder, lambda: accepts_connections(peer.port))
    try:
        yield peer
    finally:
        running.stop()


def received(folder: Path) -> dict[str, bytes]:
    files = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir() if path.suffix != ".log"}
    return {str(header.SOPInstanceUID): data_set(path.read_bytes()) for path, header in files.items()}


def in_syntax(file: OutputFile, syntax: str) -> None:
    """Say that the file is in another transfer syntax, with a pixel data element as such ones have it."""
    data = pydicom.dcmread(file.path)
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + bytes(500)])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    data.save_as(file.path)


def target_at(peer: Any, **settings: Any) -> StoragePeerDestination:
    return StoragePeerDestination(peer, attempts=2, wait=WAIT, timeout=30, name="node", **settings)


def test_every_transfer_syntax_is_sent_as_it_is(tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=3)
    in_syntax(files[1], JPEG2000Lossless)
    in_syntax(files[2], RLELossless)
    with storescp(tmp_path / "there", "+xa") as peer:
        for _ in range(2):
            assert target_at(peer).send(PROJECT, files).stored == {file.sop_uid for file in files}
    assert received(tmp_path / "there") == {file.sop_uid: data_set(file.path.read_bytes()) for file in files}


def test_a_transfer_syntax_that_the_node_does_not_take_is_refused_by_uid_and_never_recoded(tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=3)
    in_syntax(files[1], JPEG2000Lossless)
    with storescp(tmp_path / "there") as peer:  # uncompressed only
        result = target_at(peer).send(PROJECT, files)
    assert result.refused == {files[1].sop_uid: Reason.DESTINATION_REFUSED}
    assert set(received(tmp_path / "there")) == result.stored == {files[0].sop_uid, files[2].sop_uid}


def test_more_kinds_than_an_association_can_hold(tmp_path: Path) -> None:
    """128 presentation contexts are the most; each pair of SOP class and transfer syntax needs one."""
    files = output_files(tmp_path / "work", count=130)
    for number, file in enumerate(files):
        data = pydicom.dcmread(file.path)
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.7.{number}"
        data.save_as(file.path)
    with storescp(tmp_path / "there", "+xa", "-pm") as peer:
        result = target_at(peer).send(PROJECT, files)
    assert result.stored == {file.sop_uid for file in files}


@contextmanager
def node(answer: Callable[[evt.Event], int]) -> Iterator[Peer]:
    """A node that answers each C-STORE as it is told to, for what no server does on demand."""
    entity = AE("NODE")
    entity.supported_contexts = AllStoragePresentationContexts
    entity.add_supported_context("1.2.840.10008.1.1")
    for context in entity.supported_contexts:
        context.transfer_syntax = ALL_TRANSFER_SYNTAXES
    peer = Peer("NODE", free_port())
    server = entity.start_server(("127.0.0.1", peer.port), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    try:
        yield peer
    finally:
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "where"), [(0xB000, "stored"), (0x0111, "already"), (0xC000, "refused"), (0xA900, "refused")]
)
def test_each_instance_is_what_the_node_says_of_it(tmp_path: Path, status: int, where: str) -> None:
    files = output_files(tmp_path / "work", count=3)
    second = files[1].sop_uid

    def answer(event: evt.Event) -> int:
        return status if event.request.AffectedSOPInstanceUID == second else 0

    with node(answer) as peer:
        result = target_at(peer).send(PROJECT, files)
    assert second in getattr(result, where)
    assert result.stored >= {files[0].sop_uid, files[2].sop_uid}


def test_a_full_node_is_told_as_full(tmp_path: Path) -> None:
    with node(lambda event: 0xA700) as peer, pytest.raises(StorageFull, match="A700") as caught:
        target_at(peer).send(PROJECT, output_files(tmp_path / "work", count=2))
    assert "room" in caught.value.remedy


def test_a_node_that_does_not_let_us_store_is_a_refusal(tmp_path: Path) -> None:
    with node(lambda event: 0x0124) as peer, pytest.raises(DestinationRefused, match="let us store"):
        target_at(peer).send(PROJECT, output_files(tmp_path / "work", count=1))


def test_an_instance_at_which_the_node_hangs_up_stops_nobody_else(tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=4)
    asked: list[str] = []

    def answer(event: evt.Event) -> int:
        asked.append(event.request.AffectedSOPInstanceUID)
        if asked[-1] == files[1].sop_uid:
            event.assoc.abort()
        return 0

    with node(answer) as peer:
        result = target_at(peer).send(PROJECT, files)
    assert set(result.refused) == {files[1].sop_uid}
    assert result.stored == {file.sop_uid for file in files} - {files[1].sop_uid}
    assert asked.count(files[1].sop_uid) >= 2
    assert asked.count(files[0].sop_uid) == 1


def test_tls_with_a_certificate_of_each(start_orthanc: Callable[..., Orthanc], authority: Authority, tmp_path: Path) -> None:
    own, theirs = authority.issue("c-store-client"), authority.issue("c-store-server")
    orthanc = start_orthanc(
        tmp_path / "orthanc",
        peers={"us": Peer("SAFELIGHT", free_port())},
        configuration={
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(theirs.certificate),
            "DicomTlsPrivateKey": str(theirs.key),
            "DicomTlsTrustedCertificates": str(authority.bundle),
        },
    )
    peer = Peer(orthanc.ae_title, orthanc.port, "localhost")
    context = ssl.create_default_context(cafile=authority.bundle)
    context.load_cert_chain(own.certificate, own.key)
    files = output_files(tmp_path / "work", count=2)
    assert target_at(peer, tls=context).send(PROJECT, files).stored == {file.sop_uid for file in files}
    assert set(orthanc.instances()) == {file.sop_uid for file in files}
    stranger = Authority(tmp_path / "stranger")
    with pytest.raises(DestinationRefused, match="its certificate") as caught:
        target_at(peer, tls=ssl.create_default_context(cafile=stranger.bundle)).check(PROJECT)
    assert "ca_file" in caught.value.remedy
