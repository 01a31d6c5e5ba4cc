"""DICOM over TLS with certificates of both sides: queries and retrievals to the archive, and from it to our receiver."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pynetdicom import AE

from safelight.archive import StorageReceiver
from safelight.dimse import library
from safelight.dimse.tls import called_context, calling_context
from safelight.errors import ArchiveMisconfigured, ArchiveUnreachable, ConfigurationError
from tests.archive.conftest import Reached, Stage, a_request, an_archive
from tests.archive.hostile import VERIFICATION
from tests.archive.studies import Study
from tests.services.certificates import Authority, Certificate
from tests.services.orthanc import Orthanc, Peer
from tests.services.process import free_port

STUDY = Study(1)


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Certificate:
    return authority.issue("dimse-ours")


@pytest.fixture(scope="module")
def secure_orthanc(
    start_orthanc: Callable[..., Orthanc],
    authority: Authority,
    receiver_peer: Peer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Orthanc:
    """An archive that takes and makes associations over TLS only, with certificates of both sides."""
    theirs = authority.issue("dimse-theirs")
    allowed = dict.fromkeys(("AllowEcho", "AllowFind", "AllowMove", "AllowGet", "AllowStore"), True)
    known = {"AET": receiver_peer.ae_title, "Host": "localhost", "Port": receiver_peer.port, "UseDicomTls": True, **allowed}
    orthanc = start_orthanc(
        tmp_path_factory.mktemp("secure-orthanc"),
        configuration={
            "DicomModalities": {"safelight": known},
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(theirs.certificate),
            "DicomTlsPrivateKey": str(theirs.key),
            "DicomTlsTrustedCertificates": str(authority.bundle),
        },
    )
    orthanc.host = "localhost"
    orthanc.upload(STUDY.files())
    return orthanc


def our_context(authority: Authority, certificate: Certificate | None, *, check_host: bool = True) -> ssl.SSLContext:
    files = (certificate.certificate, certificate.key) if certificate else None
    return calling_context("archive", authority.bundle, files, check_host=check_host)


@pytest.mark.parametrize("retrieve", ["c-move", "c-get"])
def test_a_study_comes_over_tls(
    secure_orthanc: Orthanc,
    authority: Authority,
    ours: Certificate,
    stage: Stage,
    start_receiver: Callable[..., StorageReceiver],
    retrieve: str,
) -> None:
    receiver = start_receiver(secure_orthanc, tls=called_context("receiver", authority.bundle, (ours.certificate, ours.key)))
    stage.enter(a_request(STUDY))
    archive = an_archive(Reached(secure_orthanc, retrieve), tls=our_context(authority, ours))
    assert dict(stage.run(receiver, archive).moved) == {"retrieved": 1}
    assert len(stage.cache.paths(STUDY.uid)) == len(STUDY.sop_uids)
    assert not receiver.refusals


def test_what_is_wrong_is_said(secure_orthanc: Orthanc, authority: Authority, ours: Certificate, tmp_path: Path) -> None:
    stranger, old = Authority(tmp_path / "other"), authority.issue("dimse-old", days=-1)
    foreign = stranger.issue("dimse-stranger")
    elsewhere = Peer(secure_orthanc.ae_title, secure_orthanc.port, "127.0.0.2")
    wrong: list[tuple[str, Peer | Orthanc, ssl.SSLContext]] = [
        ("not signed by an authority in ca_file", secure_orthanc, our_context(stranger, foreign)),
        ("wants a certificate of ours", secure_orthanc, our_context(authority, None)),
        ("wants a certificate of ours", secure_orthanc, our_context(authority, foreign)),
        ("certificate", secure_orthanc, our_context(authority, old)),
        ("does not name its address", elsewhere, our_context(authority, ours)),
    ]
    for words, peer, context in wrong:
        with pytest.raises(ArchiveMisconfigured, match=words) as caught:
            an_archive(peer, tls=context).echo()
        assert "ca_file" in str(caught.value)
    an_archive(elsewhere, tls=our_context(authority, ours, check_host=False)).echo()
    with pytest.raises(ArchiveUnreachable, match="TLS"):
        an_archive(secure_orthanc, attempts=1, timeout_seconds=3).echo()


def test_an_archive_without_tls(orthanc: Orthanc, authority: Authority, ours: Certificate) -> None:
    with pytest.raises(ArchiveMisconfigured, match="does not speak TLS"):
        an_archive(orthanc, tls=our_context(authority, ours), timeout_seconds=3).echo()


def test_an_expired_archive(authority: Authority, ours: Certificate) -> None:
    """Found by us, whatever else the archive is."""
    old = authority.issue("dimse-expired", days=-1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(old.pem)
    with StorageReceiverOf(context) as port, pytest.raises(ArchiveMisconfigured, match="has expired"):
        an_archive(Peer("OLD", port, "localhost"), tls=our_context(authority, ours)).echo()


def test_an_archive_that_is_down_can_be_tried_again(authority: Authority, ours: Certificate) -> None:
    with pytest.raises(ArchiveUnreachable):
        an_archive(Peer("GONE", free_port(), "localhost"), tls=our_context(authority, ours), attempts=1).echo()


class StorageReceiverOf:
    """A Verification SCP with a TLS context."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def __enter__(self) -> int:
        self._entity = AE("OLD")
        self._entity.add_supported_context(VERIFICATION)
        server = self._entity.start_server(("127.0.0.1", 0), block=False, ssl_context=self._context)
        # Its own accepting thread would print what our refusal raises in it.
        server.handle_error = lambda *_arguments: None
        return int(server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self._entity.shutdown()


def test_the_receiver_takes_nobody_without_a_certificate(
    stage: Stage, authority: Authority, ours: Certificate, tmp_path: Path
) -> None:
    sender = Peer("SENDER", 104)
    foreign = Authority(tmp_path / "other").issue("dimse-other")
    context = called_context("receiver", authority.bundle, (ours.certificate, ours.key))

    def calls(port: int, tls: ssl.SSLContext | None) -> bool:
        entity = AE("SENDER")
        entity.acse_timeout = entity.network_timeout = 3
        entity.add_requested_context(VERIFICATION)
        association = entity.associate(
            "localhost", port, ae_title="SAFELIGHT", tls_args=(tls, "localhost") if tls is not None else None
        )
        try:
            established = association.is_established and bool(association.send_c_echo())
            if established:
                association.release()
            return bool(established)
        finally:
            library.close_socket(association)

    with StorageReceiver("SAFELIGHT", "127.0.0.1", 0, stage.cache.spool, [sender], tls=context) as receiver:
        # One that says nothing holds up nobody.
        silent = socket.create_connection(("127.0.0.1", receiver.port))
        started = time.monotonic()
        assert calls(receiver.port, our_context(authority, ours))
        assert time.monotonic() - started < 5
        for tls in (None, our_context(authority, None), our_context(authority, foreign)):
            assert not calls(receiver.port, tls)
        assert receiver.callers == {"SENDER": 1}
        # It is counted when the receiver has seen it fail, too.
        deadline = time.monotonic() + 10
        while receiver.refusals["tls"] < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert receiver.refusals["tls"] == 3
        silent.close()


def test_files_that_are_wrong(authority: Authority, ours: Certificate, tmp_path: Path) -> None:
    other = authority.issue("dimse-mixed")
    (tmp_path / "CANARY.pem").write_text("CANARY")
    for ca, certificate in (
        (tmp_path / "missing.pem", None),
        (tmp_path / "CANARY.pem", None),
        (authority.bundle, (ours.certificate, other.key)),
        (authority.bundle, (ours.certificate, tmp_path / "missing.key")),
    ):
        with pytest.raises(ConfigurationError, match="block 'archive'") as caught:
            calling_context("archive", ca, certificate, check_host=True)
        assert "CANARY" not in str(caught.value)
