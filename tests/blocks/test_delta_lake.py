"""The lake's block opens the lake: a folder, or Azure storage over HTTPS by each kind of credential."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from blocks import DeltaLake
from safelight.errors import SafelightError
from safelight.release.lake import Lake
from tests.release.test_lake import rows
from tests.services.azurite import Azurite
from tests.services.certificates import Authority
from tests.services.key_vault import KeyVault


@pytest.fixture(scope="module")
def secure_azurite(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Azurite]:
    """Azurite over HTTPS, with Entra tokens."""
    service = Azurite(tmp_path_factory.mktemp("secure-azurite"), authority=authority)
    yield service
    service.stop()


def _write_twice(block: DeltaLake, project: str = "demo") -> list[str]:
    """Write rows, the same and one more; returns the keys that are there afterwards."""
    lake = Lake(block.uri, block.options())
    assert lake.write(project, "release", [rows("release", ["a"])]).inserted == 1
    again = lake.write(project, "release", [rows("release", ["a", "b"])])
    assert (again.unchanged, again.inserted) == (1, 1)
    return sorted(lake.read(project, "release", ["release_id"]).column(0).to_pylist())


def test_a_local_folder_is_a_lake(tmp_path: Path) -> None:
    assert _write_twice(DeltaLake(uri=str(tmp_path))) == ["a", "b"]


def test_an_account_key_opens_the_lake(azurite: Azurite) -> None:
    lake = DeltaLake(uri=f"az://{azurite.new_container()}", storage_options=azurite.storage_options)
    assert _write_twice(lake) == ["a", "b"]


def _of(storage: Azurite, **settings: Any) -> DeltaLake:
    """A lake on Azurite over HTTPS, in a container of its own."""
    place = {"azure_storage_account_name": storage.account, "azure_storage_endpoint": storage.url, "max_retries": "0"}
    container = settings.pop("container", None) or storage.new_container()
    return DeltaLake(uri=f"az://{container}", storage_options=place | settings.pop("options", {}), **settings)


def _as_service_principal(storage: Azurite, entra: KeyVault, secret: str, **settings: Any) -> DeltaLake:
    return _of(
        storage,
        tenant_id=entra.tenant_id,
        client_id=entra.client_id,
        client_secret=secret,
        authority=entra.url,
        **settings,
    )


def test_an_account_key_opens_the_lake_over_https(secure_azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure_azurite.bundle))
    assert _write_twice(_of(secure_azurite, account_key=secure_azurite.key)) == ["a", "b"]


def test_a_sas_token_opens_its_own_container_only(secure_azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure_azurite.bundle))
    ours, other = secure_azurite.new_container(), secure_azurite.new_container()
    token = generate_container_sas(
        secure_azurite.account,
        ours,
        secure_azurite.key,
        permission=ContainerSasPermissions(read=True, write=True, list=True, add=True, create=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    assert _write_twice(_of(secure_azurite, container=ours, sas_token=token)) == ["a", "b"]
    with pytest.raises(SafelightError):
        _write_twice(_of(secure_azurite, container=other, sas_token=token))


def test_a_service_principal_opens_the_lake(
    secure_azurite: Azurite, key_vault: KeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(key_vault.bundle))
    assert _write_twice(_as_service_principal(secure_azurite, key_vault, key_vault.client_secret)) == ["a", "b"]


class _MetadataService(BaseHTTPRequestHandler):
    """What a machine of Azure asks for its managed identity's token ("Azure Instance Metadata Service", token)."""

    entra: KeyVault
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        good = self.headers.get("Metadata") == "true" and query["resource"] == ["https://storage.azure.com"]
        client = query.get("client_id", [""])[0]
        self.asked.append(client)
        token = self.entra.issue_token(client, "https://storage.azure.com")
        body = json.dumps(
            {"access_token": token, "expires_on": str(int(time.time()) + 3599), "token_type": "Bearer"}
        ).encode()
        self.send_response(200 if good else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def test_a_managed_identity_opens_the_lake_without_any_secret(
    secure_azurite: Azurite, key_vault: KeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(key_vault.bundle))
    monkeypatch.setattr(_MetadataService, "entra", key_vault, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), _MetadataService) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        endpoint = {"azure_msi_endpoint": f"http://127.0.0.1:{server.server_address[1]}/metadata/identity/oauth2/token"}
        lake = _of(secure_azurite, client_id="our-identity", options=endpoint)
        assert _write_twice(lake) == ["a", "b"]
        server.shutdown()
    assert set(_MetadataService.asked) == {"our-identity"}
    assert "secret" not in str(lake.options())


def test_each_project_can_have_a_container_of_its_own(azurite: Azurite) -> None:
    with azurite.client() as client:
        for slug in ("chest-xray", "knee"):
            client.create_container(slug)
    lake = DeltaLake(uri="az://{project}", storage_options=azurite.storage_options)
    for slug in ("chest-xray", "knee"):
        assert _write_twice(lake, slug) == ["a", "b"]
    with azurite.client() as client:
        names = {slug: set(client.get_container_client(slug).list_blob_names()) for slug in ("chest-xray", "knee")}
    assert all(name.startswith(f"{slug}/release/") for slug, found in names.items() for name in found)


def test_a_wrong_secret_does_not(secure_azurite: Azurite, key_vault: KeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(key_vault.bundle))
    lake = _as_service_principal(secure_azurite, key_vault, "wrong")
    with pytest.raises(SafelightError) as caught:
        _write_twice(lake)
    assert "wrong" not in str(caught.value)


def test_an_authority_that_is_not_trusted_does_not(secure_azurite: Azurite, key_vault: KeyVault) -> None:
    with pytest.raises(SafelightError):
        _write_twice(_as_service_principal(secure_azurite, key_vault, key_vault.client_secret))
