"""A DICOM node: an archive that may be asked for studies, or a destination."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl


class DicomNode(Block):
    """A PACS or VNA node: who it is, where it listens, and as whom it knows us.

    Example:
        ```python
        from blocks import DicomNode

        node = DicomNode.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "DICOM Node"
    _block_type_slug = "dicom-node"
    _documentation_url = HttpUrl("https://dicom.nema.org/medical/dicom/current/output/html/part08.html")

    ae_title: str = Field(min_length=1, max_length=16, description="AE title of the archive, exactly as it has it.")
    host: str = Field(min_length=1, description="Host name or address of the archive.")
    port: int = Field(ge=1, le=65535, description="DICOM port of the archive.")
    calling_ae_title: str = Field(
        default="SAFELIGHT", min_length=1, max_length=16, description="AE title by which the archive knows Safelight."
    )
    tls: bool = Field(default=False, description="Associations are made over TLS.")
    ca_file: Path | None = Field(
        default=None, description="Certificate authority of the node, or its own certificate; empty: the system's."
    )
    cert_file: Path | None = Field(default=None, description="Our certificate, where the node asks for one (PEM).")
    key_file: Path | None = Field(default=None, description="Key of our certificate (PEM, without a password).")
    check_host: bool = Field(default=True, description="Its certificate must name the host above.")
