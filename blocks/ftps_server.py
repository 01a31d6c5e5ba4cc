"""An FTPS server that hands files to a data safe haven."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr


class FtpsServer(Block):
    """An FTPS server (RFC 4217). Its certificate is verified, and data connections are encrypted.

    Example:
        ```python
        from blocks import FtpsServer

        server = FtpsServer.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "FTPS Server"
    _block_type_slug = "ftps-server"
    _documentation_url = HttpUrl("https://www.rfc-editor.org/rfc/rfc4217")

    host: str = Field(min_length=1, description="Host name, as in the server's certificate.")
    port: int = Field(default=21, ge=1, le=65535, description="Port; 990 as a rule where TLS is implicit.")
    implicit: bool = Field(default=False, description="TLS from the first byte, instead of after AUTH TLS.")
    username: str = Field(min_length=1, description="Account on the server.")
    password: SecretStr = Field(description="Password of the account.")
    folder: str = Field(default="", description="Folder below where the account starts; project folders go into it.")
    ca_file: Path | None = Field(default=None, description="Certificate authority to trust instead of the system's.")
