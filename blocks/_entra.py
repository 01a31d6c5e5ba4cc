"""Who we are to Microsoft Entra ID: a service principal with a secret, or the machine's managed identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from azure.core.credentials import TokenCredential
    from azure.core.exceptions import AzureError

_TRANSIENT: Final = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class EntraIdentity:
    """An identity. No secret: a managed identity, ``client_id`` naming it where the machine has several."""

    tenant_id: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    authority: str = ""
    ca_file: Path | None = None

    @property
    def transport(self) -> dict[str, Any]:
        """Options of every Azure client: the certificate authority to trust instead of the system's."""
        return {"connection_verify": str(self.ca_file)} if self.ca_file else {}

    def credential(self) -> TokenCredential:
        """Return what asks for tokens; it keeps them until they run out."""
        # Imported late: only sites with Azure pay for the SDK's import time.
        from azure.identity import ClientSecretCredential, DefaultAzureCredential

        if not self.client_secret:
            return DefaultAzureCredential(managed_identity_client_id=self.client_id or None)
        private = {"authority": self.authority, "disable_instance_discovery": True} if self.authority else {}
        return ClientSecretCredential(self.tenant_id, self.client_id, self.client_secret, **private, **self.transport)


class EntraToken:
    """Gives bearer tokens for one resource.

    Args:
        identity: who asks.
        scope: the resource, such as ``https://dicom.healthcareapis.azure.com/.default``.
    """

    def __init__(self, identity: EntraIdentity, scope: str) -> None:
        self._identity = identity
        self._scope = scope
        self._credential: TokenCredential | None = None

    def __call__(self, *, fresh: bool) -> str:
        """Return a token; a new one if ``fresh``. Raises PermissionError when refused, ConnectionError without an answer."""
        from azure.core.exceptions import AzureError

        if self._credential is None or fresh:
            # The SDK offers no way to drop the token that it keeps.
            self._credential = self._identity.credential()
        try:
            return self._credential.get_token(self._scope).token
        except ValueError:
            raise PermissionError from None
        except AzureError as error:
            raise (PermissionError if refused(error) else ConnectionError) from None


def refused(error: AzureError) -> bool:
    """Tell a refusal from no answer. The SDK calls both an authentication error where it asked Entra for a token."""
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
    from azure.identity import CredentialUnavailableError

    text = str(error)
    if isinstance(error, CredentialUnavailableError) or "CERTIFICATE_VERIFY_FAILED" in text:
        return True
    if isinstance(error, ClientAuthenticationError) and error.response is None:
        return "AADSTS" in text
    return isinstance(error, HttpResponseError) and error.status_code not in _TRANSIENT
