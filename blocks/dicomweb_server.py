"""A DICOMweb destination's address and credentials."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr


class DicomwebServer(Block):
    """A DICOMweb service that takes studies by STOW-RS (PS3.18 section 10.5).

    Example:
        ```python
        from blocks import DicomwebServer

        server = DicomwebServer.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "DICOMweb Server"
    _block_type_slug = "dicomweb-server"
    _documentation_url = HttpUrl("https://dicom.nema.org/medical/dicom/current/output/html/part18.html")

    url: str = Field(min_length=1, pattern="^https?://", description="Base URL of the service, without /studies.")
    username: str = Field(default="", description="User for basic authentication; empty for none.")
    password: SecretStr = Field(default=SecretStr(""), description="Password for basic authentication.")
    ca_file: Path | None = Field(default=None, description="Certificate authority to trust instead of the system's.")
