"""An FTPS server as destination: a real vsftpd that wants its TLS sessions reused."""

from __future__ import annotations

import ftplib
import ssl
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from safelight.errors import DestinationRefused, SafelightError
from safelight.model import Reason
from safelight.release.ftps import FtpsStore, fault
from safelight.release.study_archive import StudyArchiveDestination
from tests.release.hospital import PROJECT, output_files
from tests.release.places import members
from tests.release.reach import WAIT
from tests.services.certificates import Authority
from tests.services.vsftpd import Vsftpd


def store_at(server: Vsftpd, folder: str = "inbox", **settings: object) -> FtpsStore:
    login = (server.host, server.port, server.username, server.password)
    return FtpsStore(*login, ca=server.bundle, folder=folder, attempts=2, wait=WAIT, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def implicit(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Vsftpd]:
    server = Vsftpd(tmp_path_factory.mktemp("implicit"), authority, implicit=True)
    yield server
    server.stop()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("implicitly", [False, True])
def test_a_study_is_one_zip_file_under_the_project(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    implicitly: bool,
    version: ssl.TLSVersion,
) -> None:
    server: Vsftpd = request.getfixturevalue("implicit" if implicitly else "vsftpd")
    create = ssl.create_default_context

    def with_version(*arguments: object, **settings: object) -> ssl.SSLContext:
        context = create(*arguments, **settings)  # type: ignore[arg-type]
        context.maximum_version = version
        return context

    monkeypatch.setattr(ssl, "create_default_context", with_version)
    folder = f"inbox/{tmp_path.name}"
    target = StudyArchiveDestination(store_at(server, folder, implicit=implicitly), tmp_path / "outbox")
    files = output_files(tmp_path / "work", count=2)
    target.check(PROJECT)
    (tmp_path / "outbox" / "of-a-killed-export").mkdir(parents=True)
    for _ in range(2):
        assert target.send(PROJECT, files).delivered == {file.sop_uid for file in files}
        (path,) = (server.inbox / tmp_path.name / PROJECT).iterdir()
        assert path.name == "2.25.1.zip"
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["2.25.1.2/2.25.1.2.1.dcm", "2.25.1.2/2.25.1.2.2.dcm"]
    assert list((tmp_path / "outbox").iterdir()) == []


def test_an_upload_that_was_cut_off_goes_on_where_it_was(
    vsftpd: Vsftpd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "tables.parquet"
    source.write_bytes(bytes(range(256)) * 40_000)
    store = store_at(vsftpd, f"inbox/{tmp_path.name}")
    there = vsftpd.inbox / tmp_path.name
    sent: list[int] = []
    whole = ftplib.FTP.storbinary

    def cut(self: ftplib.FTP, cmd: str, file: object, blocksize: int = 8192, **settings: object) -> str:
        """The line breaks in the middle of the first upload."""
        sent.append(settings.get("rest") or 0)  # type: ignore[arg-type]
        if len(sent) > 1:
            return whole(self, cmd, file, blocksize, **settings)  # type: ignore[arg-type]
        connection = self.transfercmd(cmd)
        connection.sendall(file.read(4_000_000))  # type: ignore[attr-defined]
        connection.unwrap()  # type: ignore[attr-defined]
        connection.close()
        self.voidresp()
        raise ConnectionResetError

    monkeypatch.setattr(ftplib.FTP_TLS, "storbinary", cut)
    with store.open() as opened:
        opened.put("a/tables.parquet", source)
        assert opened.compare("a/tables.parquet", source) is True
    assert sent == [0, 4_000_000]
    assert (there / "a" / "tables.parquet").read_bytes() == source.read_bytes()
    assert [path.name for path in (there / "a").iterdir()] == ["tables.parquet"]


def test_what_was_left_of_another_upload_is_not_taken_for_ours(vsftpd: Vsftpd, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1" * 1000)
    two.write_bytes(b"2" * 2000)
    store = store_at(vsftpd, f"inbox/{tmp_path.name}")
    there = vsftpd.inbox / tmp_path.name
    with store.open() as opened:
        opened.put("x.zip", one)
        assert opened.compare("x.zip", two) is False
        opened.put("x.zip", two)
    assert (there / "x.zip").read_bytes() == two.read_bytes()


def test_more_of_a_study_completes_its_zip_file_and_another_version_is_refused(vsftpd: Vsftpd, tmp_path: Path) -> None:
    target = StudyArchiveDestination(store_at(vsftpd, f"inbox/{tmp_path.name}"), tmp_path / "outbox")
    path = vsftpd.inbox / tmp_path.name / PROJECT / "2.25.1.zip"
    files = output_files(tmp_path / "work", count=3)
    target.send(PROJECT, files[:2])
    first = members(path)
    files[0].path.write_bytes(b"another")
    result = target.send(PROJECT, files)
    assert result.refused == {files[0].sop_uid: Reason.DESTINATION_REFUSED}
    assert (result.already, result.stored) == ({files[1].sop_uid}, {files[2].sop_uid})
    assert members(path) == first | {files[2].sop_uid: files[2].path.read_bytes()}


def test_a_server_that_lets_nobody_read_is_believed_its_sizes(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, tmp_path: Path
) -> None:
    server = Vsftpd(tmp_path_factory.mktemp("write-only"), authority, download_enable="NO")
    target = StudyArchiveDestination(store_at(server), tmp_path / "outbox")
    files = output_files(tmp_path / "work", count=3)
    try:
        assert target.send(PROJECT, files[:2]).stored == {file.sop_uid for file in files[:2]}
        assert target.send(PROJECT, files[:2]).already == {file.sop_uid for file in files[:2]}
        # What is missing can't be added to what can't be read.
        assert set(target.send(PROJECT, files).refused) == {file.sop_uid for file in files}
        assert len(members(server.inbox / PROJECT / "2.25.1.zip")) == 2
    finally:
        server.stop()


def test_only_the_given_authority_and_the_right_name_are_trusted(vsftpd: Vsftpd, tmp_path: Path, implicit: Vsftpd) -> None:
    other = Authority(tmp_path / "other")
    for server, implicitly in ((vsftpd, False), (implicit, True)):
        store = store_at(server, implicit=implicitly)
        for wrong in (replace(store, ca=other.bundle), replace(store, ca=None), replace(store, host="127.1")):
            with pytest.raises(DestinationRefused, match="certificate") as caught:
                wrong.check(PROJECT)
            assert caught.value.__suppress_context__
        store.check(PROJECT)


def test_a_server_without_tls_gets_no_password(tmp_path: Path, authority: Authority) -> None:
    log = {"xferlog_enable": "YES", "log_ftp_protocol": "YES", "vsftpd_log_file": str(tmp_path / "protocol.log")}
    server = Vsftpd(tmp_path, authority, ssl_enable="NO", **log)
    try:
        with pytest.raises(DestinationRefused, match="does not offer TLS"):
            store_at(server).check(PROJECT)
        said = (tmp_path / "protocol.log").read_text()
        assert 'FTP command: Client "127.0.0.1", "AUTH TLS"' in said
        assert 'FTP command: Client "127.0.0.1", "PASS' not in said
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("530 Login incorrect.", "destination_refused"),
        ("553 Could not create file CANARY.", "destination_refused"),
        ("452 Insufficient storage space.", "storage_full"),
        ("552 Quota exceeded.", "storage_full"),
        ("421 Too many users.", "destination_unavailable"),
        ("426 Connection closed.", "destination_unavailable"),
        ("451 Failure writing to local file.", "destination_unavailable"),
    ],
)
def test_each_reply_says_what_to_do_and_is_not_repeated(reply: str, code: str) -> None:
    error = fault((ftplib.error_temp if reply[0] == "4" else ftplib.error_perm)(reply), "haven")
    assert isinstance(error, SafelightError)
    assert error.code == code
    assert error.remedy
    assert reply[4:] not in str(error)
