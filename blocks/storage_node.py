"""Our own receiver of C-MOVE."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl


class StorageNode(Block):
    """The storage SCP that archives move studies to. The archives must know it by this AE title, host and port.

    Example:
        ```python
        from blocks import StorageNode

        node = StorageNode.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "DICOM Storage Node"
    _block_type_slug = "dicom-storage-node"
    _documentation_url = HttpUrl("https://dicom.nema.org/medical/dicom/current/output/html/part04.html")

    ae_title: str = Field(default="SAFELIGHT", min_length=1, max_length=16, description="AE title of the receiver.")
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=11112, ge=1, le=65535, description="Port to listen on.")
    tls: bool = Field(default=False, description="Take associations over TLS only, from callers with a certificate.")
    ca_file: Path | None = Field(default=None, description="Certificate authority of the archives that send.")
    cert_file: Path | None = Field(default=None, description="Our certificate (PEM).")
    key_file: Path | None = Field(default=None, description="Its key (PEM, without a password).")
