"""The lake's block opens the lake: with an account key, and as a site does it, with a service principal over HTTPS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from blocks import DeltaLake
from tests.services.azurite import Azurite
from tests.services.certificates import Authority
from tests.services.key_vault import KeyVault


@pytest.fixture(scope="module")
def secure_azurite(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Azurite]:
    """Azurite over HTTPS, with Entra tokens."""
    service = Azurite(tmp_path_factory.mktemp("secure-azurite"), authority=authority)
    yield service
    service.stop()


def _write_twice(lake: DeltaLake) -> list[int]:
    uri, options = f"{lake.uri}/demo/numbers", lake.options()
    for value in (1, 2):
        table = pa.table({"n": pa.array([value], pa.int64())})
        deltalake.write_deltalake(uri, table, mode="append", storage_options=options)
    return sorted(deltalake.DeltaTable(uri, storage_options=options).to_pyarrow_table()["n"].to_pylist())


def test_a_local_folder_is_a_lake(tmp_path: Path) -> None:
    assert _write_twice(DeltaLake(uri=str(tmp_path))) == [1, 2]


def test_an_account_key_opens_the_lake(azurite: Azurite) -> None:
    lake = DeltaLake(uri=f"az://{azurite.new_container()}", storage_options=azurite.storage_options)
    assert _write_twice(lake) == [1, 2]


def _as_service_principal(storage: Azurite, entra: KeyVault, secret: str) -> DeltaLake:
    options = {
        "azure_storage_account_name": storage.account,
        "azure_storage_endpoint": storage.url,
        "azure_tenant_id": entra.tenant_id,
        "azure_client_id": entra.client_id,
        "azure_client_secret": secret,
        "azure_authority_host": entra.url,
        "max_retries": "0",
    }
    return DeltaLake(uri=f"az://{storage.new_container()}", storage_options=options)


def test_a_service_principal_opens_the_lake(
    secure_azurite: Azurite, key_vault: KeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(key_vault.bundle))
    assert _write_twice(_as_service_principal(secure_azurite, key_vault, key_vault.client_secret)) == [1, 2]


def test_a_wrong_secret_does_not(secure_azurite: Azurite, key_vault: KeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(key_vault.bundle))
    lake = _as_service_principal(secure_azurite, key_vault, "wrong")
    with pytest.raises((OSError, DeltaError), match="token"):
        _write_twice(lake)


def test_an_authority_that_is_not_trusted_does_not(secure_azurite: Azurite, key_vault: KeyVault) -> None:
    with pytest.raises((OSError, DeltaError)):
        _write_twice(_as_service_principal(secure_azurite, key_vault, key_vault.client_secret))
