"""A folder on this machine or on a mounted share."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl


class LocalFolder(Block):
    """A folder: deliveries, opt-out answers, patient record, raw cache, work in progress, a DICOM destination.

    Example:
        ```python
        from blocks import LocalFolder

        folder = LocalFolder.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Folder"
    _block_type_slug = "folder"
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")

    path: Path = Field(description="Absolute path of the folder.")
    max_bytes: int = Field(default=0, ge=0, description="Size limit, where the folder is a raw cache (0: none).")
