"""The lake's address and credentials."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr


class DeltaLake(Block):
    """Where Delta tables go: a local folder or Azure storage (``abfss://container@account.dfs.core.windows.net/path``).

    Example:
        ```python
        from blocks import DeltaLake

        lake = DeltaLake.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Delta Lake"
    _block_type_slug = "delta-lake"
    _documentation_url = HttpUrl("https://delta-io.github.io/delta-rs/")

    uri: str = Field(min_length=1, description="Folder or abfss:// address; tables go to <uri>/<project>/<table>.")
    storage_options: dict[str, SecretStr] = Field(
        default_factory=dict, description="Options of the object store, such as azure_storage_account_key."
    )

    def options(self) -> dict[str, str]:
        """Return the storage options in clear, for the client library."""
        return {name: value.get_secret_value() for name, value in self.storage_options.items()}
