"""A project's key and salt, or the key that signs releases. One that can't be read stops the run; there is no fallback."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from blocks._entra import EntraIdentity


class KeyUnreadable(Exception):
    """The key or salt can't be read. Says which and why, never what was read."""


class PseudonymKeyFile(Block):
    """A project's key and salt in two local files of 64 and 16 raw bytes: for demonstrations and tests.

    Without a salt: the key that signs releases, 32 raw bytes.

    Example:
        ```python
        from blocks import PseudonymKeyFile

        key = PseudonymKeyFile.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Pseudonym Key File"
    _block_type_slug = "pseudonym-key-file"
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")

    key_file: Path = Field(description="File with the raw bytes of the key: 64 of a project, 32 to sign with.")
    salt_file: Path | None = Field(default=None, description="File with the 16 raw bytes of the project salt.")

    def read(self) -> tuple[bytes, bytes]:
        """Return key and salt. Raises KeyUnreadable."""
        return self._bytes("key", self.key_file), self._bytes("salt", self.salt_file) if self.salt_file else b""

    @staticmethod
    def _bytes(what: str, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise KeyUnreadable(f"The project {what} file can't be read ({type(error).__name__}).") from None


class PseudonymKeyVault(Block):
    """A project's key and salt as two secrets (base64) in Azure Key Vault.

    Without a salt: the key that signs releases.

    Example:
        ```python
        from blocks import PseudonymKeyVault

        key = PseudonymKeyVault.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Pseudonym Key Vault"
    _block_type_slug = "pseudonym-key-vault"
    _documentation_url = HttpUrl("https://learn.microsoft.com/azure/key-vault/secrets/")

    vault_url: str = Field(pattern="^https://", description="URL of the vault.")
    key_secret: str = Field(
        pattern="^[0-9a-zA-Z-]{1,127}$",
        description="Secret with the key, in base64: 64 bytes of a project, 32 to sign with.",
    )
    salt_secret: str = Field(
        default="", pattern="^[0-9a-zA-Z-]{0,127}$", description="Secret with the 16-byte salt of a project, in base64."
    )
    tenant_id: str = Field(default="", description="Entra tenant of a service principal; empty for a managed identity.")
    client_id: str = Field(default="", description="Application id of the service principal or managed identity.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="Secret of the service principal.")
    authority: str = Field(default="", description="Entra authority other than the public cloud's.")
    ca_file: Path | None = Field(default=None, description="Certificate authority of a vault behind a private endpoint.")
    verify_challenge_resource: bool = Field(
        default=True, description="Check that the vault's challenge names its own domain. Off only for a test double."
    )

    def read(self) -> tuple[bytes, bytes]:
        """Return key and salt. Raises KeyUnreadable."""
        # Imported late: only sites with a vault pay for the SDK's import time.
        from azure.core.exceptions import AzureError
        from azure.keyvault.secrets import SecretClient

        identity = EntraIdentity(
            self.tenant_id, self.client_id, self.client_secret.get_secret_value(), self.authority, self.ca_file
        )
        try:
            with SecretClient(
                self.vault_url,
                identity.credential(),
                verify_challenge_resource=self.verify_challenge_resource,
                **identity.transport,
            ) as client:
                key = self._secret(client, self.key_secret)
                return key, self._secret(client, self.salt_secret) if self.salt_secret else b""
        except (AzureError, ValueError) as error:
            # The SDK's message can quote the request; its class says enough.
            raise KeyUnreadable(f"The vault did not give the project key or salt ({type(error).__name__}).") from None

    @staticmethod
    def _secret(client: Any, name: str) -> bytes:  # noqa: ANN401  SecretClient, imported late
        try:
            return base64.b64decode(client.get_secret(name).value or "", validate=True)
        except binascii.Error:
            raise KeyUnreadable(f"The vault's secret '{name}' is not base64.") from None
