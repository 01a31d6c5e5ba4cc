"""A container of blobs as destination: Azurite, by account key, SAS and, over HTTPS, as a service principal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from blocks import AzureBlobContainer
from safelight.errors import DestinationRefused, DestinationUnavailable
from safelight.release.blob import BlobStore
from safelight.release.file_store import FileDestination
from tests.release.hospital import PROJECT, output_files
from tests.services.azurite import Azurite
from tests.services.certificates import Authority
from tests.services.key_vault import KeyVault


@pytest.fixture(scope="module")
def secure_azurite(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Azurite]:
    """Azurite over HTTPS, with Entra tokens."""
    service = Azurite(tmp_path_factory.mktemp("secure-blobs"), authority=authority)
    yield service
    service.stop()


def destination(block: AzureBlobContainer) -> FileDestination:
    return FileDestination(BlobStore(block.open(retries=0), name="research"))


def as_principal(storage: Azurite, vault: KeyVault, container: str, **changes: object) -> AzureBlobContainer:
    settings: dict[str, object] = {
        "account_url": storage.url,
        "container": container,
        "tenant_id": vault.tenant_id,
        "client_id": vault.client_id,
        "client_secret": vault.client_secret,
        "authority": vault.url,
        "ca_file": vault.bundle,
    }
    return AzureBlobContainer(**settings | changes)  # type: ignore[arg-type]


def test_a_service_principal_sends_over_https(secure_azurite: Azurite, key_vault: KeyVault, tmp_path: Path) -> None:
    container = secure_azurite.new_container()
    files = output_files(tmp_path, count=2)
    target = destination(as_principal(secure_azurite, key_vault, container))
    target.check(PROJECT)
    assert target.send(PROJECT, files).stored == {file.sop_uid for file in files}
    assert target.send(PROJECT, files).already == {file.sop_uid for file in files}
    with secure_azurite.client() as client:
        found = {blob.name: blob.size for blob in client.get_container_client(container).list_blobs()}
    assert found == {f"{PROJECT}/{file.relative}": file.path.stat().st_size for file in files}


def test_a_wrong_secret_and_a_strange_authority_are_refused(
    secure_azurite: Azurite, key_vault: KeyVault, tmp_path: Path
) -> None:
    container = secure_azurite.new_container()
    other = Authority(tmp_path / "other")
    for changes in ({"client_secret": "SECRETWORD"}, {"ca_file": other.bundle}):
        with pytest.raises(DestinationRefused) as caught:
            destination(as_principal(secure_azurite, key_vault, container, **changes)).check(PROJECT)
        assert "SECRETWORD" not in f"{caught.value}"
        assert caught.value.__suppress_context__


def test_an_sas_token_gives_what_it_says_and_no_more(azurite: Azurite, tmp_path: Path) -> None:
    container = azurite.new_container()

    def block(permissions: ContainerSasPermissions) -> AzureBlobContainer:
        end = datetime.now(UTC) + timedelta(hours=1)
        token = generate_container_sas(azurite.account, container, azurite.key, permission=permissions, expiry=end)
        return AzureBlobContainer(account_url=azurite.url, container=container, sas_token=token)

    files = output_files(tmp_path, count=2)
    all_rights = block(ContainerSasPermissions(read=True, write=True, delete=True, list=True))
    reader = block(ContainerSasPermissions(read=True, list=True))
    assert "sig=" not in f"{all_rights!r}{destination(all_rights)!r}"
    destination(reader).check(PROJECT)
    with pytest.raises(DestinationRefused, match="rights"):
        destination(reader).send(PROJECT, files)
    assert len(destination(all_rights).send(PROJECT, files).stored) == 2
    with pytest.raises(DestinationRefused, match="rights"):
        destination(reader).withdraw(PROJECT, ["2.25.1"])
    assert destination(all_rights).withdraw(PROJECT, ["2.25.1"]).removed == {"2.25.1"}


def test_the_folders_of_a_hierarchical_namespace_are_no_files(azurite: Azurite, tmp_path: Path) -> None:
    block = AzureBlobContainer(account_url=azurite.url, container=azurite.new_container(), account_key=azurite.key)
    files = output_files(tmp_path, count=2)
    destination(block).send(PROJECT, files)
    with azurite.client() as client:
        client.get_blob_client(block.container, f"{PROJECT}/2.25.1/2.25.1.2").upload_blob(
            b"", metadata={"hdi_isfolder": "true"}
        )
    assert list(block.open().names(f"{PROJECT}/")) == [f"{PROJECT}/{file.relative}" for file in files]
    assert destination(block).withdraw(PROJECT, ["2.25.1"]).removed == {"2.25.1"}
    assert destination(block).withdraw(PROJECT, ["2.25.1"]).absent == {"2.25.1"}


def test_a_container_that_is_not_there_is_refused(azurite: Azurite, tmp_path: Path) -> None:
    block = AzureBlobContainer(account_url=azurite.url, container="nothing-here", account_key=azurite.key)
    for call in (
        lambda: destination(block).check(PROJECT),
        lambda: destination(block).send(PROJECT, output_files(tmp_path, count=1)),
        lambda: destination(block).withdraw(PROJECT, ["2.25.1"]),
    ):
        with pytest.raises(DestinationRefused, match="container"):
            call()


def test_a_service_that_goes_away_and_comes_back_has_everything(tmp_path: Path) -> None:
    service = Azurite(tmp_path / "azurite")
    block = AzureBlobContainer(account_url=service.url, container=service.new_container(), account_key=service.key)
    files = output_files(tmp_path / "work", count=4)
    try:
        destination(block).send(PROJECT, files[:2])
        service.stop()
        with pytest.raises(DestinationUnavailable):
            destination(block).send(PROJECT, files)
        service.start()
        result = destination(block).send(PROJECT, files)
    finally:
        service.stop()
    assert (len(result.already), len(result.stored)) == (2, 2)
