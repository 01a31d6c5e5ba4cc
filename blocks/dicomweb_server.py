"""A DICOMweb service's address and credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from blocks._entra import EntraIdentity, EntraToken


class DicomwebServer(Block):
    """A DICOMweb service: an archive (QIDO-RS, WADO-RS) or a destination (STOW-RS; PS3.18 sections 10.4 to 10.6).

    Example:
        ```python
        from blocks import DicomwebServer

        server = DicomwebServer.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "DICOMweb Server"
    _block_type_slug = "dicomweb-server"
    _documentation_url = HttpUrl("https://dicom.nema.org/medical/dicom/current/output/html/part18.html")

    url: str = Field(
        min_length=1,
        pattern="^https?://",
        description="Base URL of the service, without /studies; Azure's ends with the version: /v2.",
    )
    authentication: Literal["basic", "bearer", "entra"] = Field(
        default="basic",
        description="basic: user and password, or nothing where no user is given. bearer: a fixed token. "
        "entra: tokens of Microsoft Entra ID, renewed as they run out.",
    )
    username: str = Field(default="", description="User for basic authentication; empty for none.")
    password: SecretStr = Field(default=SecretStr(""), description="Password for basic authentication.")
    ca_file: Path | None = Field(default=None, description="Certificate authority to trust instead of the system's.")
    cert_file: Path | None = Field(default=None, description="Our certificate, where the service asks for one (PEM).")
    key_file: Path | None = Field(default=None, description="Key of our certificate (PEM, without a password).")
    token: SecretStr = Field(default=SecretStr(""), description="Fixed bearer token.")
    tenant_id: str = Field(default="", description="Entra tenant of a service principal; empty for a managed identity.")
    client_id: str = Field(default="", description="Application id of the service principal or managed identity.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="Secret of the service principal.")
    authority: str = Field(default="", description="Entra authority other than the public cloud's.")
    scope: str = Field(
        default="https://dicom.healthcareapis.azure.com/.default", description="What an Entra token is asked for."
    )

    def login(self) -> tuple[str, str] | FixedToken | EntraToken | None:
        """Return user and password, what gives bearer tokens, or None."""
        if self.authentication == "entra":
            secret = self.client_secret.get_secret_value()
            return EntraToken(
                EntraIdentity(self.tenant_id, self.client_id, secret, self.authority, self.ca_file), self.scope
            )
        if self.authentication == "bearer":
            return FixedToken(self.token)
        return (self.username, self.password.get_secret_value()) if self.username else None


class FixedToken:
    """Gives the one bearer token that there is."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def __call__(self, *, fresh: bool) -> str:
        """Return the token. Raises PermissionError where it was refused: there is no other."""
        if fresh:
            raise PermissionError
        return self._token.get_secret_value()
