"""The lake's address and credentials."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr


class DeltaLake(Block):
    """Where Delta tables go: a folder, or Azure storage by account key, SAS token, service principal or managed identity.

    Example:
        ```python
        from blocks import DeltaLake

        lake = DeltaLake.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Delta Lake"
    _block_type_slug = "delta-lake"
    _documentation_url = HttpUrl("https://delta-io.github.io/delta-rs/")

    uri: str = Field(
        min_length=1,
        description="Folder or abfss:// address; tables go to <uri>/<project>/<table>. '{project}' in it stands for the "
        "project's slug: abfss://{project}@ACCOUNT.dfs.core.windows.net gives each project a container of its own.",
    )
    account_key: SecretStr = Field(default=SecretStr(""), description="Azure: key of the storage account.")
    sas_token: SecretStr = Field(default=SecretStr(""), description="Azure: SAS token for the container.")
    tenant_id: str = Field(default="", description="Azure: Entra tenant of a service principal.")
    client_id: str = Field(default="", description="Azure: application id of the service principal or managed identity.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="Azure: secret of the service principal.")
    authority: str = Field(default="", description="Azure: Entra authority other than the public cloud's.")
    storage_options: dict[str, SecretStr] = Field(
        default_factory=dict, description="Other options of the object store, such as azure_storage_endpoint."
    )

    def options(self) -> dict[str, str]:
        """Return the options in clear, for the client library.

        The first of account key, SAS token and service principal that is given counts; on Azure without any, the machine's
        managed identity is asked for tokens.
        """
        options = {name: value.get_secret_value() for name, value in self.storage_options.items()}
        if key := self.account_key.get_secret_value():
            return options | {"azure_storage_account_key": key}
        if token := self.sas_token.get_secret_value():
            return options | {"azure_storage_sas_token": token}
        named = {
            "azure_tenant_id": self.tenant_id,
            "azure_client_id": self.client_id,
            "azure_client_secret": self.client_secret.get_secret_value(),
            "azure_authority_host": self.authority,
        }
        return options | {name: value for name, value in named.items() if value}
