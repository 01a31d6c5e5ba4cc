"""A hospital database that is only read."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr


class Warehouse(Block):
    """A database of the hospital with records, notes or cohorts: an OMOP CDM, EMAP, or views made for a project.

    Example:
        ```python
        from blocks import Warehouse

        warehouse = Warehouse.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Warehouse"
    _block_type_slug = "warehouse"
    _documentation_url = HttpUrl("https://docs.sqlalchemy.org/en/21/core/engines.html")

    url: SecretStr = Field(
        description="SQLAlchemy URL: postgresql://… or mssql+pyodbc://…. The user needs the right to SELECT and no other."
    )
    timeout_seconds: int = Field(default=600, ge=1, le=86_400, description="A statement that takes longer is given up.")
