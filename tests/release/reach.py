"""How each kind of DICOM destination is reached: built from plain text, so that another process can build the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from safelight.release.blob import BlobStore
from safelight.release.destination import Destination
from safelight.release.dicomweb import DicomwebDestination
from safelight.release.file_store import FileDestination, FileStore
from safelight.release.folder import FolderStore
from safelight.release.ftps import FtpsStore
from safelight.release.storage_peer import StoragePeerDestination
from safelight.release.study_archive import StudyArchiveDestination
from tests.services.orthanc import Peer

Settings = dict[str, Any]
WAIT: Final = (0.01, 0.05)


def build(kind: str, settings: Settings) -> Destination:
    """The destination of that kind and those settings."""
    return _BUILD[kind](**settings)


def store_of(kind: str, settings: Settings) -> FileStore:
    """The place for files of that kind, where it is one."""
    return _STORES[kind](**settings)


def _ftps_store(scratch: str, ca: str, **settings: Any) -> FileStore:
    return FtpsStore(ca=Path(ca), attempts=2, wait=WAIT, **settings)


def _blob_store(**block: str) -> FileStore:
    # Imported late: it brings the orchestrator along.
    from blocks import AzureBlobContainer

    return BlobStore(AzureBlobContainer(**block).open(retries=0))


_STORES: Final[dict[str, Callable[..., FileStore]]] = {
    "folder": lambda root: FolderStore(Path(root)),
    "blob": _blob_store,
    "ftps": _ftps_store,
}


def _peer(ae_title: str, port: int, calling: str = "SAFELIGHT") -> Destination:
    return StoragePeerDestination(Peer(ae_title, port), calling, attempts=2, wait=WAIT, timeout=30)


_BUILD: Final[dict[str, Callable[..., Destination]]] = {
    "folder": lambda **settings: FileDestination(store_of("folder", settings)),
    "dicomweb": lambda url, auth: DicomwebDestination(url, tuple(auth), attempts=2, wait=WAIT),
    "blob": lambda **settings: FileDestination(store_of("blob", settings)),
    "ftps": lambda **settings: StudyArchiveDestination(store_of("ftps", settings), Path(settings["scratch"])),
    "c-store": _peer,
}
KINDS: Final = tuple(_BUILD)
