"""A container of Azure Blob Storage that DICOM or Parquet files go to."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from blocks._entra import EntraIdentity, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.blob import ContainerClient

#: Larger files go up and down in pieces of this size, so that memory is flat (the SDK's own limit is 64 MB).
_PIECE: Final = 4 << 20


class AzureBlobContainer(Block):
    """A container of an Azure storage account. Give one of account key, SAS token and identity; none: managed identity.

    Example:
        ```python
        from blocks import AzureBlobContainer

        container = AzureBlobContainer.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Azure Blob Container"
    _block_type_slug = "azure-blob-container"
    _documentation_url = HttpUrl("https://learn.microsoft.com/azure/storage/blobs/")

    account_url: str = Field(
        pattern="^https?://", description="Address of the account: https://ACCOUNT.blob.core.windows.net."
    )
    container: str = Field(pattern="^[a-z0-9](-?[a-z0-9]){2,62}$", description="Name of the container. It must exist.")
    account_key: SecretStr = Field(default=SecretStr(""), description="Key of the account.")
    sas_token: SecretStr = Field(
        default=SecretStr(""), description="SAS token for the container: read, write, delete, list."
    )
    tenant_id: str = Field(default="", description="Entra tenant of a service principal; empty for a managed identity.")
    client_id: str = Field(default="", description="Application id of the service principal or managed identity.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="Secret of the service principal.")
    authority: str = Field(default="", description="Entra authority other than the public cloud's.")
    ca_file: Path | None = Field(default=None, description="Certificate authority of an account behind a private endpoint.")

    def open(self, *, retries: int = 4) -> BlobFiles:
        """Return the container. ``retries``: attempts after the first, where the service does not answer."""
        # Imported late: only sites with Azure pay for the SDK's import time.
        from azure.storage.blob import ContainerClient, ExponentialRetry

        identity = EntraIdentity(
            self.tenant_id, self.client_id, self.client_secret.get_secret_value(), self.authority, self.ca_file
        )
        secret = self.account_key.get_secret_value() or self.sas_token.get_secret_value()
        client = ContainerClient(
            self.account_url,
            self.container,
            credential=secret or identity.credential(),
            retry_policy=ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=retries, random_jitter_range=1),
            connection_timeout=10,
            read_timeout=300,
            max_single_put_size=_PIECE,
            max_block_size=_PIECE,
            max_single_get_size=_PIECE,
            max_chunk_get_size=_PIECE,
            **identity.transport,
        )
        return BlobFiles(client)


class BlobFiles:
    """Blobs of one container as files.

    Raises PermissionError where the service refuses for good and ConnectionError where it does not answer: the SDK's
    own messages quote addresses and names.
    """

    def __init__(self, client: ContainerClient) -> None:
        self._client = client

    def find(self, name: str) -> tuple[int, str] | None:
        """Return size in bytes and the SHA-256 that it was put with (empty: none) of a blob, or None."""
        with _faults() as missing:
            found = self._client.get_blob_client(name).get_blob_properties()
        return None if missing else (int(found.size), str((found.metadata or {}).get("sha256", "")))

    def put(self, name: str, path: Path, sha256: str) -> None:
        """Upload a file, in place of an older blob. The blob appears complete or not at all."""
        with _faults() as missing, path.open("rb") as file:
            self._client.upload_blob(name, file, length=path.stat().st_size, metadata={"sha256": sha256}, overwrite=True)
        if missing:
            raise PermissionError

    def fetch(self, name: str, path: Path) -> bool:
        """Download a blob. False: there is none."""
        with _faults() as missing, path.open("wb") as file:
            self._client.download_blob(name).readinto(file)
        return not missing

    def delete(self, name: str) -> bool:
        """Delete a blob with its snapshots. False: there is none."""
        with _faults() as missing:
            self._client.delete_blob(name, delete_snapshots="include")
        return not missing

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the names of all blobs with the prefix. In a hierarchical namespace folders are blobs too, and no files."""
        with _faults():
            for blob in self._client.list_blobs(name_starts_with=prefix, include=["metadata"]):
                if "hdi_isfolder" not in (blob.metadata or {}):
                    yield str(blob.name)


@contextmanager
def _faults() -> Iterator[list[str]]:
    """Translate the SDK's errors; a blob that is not there is entered in the list that this gives."""
    from azure.core.exceptions import AzureError

    missing: list[str] = []
    try:
        yield missing
    except AzureError as error:
        status, code = getattr(error, "status_code", None), getattr(error, "error_code", None)
        if status == 404 and code != "ContainerNotFound":
            missing.append("blob")
        else:
            raise (PermissionError if refused(error) else ConnectionError) from None
