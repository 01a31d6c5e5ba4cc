"""Archives and our receiver as blocks describe them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks import DicomNode, DicomwebServer, StorageNode
from safelight.archive import Intake, RawCache, StorageReceiver, Unlimited, WebService
from safelight.archive.settings import ArchiveUse
from safelight.errors import ConfigurationError
from safelight.link import LinkDatabase
from tasks import nodes
from tests.services.certificates import Authority
from tests.services.orthanc import Orthanc
from tests.services.process import free_port

pytestmark = pytest.mark.usefixtures("prefect_server")


def archive(block: str, retrieve: str) -> Any:
    return nodes.archive_of(ArchiveUse(block=block, retrieve=retrieve, attempts=1), Unlimited())


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[RawCache]:
    database = LinkDatabase(f"sqlite:///{tmp_path / 'link.sqlite'}", clock=lambda: pytest.fail("not asked"))
    yield RawCache(tmp_path / "cache", database)
    database.close()


@pytest.mark.parametrize("retrieve", ["c-move", "c-get", "dicomweb"])
def test_an_archive_answers_as_its_block_and_settings_say(orthanc: Orthanc, cache: RawCache, retrieve: str) -> None:
    name = f"nodes-{retrieve}"
    if retrieve == "dicomweb":
        DicomwebServer(url=orthanc.dicomweb_url, username=orthanc.username, password=orthanc.password).save(name)
    else:
        DicomNode(ae_title=orthanc.ae_title, host=orthanc.host, port=orthanc.port).save(name)
    StorageNode(port=free_port()).save("nodes-receiver", overwrite=True)
    found = archive(name, retrieve)
    found.echo()
    with nodes.receiver_of("nodes-receiver", [found], cache) as receiver:
        assert isinstance(receiver, StorageReceiver if retrieve == "c-move" else Intake)
    assert not list(cache.spool.iterdir())


def test_tls_is_as_the_blocks_say(authority: Authority) -> None:
    ours = authority.issue("nodes")
    files: dict[str, Any] = {"cert_file": ours.certificate, "key_file": ours.key}
    node = DicomNode(ae_title="A", host="localhost", port=1)
    assert nodes.tls_to(node, "b") is None
    assert nodes.tls_to(node.model_copy(update={"tls": True, "ca_file": authority.bundle, **files}), "b").check_hostname
    assert not nodes.tls_to(node.model_copy(update={"tls": True, "check_host": False}), "b").check_hostname
    with pytest.raises(ConfigurationError, match="only one"):
        nodes.tls_to(node.model_copy(update={"tls": True, "key_file": ours.key}), "b")

    receiver = StorageNode()
    assert nodes.tls_from(receiver, "b") is None
    assert nodes.tls_from(receiver.model_copy(update={"tls": True, "ca_file": authority.bundle, **files}), "b") is not None
    for missing in ({"ca_file": authority.bundle}, files):
        with pytest.raises(ConfigurationError, match="without certificates"):
            nodes.tls_from(receiver.model_copy(update={"tls": True, **missing}), "b")


def test_a_web_archive_shows_its_certificate_and_its_token(authority: Authority) -> None:
    ours = authority.issue("nodes-web")
    DicomwebServer(
        url="https://localhost:1/", authentication="bearer", token="CANARY-TOKEN", ca_file=authority.bundle,
        cert_file=ours.certificate, key_file=ours.key,
    ).save("nodes-web")  # fmt: skip
    peer = archive("nodes-web", "dicomweb").peer
    assert isinstance(peer, WebService)
    assert (peer.ca, peer.certificate) == (authority.bundle, (ours.certificate, ours.key))
    assert peer.auth(fresh=False) == "CANARY-TOKEN"
    assert "CANARY" not in repr(peer)
