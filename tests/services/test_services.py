"""Each service does what the tests count on, over its real protocol."""

from __future__ import annotations

import ftplib
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
import sqlalchemy
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from tests.services.azurite import Azurite
from tests.services.dcmqrscp import Dcmqrscp
from tests.services.orthanc import Orthanc, Peer
from tests.services.process import Program, ServiceUnavailable, accepts_connections, program
from tests.services.vsftpd import Vsftpd

CT = Path(str(get_testdata_file("CT_small.dcm")))


def _studies(archive: Orthanc | Dcmqrscp, calling: str) -> list[str]:
    ae = AE(ae_title=calling)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = ae.associate(archive.host, archive.port, ae_title=archive.ae_title)
    assert association.is_established
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = ""
    answers = list(association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind))
    association.release()
    return [answer.StudyInstanceUID for status, answer in answers if status.Status == 0xFF00]


@pytest.mark.parametrize("archive", ["orthanc", "second_orthanc", "dcmqrscp"])
def test_archive_answers_the_receiver(archive: str, request: pytest.FixtureRequest, receiver_peer: Peer) -> None:
    service = request.getfixturevalue(archive)
    assert _studies(service, receiver_peer.ae_title) == []
    assert service.upload([CT]) == 1
    assert len(_studies(service, receiver_peer.ae_title)) == 1


def test_orthanc_keeps_its_content_over_a_restart(orthanc: Orthanc) -> None:
    orthanc.upload([CT])
    before = set(orthanc.instances())
    orthanc.stop()
    assert not accepts_connections(orthanc.port)
    orthanc.start()
    assert set(orthanc.instances()) == before != set()
    assert orthanc.file(before.pop()) == CT.read_bytes()


def test_orthanc_speaks_dicomweb(orthanc: Orthanc) -> None:
    orthanc.upload([CT])
    answer = orthanc.session.get(f"{orthanc.dicomweb_url}/studies", timeout=10)
    assert answer.status_code == 200
    assert len(answer.json()) == 1


def test_orthanc_can_be_started_without_dicomweb(start_orthanc: Callable[..., Orthanc], tmp_path: Path) -> None:
    plain = start_orthanc(tmp_path, ae_title="PLAIN", dicomweb=False)
    assert plain.session.get(f"{plain.dicomweb_url}/studies", timeout=10).status_code == 404


def test_postgresql_gives_an_empty_database(postgresql_url: str) -> None:
    engine = sqlalchemy.create_engine(postgresql_url)
    try:
        assert sqlalchemy.inspect(engine).get_table_names() == []
        assert engine.dialect.name == "postgresql"
    finally:
        engine.dispose()


def test_azurite_takes_a_delta_table(azurite: Azurite) -> None:
    uri = f"az://{azurite.new_container()}/numbers"
    for batch in ([1], [2], [3]):  # older Azurites fail at the second append
        deltalake.write_deltalake(
            uri, pa.table({"n": pa.array(batch, pa.int64())}), mode="append", storage_options=azurite.storage_options
        )
    table = deltalake.DeltaTable(uri, storage_options=azurite.storage_options)
    assert sorted(table.to_pyarrow_table()["n"].to_pylist()) == [1, 2, 3]


class _Ftps(ftplib.FTP_TLS):
    """Data connections that resume the session of the control connection, as vsftpd wants."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        assert isinstance(self.sock, ssl.SSLSocket)
        wrapped = self.context.wrap_socket(connection, server_hostname=self.host, session=self.sock.session)
        return wrapped, size


def test_vsftpd_takes_a_file_over_tls(vsftpd: Vsftpd, tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(b"content")
    with _Ftps(context=ssl.create_default_context(cafile=str(vsftpd.bundle)), timeout=10) as client:
        client.connect(vsftpd.host, vsftpd.port)
        client.login(vsftpd.username, vsftpd.password)
        client.prot_p()
        with source.open("rb") as file:
            client.storbinary("STOR inbox/a.part", file)
        client.rename("inbox/a.part", "inbox/a.bin")
    assert (vsftpd.inbox / "a.bin").read_bytes() == b"content"
    (vsftpd.inbox / "a.bin").unlink()


@pytest.mark.parametrize("password", ["wrong", ""])
def test_vsftpd_refuses_another_password(vsftpd: Vsftpd, password: str) -> None:
    with _Ftps(context=ssl.create_default_context(cafile=str(vsftpd.bundle)), timeout=10) as client:
        client.connect(vsftpd.host, vsftpd.port)
        with pytest.raises(ftplib.error_perm):
            client.login(vsftpd.username, password)


def test_vsftpd_refuses_plain_ftp(vsftpd: Vsftpd) -> None:
    with ftplib.FTP(timeout=10) as client:
        client.connect(vsftpd.host, vsftpd.port)
        with pytest.raises(ftplib.error_perm):
            client.login(vsftpd.username, vsftpd.password)


def test_a_program_that_ends_at_once_fails_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="no such option"):
        Program([program("sh"), "-c", "echo no such option; exit 3"], tmp_path, lambda: False)


def test_a_program_that_is_not_installed_says_what_to_type() -> None:
    with pytest.raises(ServiceUnavailable, match="make services"):
        program("no-such-program-on-any-machine")


def test_a_stopped_program_is_gone(tmp_path: Path) -> None:
    running = Program([program("sleep"), "60"], tmp_path, lambda: True)
    assert running.running
    running.kill()
    assert not running.running
    assert subprocess.run([program("ps"), "-p", str(running.pid)], capture_output=True, check=False).returncode == 1
