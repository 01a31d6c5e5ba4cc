"""The link database's address."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr


class LinkStore(Block):
    """The link database: PostgreSQL on site, SQLite embedded. It holds identifiers and never leaves the hospital.

    Example:
        ```python
        from blocks import LinkStore

        store = LinkStore.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Link Database"
    _block_type_slug = "link-database"
    _documentation_url = HttpUrl("https://docs.sqlalchemy.org/en/21/core/engines.html")

    url: SecretStr = Field(description="SQLAlchemy URL: postgresql+psycopg2://… or sqlite:///….")
